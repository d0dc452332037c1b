"""Semantics as a service: granularity and descriptions. Run: `uvicorn --factory services.semantics.app:create`."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from fastapi import FastAPI, Form, Request, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ValidationError

from dtwinseger import __version__, api, prompts
from dtwinseger.images import decode_image
from dtwinseger.problems import Problem, in_words
from dtwinseger.prompts.questions import every_way, semantics_digest
from dtwinseger.service.admission import Admission
from dtwinseger.service.app import create_app
from dtwinseger.service.engine import Engine
from dtwinseger.service.request import attend
from dtwinseger.service.start import UnusableError, read_settings, starting
from dtwinseger.weights import SumsError, require_sums
from services.semantics.calls import Calls
from services.semantics.describing import describe
from services.semantics.granularity import granularity
from services.semantics.refusals import require_describable, require_supported
from services.semantics.settings import SemanticsSettings
from services.semantics.stream import Lines, ndjson

if TYPE_CHECKING:
    from services.semantics.owlv2 import Owlv2

T = TypeVar("T", bound=BaseModel)


def create() -> FastAPI:
    """The app, configured from the environment. Exits with one line where a setting is wrong."""
    with starting("semantics", SumsError):
        settings = read_settings(SemanticsSettings)
        require_sums(Path(settings.engine.model))
        detector = _detector(settings)
    engine = Engine(settings.engine, "vlm")
    admission = Admission(settings.max_running, settings.max_queued)
    # As many at once as there are cores, first come, first served: more would only keep the first calls waiting.
    drawing = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="drawing")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with engine:
            yield
        drawing.shutdown(wait=False, cancel_futures=True)
        if detector:
            detector.close()

    async def readiness(app: FastAPI) -> Mapping[str, str]:
        return {"engine": await engine.state()}

    app = create_app(
        "semantics", lifespan=lifespan, readiness=readiness, log_level=settings.log_level, drain_s=settings.drain_s
    )

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
        require_supported(wanted, settings.engine, detector is not None)
        data = await image.read()
        lines: Lines = asyncio.Queue()
        calls = Calls(engine, wanted.options)

        async def work() -> None:
            decoded = await asyncio.to_thread(decode_image, data)
            await asyncio.to_thread(require_describable, wanted.masks, decoded.size)
            if wanted.options.source == "vlm" or not detector:
                await describe(calls, drawing, decoded.pixels, wanted, settings.side, lines.put_nowait)
                return
            detected = await detector.describe(decoded.pixels, wanted, settings.owlv2_threshold, settings.owlv2_iou)
            for item, semantics in zip(wanted.masks, detected, strict=True):
                lines.put_nowait(api.SemanticsLine(index=item.index, semantics=semantics))

        def end() -> api.SemanticsEnd:
            if wanted.options.source == "owlv2" and detector:
                return api.SemanticsEnd(model=detector.identity, prompts=detector.prompts, usage=calls.usage)
            return api.SemanticsEnd(
                model=settings.engine.identity, prompts=semantics_digest(wanted.options), usage=calls.usage
            )

        job = asyncio.create_task(attend(request, admission, settings.timeout_s, work))
        return StreamingResponse(await ndjson(job, lines, wanted.masks, end), media_type="application/x-ndjson")

    @app.get("/v1/info")
    async def info() -> api.ServiceInfo:
        """What is served."""
        return api.ServiceInfo(
            service="semantics",
            version=__version__,
            models={"vlm": settings.engine.identity} | ({"owlv2": detector.identity} if detector else {}),
            prompts=prompts.digest(prompts.GRANULARITY, semantics_digest(*every_way())),
            settings={"view_side": settings.side} | (_thresholds(settings) if detector else {}),
        )

    return app


def _thresholds(settings: SemanticsSettings) -> dict[str, float]:
    return {"owlv2_threshold": settings.owlv2_threshold, "owlv2_iou": settings.owlv2_iou}


def _detector(settings: SemanticsSettings) -> "Owlv2 | None":
    """Loaded only where it is configured, for it brings torch. Raises UnusableError where it cannot be served."""
    if not settings.owlv2_model:
        return None
    try:
        from services.semantics.owlv2 import Owlv2, Owlv2Error
    except ImportError as error:
        raise UnusableError(f"OWLv2 needs the extra `owlv2`, {error.name} is missing") from error
    try:
        return Owlv2.load(settings.owlv2_model)
    except Owlv2Error as error:
        raise UnusableError(str(error)) from error


def _parsed(contract: type[T], text: str) -> T:
    """The form's `request`. Raises Problem `invalid_options`."""
    try:
        return contract.model_validate_json(text)
    except ValidationError as error:
        raise Problem("invalid_options", f"request: {in_words(error)[:500]}") from error


def _checked(query: str) -> str:
    """Raises Problem `invalid_query` for one that is empty or too long."""
    if not 1 <= len(prompts.one_line(query).strip()) <= api.MAX_QUERY_CHARACTERS:
        raise Problem(
            "invalid_query", f"a query has 1 to {api.MAX_QUERY_CHARACTERS:,} characters, this one {len(query):,}"
        )
    return query
