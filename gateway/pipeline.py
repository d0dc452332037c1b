"""From image and query to a twin with its answer (DTwinSeger, sections 3.1 and 3.2)."""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from time import perf_counter
from typing import TypeVar
from weakref import WeakValueDictionary

import structlog

from dtwinseger import api
from dtwinseger.images import decode_image
from dtwinseger.problems import Problem
from dtwinseger.twin import Answer, DigitalTwin, ImageInfo, Provenance, TwinRow
from dtwinseger.twin.build import build_objects
from gateway import keys
from gateway.build import STAGES, Asked, Build, Infos, StoredImage, Tombstone
from gateway.cache import Cache
from gateway.result import encode_image, to_result
from gateway.stages import Stages
from gateway.upstream import Services

log = structlog.get_logger()
A = TypeVar("A")
B = TypeVar("B")

TOMBSTONE_TTL_S = 30 * 86_400.0  # an expired twin is known to have existed for this much longer


class Pipeline:
    """Builds twins and finds them again."""

    def __init__(self, services: Services, cache: Cache) -> None:
        self._services = services
        self._cache = cache
        self._stages = Stages(services, cache)
        self._building: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def segment(self, data: bytes, query: str, options: api.SegmentOptions) -> api.SegmentResult:
        """Answer `query` about the image in `data`: from the store, else by building the twin.

        Identical requests to this process run once: the later ones wait and read the store.
        """
        started = perf_counter()
        infos = Infos(*await self._services.infos())
        asked = Asked(data, sha256(data).hexdigest(), query, options)
        versions = [infos.perception, infos.semantics, infos.reasoner]
        # The mask's format is how the answer is told, not what it is.
        identity = keys.twin_id(asked.sha256, query, options.model_copy(update={"mask_format": "rle"}), versions)
        async with self._building.setdefault(identity, asyncio.Lock()):
            twin = await self._cache.get(f"twin:{identity}", DigitalTwin)
            if twin is not None and all(item.semantic is not None for item in twin.objects):
                timings = dict.fromkeys((*STAGES, "total"), 0.0) | {"total": _ms(started)}
                return await self._told(twin, options, api.Usage(), timings, tuple(STAGES.values()))
            image = await asyncio.to_thread(decode_image, data)
            build = Build(asked, infos, image)
            twin = await self._build(identity, build, started)
            usage = api.Usage.of(build.vlm, build.llm)
            return await self._told(twin, options, usage, twin.timings_ms, build.cached)

    async def twin(self, identity: str) -> DigitalTwin:
        """The twin with this id. Raises Problem `not_found`, `gone` or `storage_unavailable`."""
        twin = await self._cache.get(f"twin:{identity}", DigitalTwin)
        if twin is not None:
            return twin
        if error := self._cache.last_error:
            raise Problem("storage_unavailable", f"the twin store does not answer ({error}); try again shortly")
        if await self._cache.get(f"tombstone:{identity}", Tombstone) is not None:
            raise Problem("gone", "this twin has expired; send the image and the query again")
        raise Problem("not_found", "there is no twin with this id")

    async def forget(self, identity: str) -> None:
        """Remove the twin with this id. Raises Problem as `twin` does, and `storage_unavailable`."""
        await self.twin(identity)
        await self._cache.delete(f"twin:{identity}")

    async def image(self, twin: DigitalTwin) -> bytes:
        """The twin's image, upright, as JPEG. Raises Problem `gone`."""
        stored = await self._cache.get(f"image:{twin.image.sha256}", StoredImage)
        if stored is None:
            raise Problem("gone", "the image of this twin is no longer stored; send it again")
        return stored.jpeg

    async def _build(self, identity: str, build: Build, started: float) -> DigitalTwin:
        asked, stages = build.asked, self._stages
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
        height, width = build.image.size
        twin = DigitalTwin(
            id=identity,
            image=ImageInfo(width=width, height=height, sha256=asked.sha256),
            query=asked.query,
            granularity=granularity,
            objects=objects,
            answer=Answer(indices=answer.indices, path=answer.path, confidence=answer.confidence),
            provenance=Provenance(
                models=_models(build.infos),
                options=asked.options.model_dump(mode="json", exclude={"mask_format"})
                | {"proposals": response.options[granularity].model_dump(mode="json")},
                prompts=keys.stage_key("prompts", build.infos.semantics.prompts, build.infos.reasoner.prompts),
                created=datetime.now(UTC),
            ),
            usage=api.Usage.of(build.vlm, build.llm).model_dump(),
            timings_ms=build.timings_ms,
            warnings=tuple(build.warnings),
        )
        jpeg = await asyncio.to_thread(encode_image, build.image.pixels)
        await self._cache.put(f"image:{asked.sha256}", StoredImage.of(jpeg))
        await self._cache.put(f"tombstone:{identity}", Tombstone.now(), extra_ttl_s=TOMBSTONE_TTL_S)
        await self._cache.put(f"twin:{identity}", twin)
        log.info("twin.built", twin=identity, objects=len(objects), answer=len(answer.indices), ms=_ms(started))
        return twin

    async def _told(
        self,
        twin: DigitalTwin,
        options: api.SegmentOptions,
        usage: api.Usage,
        timings_ms: dict[str, float],
        cached: Sequence[str],
    ) -> api.SegmentResult:
        error = self._cache.last_error
        warnings = [f"the twin store does not answer ({error}): this twin may not be found again"] if error else []
        return await asyncio.to_thread(to_result, twin, options.mask_format, usage, timings_ms, cached, warnings)


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


async def _timed(build: Build, stage: str, work: Awaitable[A]) -> A:
    with build.timed(stage):
        return await work


def _models(infos: Infos) -> dict[str, str]:
    return {**infos.perception.models, **infos.semantics.models, **infos.reasoner.models}


def _ms(started: float) -> float:
    return round((perf_counter() - started) * 1000, 1)
