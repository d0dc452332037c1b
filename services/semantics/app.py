"""Semantics as a service: granularity and descriptions. Run: `uvicorn --factory services.semantics.app:create`."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, TypeVar

from fastapi import FastAPI, Form, Request, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ValidationError

from dtwinseger import __version__, api, prompts
from dtwinseger.images import decode_image
from dtwinseger.problems import Problem, in_words
from dtwinseger.service.admission import Admission
from dtwinseger.service.app import create_app
from dtwinseger.service.engine import Engine
from dtwinseger.service.request import attend
from services.semantics.describing import describe, require_describable
from services.semantics.granularity import granularity
from services.semantics.settings import SemanticsSettings
from services.semantics.stream import Lines, ndjson

T = TypeVar("T", bound=BaseModel)


def create() -> FastAPI:
    """The app, configured from the environment."""
    settings = SemanticsSettings()
    engine = Engine(settings.engine)
    admission = Admission(settings.max_running, settings.max_queued)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with engine:
            yield

    async def readiness(app: FastAPI) -> Mapping[str, str]:
        return {"engine": await engine.state()}

    app = create_app("semantics", lifespan=lifespan, readiness=readiness, log_level=settings.log_level)

    @app.post("/v1/granularity")
    async def ask_granularity(
        request: Request, image: UploadFile, asked: Annotated[str, Form(alias="request")]
    ) -> api.GranularityResponse:
        """At which granularity the query is answered (Eq. 1)."""
        query = _checked(_parsed(api.GranularityRequest, asked).query)
        data = await image.read()

        async def work() -> api.GranularityResponse:
            decoded = await asyncio.to_thread(decode_image, data)
            return await granularity(engine, decoded.pixels, query, settings.side)

        return await attend(request, admission, settings.timeout_s, work)

    @app.post("/v1/semantics", response_class=StreamingResponse)
    async def ask_semantics(
        request: Request, image: UploadFile, asked: Annotated[str, Form(alias="request")]
    ) -> StreamingResponse:
        """A line of NDJSON for each mask as it completes, then the closing line (Eq. 4)."""
        wanted = await asyncio.to_thread(_parsed, api.SemanticsRequest, asked)
        if wanted.query is not None:
            _checked(wanted.query)
        data = await image.read()
        lines: Lines = asyncio.Queue()

        async def work() -> None:
            decoded = await asyncio.to_thread(decode_image, data)
            await asyncio.to_thread(require_describable, wanted.masks, decoded.size)
            await describe(engine, decoded.pixels, wanted, settings.side, lines.put_nowait)

        def end(usage: api.EngineUsage) -> api.SemanticsEnd:
            return api.SemanticsEnd(
                model=settings.engine.identity, prompts=prompts.digest(prompts.SEMANTICS), usage=usage
            )

        job = asyncio.create_task(attend(request, admission, settings.timeout_s, work))
        return StreamingResponse(await ndjson(job, lines, wanted.masks, end), media_type="application/x-ndjson")

    @app.get("/v1/info")
    async def info() -> api.ServiceInfo:
        """What is served."""
        return api.ServiceInfo(
            service="semantics",
            version=__version__,
            models={"vlm": settings.engine.identity},
            prompts=prompts.digest(prompts.GRANULARITY, prompts.SEMANTICS),
            settings={"view_side": settings.side},
        )

    return app


def _parsed(contract: type[T], text: str) -> T:
    """The form's `request`. Raises Problem `invalid_options`."""
    try:
        return contract.model_validate_json(text)
    except ValidationError as error:
        raise Problem("invalid_options", f"request: {in_words(error)[:500]}") from error


def _checked(query: str) -> str:
    """Raises Problem `invalid_query` for one that is empty or too long."""
    if not 1 <= len(query.strip()) <= api.MAX_QUERY_CHARACTERS:
        raise Problem(
            "invalid_query", f"a query has 1 to {api.MAX_QUERY_CHARACTERS:,} characters, this one {len(query):,}"
        )
    return query
