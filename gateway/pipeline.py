"""From image and query to a twin with its answer (DTwinSeger, sections 3.1 and 3.2)."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from datetime import UTC, datetime
from time import perf_counter
from typing import TypeVar

import structlog

from dtwinseger import api
from dtwinseger.problems import Problem
from dtwinseger.twin import Answer, DigitalTwin, ImageInfo, Provenance, TwinRow
from dtwinseger.twin.build import build_objects
from gateway import keys
from gateway.build import Build, Infos, Order, Outcome
from gateway.journal import Journal
from gateway.stages import Stages
from gateway.twins import keep_twin
from gateway.upstream import Services

log = structlog.get_logger()
A = TypeVar("A")
B = TypeVar("B")


async def build_twin(
    services: Services, order: Order, size: tuple[int, int], kept: Awaitable[None], journal: Journal
) -> Outcome:
    """Build the twin stage by stage; what the store has of it is not computed again.

    size: (height, width) of the image. kept: done once the image is in the store. Raises Problem; the stages that
    ended before stay in the store.
    """
    started = perf_counter()
    build = Build(order.asked, order.infos, size, journal)
    twin = await _twin(order, build, Stages(services, order.cache), started)
    await kept  # a twin in the store can be shown
    await keep_twin(order.cache, order.asked, twin)
    log.info("twin.built", twin=twin.id, objects=len(twin.objects), answer=len(twin.answer.indices), ms=_ms(started))
    return Outcome(twin, api.Usage.of(build.vlm, build.llm), twin.timings_ms, tuple(build.cached))


async def _twin(order: Order, build: Build, stages: Stages, started: float) -> DigitalTwin:
    asked = build.asked
    chosen = asked.options.granularity
    levels: tuple[api.Level, ...] = ("group", "object", "part") if chosen == "auto" else (chosen,)
    granularity, proposed = await _together(
        _timed(build, "granularity", stages.granularity(build)),
        _timed(build, "perception", stages.proposals(build, levels)),
    )
    key, response = proposed[granularity]
    proposals = response.levels[granularity]
    build.warnings.extend(response.warnings.get(granularity, ()))
    described = await _timed(build, "semantics", stages.semantics(build, key, proposals))
    objects = await asyncio.to_thread(
        build_objects, [p.mask for p in proposals], [p.predicted_iou for p in proposals], described
    )
    rows = [TwinRow.model_validate(item.model_dump(include=set(TwinRow.model_fields))) for item in objects]
    answer = await _timed(build, "reasoning", stages.answer(build, rows))
    build.timings_ms["total"] = _ms(started)
    height, width = build.size
    return DigitalTwin(
        id=order.identity,
        image=ImageInfo(width=width, height=height, sha256=asked.sha256),
        query=asked.query,
        granularity=granularity,
        objects=objects,
        answer=Answer(indices=answer.indices, path=answer.path, confidence=answer.confidence),
        provenance=Provenance(
            models=_models(build.infos) | {"llm": answer.model},  # the adapter, where one answered
            options=asked.options.model_dump(mode="json", exclude={"mask_format"})
            | {"proposals": response.options[granularity].model_dump(mode="json")}
            | {"reasoning": asked.options.reasoning.model_dump(mode="json") | {"mode": answer.mode}},
            prompts=keys.stage_key("prompts", build.infos.semantics.prompts, build.infos.reasoner.prompts),
            created=datetime.now(UTC),
        ),
        usage=api.Usage.of(build.vlm, build.llm).model_dump(),
        timings_ms=build.timings_ms,
        warnings=tuple(build.warnings),
    )


async def _together(first: Awaitable[A], second: Awaitable[B]) -> tuple[A, B]:
    """Both at once; when one fails the other is cancelled and the failure raised as it is."""
    tasks = asyncio.ensure_future(first), asyncio.ensure_future(second)
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError, Problem):
                await task


async def _timed(build: Build, stage: api.Stage, work: Awaitable[A]) -> A:
    with build.timed(stage):
        return await work


def _models(infos: Infos) -> dict[str, str]:
    return {**infos.perception.models, **infos.semantics.models, **infos.reasoner.models}


def _ms(started: float) -> float:
    return round((perf_counter() - started) * 1000, 1)
