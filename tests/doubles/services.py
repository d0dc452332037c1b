"""Perception, semantics and reasoner as one app that keeps the contracts, counts its calls, and fails when told to."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from fastapi import FastAPI, Form, Request, Response, UploadFile
from fastapi.responses import StreamingResponse

from dtwinseger import api
from dtwinseger.images import decode_image
from dtwinseger.problems import Problem
from dtwinseger.service.app import problem_response
from dtwinseger.twin import Decision, Mask, Step


@dataclass
class Script:
    """What the double does. `failing` maps a stage to a problem, "hang", "nonsense" or "cut"."""

    failing: dict[str, Problem | str] = field(default_factory=dict)
    failing_masks: set[int] = field(default_factory=set)  # indices whose description fails
    holding: set[str] = field(default_factory=set)  # stages that do not answer, and "masks" after the first line
    latency_s: dict[str, float] = field(default_factory=dict)  # of a stage
    affordable: int = 1000  # masks that are described before the caller's ceiling is reached
    boxes: list[tuple[int, int, int, int]] = field(
        default_factory=lambda: [(4, 4, 30, 30), (32, 8, 50, 20), (40, 40, 48, 48)]
    )
    keep: set[int] = field(default_factory=lambda: {2})
    earlier: list[set[int]] = field(default_factory=list)  # what the steps before the last one keep
    semantic: str = "thing {index} <b>&"
    calls: Counter[str] = field(default_factory=Counter)
    levels: list[tuple[str, ...]] = field(default_factory=list)
    cancelled: Counter[str] = field(default_factory=Counter)
    timeouts: list[int] = field(default_factory=list)  # X-Timeout-Ms as it came in
    unready: str = ""  # why, as /readyz has it
    version: str = "1"
    llm: str = "double"  # that answers, whatever the info says


def services_app(script: Script) -> FastAPI:
    """The three services under one roof."""
    app = FastAPI()

    @app.exception_handler(Problem)
    async def on_problem(request: Request, problem: Problem) -> Response:
        return problem_response(problem)

    async def step(stage: str, request: Request) -> Response | None:
        script.calls[stage] += 1
        if "x-timeout-ms" in request.headers:
            script.timeouts.append(int(request.headers["x-timeout-ms"]))
        failure = script.failing.get(stage)
        if isinstance(failure, Problem):
            raise failure
        if failure == "nonsense":
            return Response("<html>hello</html>", media_type="text/html")
        if failure == "hang":
            while (await request.receive())["type"] != "http.disconnect":
                pass
            script.cancelled[stage] += 1
        await asyncio.sleep(script.latency_s.get(stage, 0))
        while stage in script.holding:
            if await request.is_disconnected():
                script.cancelled[stage] += 1
                break
            await asyncio.sleep(0.01)
        return None

    @app.get("/readyz")
    async def readyz() -> Response:
        body = api.Readiness(status="unready" if script.unready else "ok", needs={"engine": script.unready or "ok"})
        return Response(body.model_dump_json(), 503 if script.unready else 200, media_type="application/json")

    @app.get("/v1/info")
    async def info() -> api.ServiceInfo:
        return api.ServiceInfo(service="double", version=script.version, models={"model": "double"})

    @app.post("/v1/proposals", response_model=api.ProposalsResponse)
    async def proposals(request: Request, image: UploadFile, options: str = Form()) -> object:
        decoded = decode_image(await image.read())
        if answer := await step("proposals", request):
            return answer
        asked = api.ProposalsRequest.model_validate_json(options)
        script.levels.append(asked.levels)
        height, width = decoded.size
        inside = [box for box in script.boxes if box[0] < width and box[1] < height]
        found = tuple(_proposal(decoded.size, box) for box in inside)
        return api.ProposalsResponse(
            width=decoded.size[1],
            height=decoded.size[0],
            levels=dict.fromkeys(asked.levels, found),
            options=dict.fromkeys(asked.levels, asked.options),
            model="double",
            timings_ms={},
        )

    @app.post("/v1/granularity", response_model=api.GranularityResponse)
    async def granularity(request: Request, image: UploadFile) -> object:
        if answer := await step("granularity", request):
            return answer
        return api.GranularityResponse(
            granularity="object", reason="one is asked for", model="double", prompts="p", usage=_one_call()
        )

    @app.post("/v1/semantics", response_model=None)
    async def semantics(request: Request, image: UploadFile) -> Response:
        form = await request.form()
        asked = api.SemanticsRequest.model_validate_json(str(form["request"]))
        if answer := await step("semantics", request):
            return answer
        script.calls["masks"] += len(asked.masks)
        return StreamingResponse(_lines(script, asked), media_type="application/x-ndjson")

    @app.post("/v1/reason", response_model=api.ReasonResponse)
    async def reason(request: Request, body: api.ReasonRequest) -> object:
        if answer := await step("reason", request):
            return answer
        path: list[Step] = []
        rows = list(body.objects)
        for number, keep in enumerate([*script.earlier, script.keep], start=1):
            decisions = tuple(
                Decision(index=row.index, keep=row.index in keep, reasoning=str(row.semantic)) for row in rows
            )
            path.append(Step(step=number, criterion="is asked for", decisions=decisions))
            rows = [row for row in rows if row.index in keep]
        indices = (99,) if script.failing.get("reason") == "invented" else tuple(row.index for row in rows)
        return api.ReasonResponse(
            indices=indices,
            path=tuple(path),
            confidence={},
            mode="sftdt" if body.options.adapter else "zero_shot",
            model=body.options.adapter or script.llm,
            prompts="p",
            usage=_one_call(),
        )

    return app


async def _lines(script: Script, asked: api.SemanticsRequest) -> AsyncIterator[str]:
    for number, item in enumerate(reversed(asked.masks)):  # any order is allowed
        if number >= script.affordable:
            error = Problem("rate_limited", "left out: max_calls 1 reached").details("r")
            line = api.SemanticsLine(index=item.index, error=error)
        elif item.index in script.failing_masks:
            error = Problem("upstream_unavailable", "the engine answered 500").details("r")
            line = api.SemanticsLine(index=item.index, error=error)
        else:
            said = api.Semantics(semantic=script.semantic.format(index=item.index), category="thing", relevance=0.5)
            line = api.SemanticsLine(index=item.index, semantics=said)
        yield line.model_dump_json() + "\n"
        if script.failing.get("semantics") == "cut":
            return
        while "masks" in script.holding:  # noqa: ASYNC110 - the test sets it from another thread
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)
    yield json.dumps(api.SemanticsEnd(model="double", prompts="p", usage=_one_call()).model_dump()) + "\n"


@cache
def _proposal(size: tuple[int, int], box: tuple[int, int, int, int]) -> api.Proposal:
    mask = np.zeros(size, dtype=np.bool_)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return api.Proposal(mask=Mask.encode(mask), predicted_iou=0.9, point=(float(box[0]), float(box[1])))


def _one_call() -> api.EngineUsage:
    return api.EngineUsage(calls=1, prompt_tokens=10, completion_tokens=5)
