"""Perception and semantics over HTTP that see in an image what a test says is in it."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from fastapi import FastAPI, Form, Request, Response, UploadFile

from dtwinseger import api
from dtwinseger.images import decode_image
from dtwinseger.problems import Problem
from dtwinseger.service.app import problem_response
from dtwinseger.twin import Mask
from tests.doubles.serving import serving


@dataclass(frozen=True)
class Seen:
    """A mask that is proposed, and what is said of it; None cannot be described."""

    mask: Mask
    said: api.Semantics | None
    predicted_iou: float = 0.9


@dataclass
class Eyes:
    """What is seen in each image, by the SHA-256 of its bytes; `failing` is raised where it is set.

    parts: what is seen there by one who looks for parts, where that is something else.
    """

    images: dict[str, Sequence[Seen]] = field(default_factory=dict)
    parts: dict[str, Sequence[Seen]] = field(default_factory=dict)
    failing: Problem | None = None
    queries: list[str | None] = field(default_factory=list)  # with which descriptions were asked for
    url: str = ""

    def show(self, image: bytes, seen: Sequence[Seen], parts: Sequence[Seen] = ()) -> None:
        """From now on this is seen in `image`."""
        self.images[hashlib.sha256(image).hexdigest()] = seen
        self.parts[hashlib.sha256(image).hexdigest()] = parts or seen


@contextmanager
def eyes() -> Iterator[Eyes]:
    """Both services at one URL, until the block ends."""
    sight = Eyes()
    app = FastAPI()

    @app.exception_handler(Problem)
    async def on_problem(request: Request, problem: Problem) -> Response:
        return problem_response(problem)

    @app.get("/v1/info")
    async def info() -> api.ServiceInfo:
        return api.ServiceInfo(service="eyes", version="1", models={"sam": "eyes"})

    @app.post("/v1/proposals")
    async def proposals(image: UploadFile, options: str = Form()) -> api.ProposalsResponse:
        if sight.failing:
            raise sight.failing
        asked = api.ProposalsRequest.model_validate_json(options)
        decoded = decode_image(await image.read())
        found = {
            level: tuple(
                api.Proposal(mask=seen.mask, predicted_iou=seen.predicted_iou, point=(0.0, 0.0))
                for seen in (sight.parts if level == "part" else sight.images)[decoded.sha256]
            )
            for level in asked.levels
        }
        return api.ProposalsResponse(
            width=decoded.size[1],
            height=decoded.size[0],
            levels=found,
            options=dict.fromkeys(asked.levels, asked.options),
            model="eyes",
            timings_ms={},
        )

    @app.post("/v1/granularity")
    async def granularity(image: UploadFile) -> api.GranularityResponse:
        return api.GranularityResponse(
            granularity="object", reason="one", model="eyes", prompts="p", usage=api.EngineUsage()
        )

    @app.post("/v1/semantics")
    async def semantics(image: UploadFile, request: Request) -> Response:
        asked = api.SemanticsRequest.model_validate_json(str((await request.form())["request"]))
        sight.queries.append(asked.query)
        sha256 = hashlib.sha256(await image.read()).hexdigest()
        views = [{seen.mask: seen.said for seen in shown[sha256]} for shown in (sight.images, sight.parts)]
        said = next(view for view in views if all(item.mask in view for item in asked.masks))
        unable = Problem("upstream_invalid", "no words").details()
        lines: list[api.SemanticsLine | api.SemanticsEnd] = [
            api.SemanticsLine(index=item.index, semantics=words, error=None if words else unable)
            for item in asked.masks
            for words in [said[item.mask]]
        ]
        lines.append(api.SemanticsEnd(model="eyes", prompts="p", usage=api.EngineUsage()))
        return Response("".join(line.model_dump_json() + "\n" for line in lines), media_type="application/x-ndjson")

    with serving(app) as sight.url:
        yield sight
