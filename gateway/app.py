"""The gateway: the public API of DESIGN section 4. Run: `uvicorn --factory gateway.app:create`."""

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx2
from fastapi import FastAPI, Form, Header, Request, Response, UploadFile
from pydantic import ValidationError

from dtwinseger import api
from dtwinseger.problems import Problem, ProblemDetails, in_words
from dtwinseger.service.admission import Admission
from dtwinseger.service.app import create_app
from dtwinseger.service.request import attend
from dtwinseger.twin import DigitalTwin
from gateway import pages
from gateway.cache import Cache
from gateway.negotiation import preferred
from gateway.overlay import overlay_png
from gateway.pipeline import Pipeline
from gateway.result import answer_mask, mask_png
from gateway.settings import GatewaySettings
from gateway.store import open_store
from gateway.upstream import Service, Services

JSON, PNG, HTML = "application/json", "image/png", "text/html"


def create() -> FastAPI:
    """The app, configured from the environment."""
    settings = GatewaySettings()
    urls: dict[Service, str] = {
        "perception": settings.perception_url,
        "semantics": settings.semantics_url,
        "reasoner": settings.reasoner_url,
    }
    store = open_store(settings.store_url)
    cache = Cache(store, settings.ttl_s)
    http = httpx2.AsyncClient(limits=httpx2.Limits(max_connections=None))
    services = Services(http, urls)
    pipeline = Pipeline(services, cache)
    admission = Admission(settings.max_running, settings.max_queued)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with http:
            yield
        await store.close()

    async def readiness(app: FastAPI) -> Mapping[str, str]:
        states = await asyncio.gather(*(services.ready(service) for service in urls))
        await cache.probe()
        error = cache.last_error
        return dict(zip(urls, states, strict=True)) | {"store": f"degraded: {error}" if error else "ok"}

    app = create_app("gateway", lifespan=lifespan, readiness=readiness, log_level=settings.log_level)
    problems: dict[int | str, dict[str, Any]] = {
        "default": {"model": ProblemDetails, "description": "An RFC 9457 problem"}
    }

    @app.get("/", include_in_schema=False)
    async def index() -> Response:
        return pages.index_page()

    @app.get("/static/{name}", include_in_schema=False)
    async def static(name: str) -> Response:
        if name not in pages.STATIC:
            raise Problem("not_found", f"there is no file {name!r}")
        return Response(pages.static_file(name), media_type=pages.STATIC[name])

    @app.post("/segment", responses={200: {"content": {PNG: {}}}, **problems}, response_model=api.SegmentResult)
    async def segment(
        request: Request,
        image: UploadFile,
        query: Annotated[str, Form()],
        options: Annotated[str, Form()] = "{}",
        accept: Annotated[str, Header()] = "*/*",
    ) -> Response:
        """Answer a query about an image: the mask of what answers it, and why."""
        asked, chosen = _query(query), _options(options)
        kind = preferred(accept, (JSON, PNG))
        if kind == PNG:
            chosen = chosen.model_copy(update={"mask_format": "png"})
        data = await image.read()
        result = await attend(request, admission, settings.timeout_s, lambda: pipeline.segment(data, asked, chosen))
        headers = {"Content-Location": f"/dt/{result.twin_id}", "Vary": "Accept"}
        if kind == PNG and isinstance(result.mask, api.PngMask):
            return Response(base64.b64decode(result.mask.png), media_type=PNG, headers=headers)
        return Response(result.model_dump_json(), media_type=JSON, headers=headers)

    @app.get("/dt/{identity}", responses=problems, response_model=DigitalTwin)
    async def twin(
        identity: str,
        accept: Annotated[str, Header()] = "*/*",
        format: str | None = None,  # noqa: A002
    ) -> Response:
        """The twin: JSON, or a page for a browser."""
        if format not in (None, "json"):
            raise Problem("invalid_options", f"unknown format {format!r}: leave it out or use json")
        found = await pipeline.twin(identity)
        if format is None and preferred(accept, (JSON, HTML)) == HTML:
            return pages.twin_page(found)
        return Response(found.model_dump_json(), media_type=JSON, headers={"Vary": "Accept"})

    @app.delete("/dt/{identity}", status_code=204, responses=problems)
    async def forget(identity: str) -> None:
        """Remove the twin; from then on it is gone. Stage results and image, which other twins share, expire."""
        await pipeline.forget(identity)

    @app.get("/dt/{identity}/overlay.png", responses=problems, response_class=Response)
    async def overlay(identity: str) -> Response:
        """The image with every object outlined and numbered, the answer filled."""
        found = await pipeline.twin(identity)
        jpeg = await pipeline.image(found)
        return Response(await asyncio.to_thread(overlay_png, found, jpeg), media_type=PNG)

    @app.get("/dt/{identity}/mask.png", responses=problems, response_class=Response)
    async def mask(identity: str) -> Response:
        """The answer's mask, 0 and 255, the size of the image."""
        found = await pipeline.twin(identity)
        return Response(await asyncio.to_thread(lambda: mask_png(answer_mask(found))), media_type=PNG)

    @app.get("/dt/{identity}/objects/{index}/mask.png", responses=problems, response_class=Response)
    async def object_mask(identity: str, index: int) -> Response:
        """One object's mask, 0 and 255, the size of the image."""
        found = await pipeline.twin(identity)
        item = next((item for item in found.objects if item.index == index), None)
        if item is None:
            raise Problem("not_found", f"the twin has no object {index}; it has {len(found.objects)}")
        return Response(await asyncio.to_thread(mask_png, item.mask), media_type=PNG)

    return app


def _query(text: str) -> str:
    """The query without the blanks around it. Raises Problem `invalid_query`."""
    query = text.strip()
    if not query:
        raise Problem("invalid_query", "the query is empty; say what to look for")
    if len(query) > api.MAX_QUERY_CHARACTERS:
        raise Problem(
            "invalid_query", f"the query has {len(query):,} characters; at most {api.MAX_QUERY_CHARACTERS:,} fit"
        )
    return query


def _options(text: str) -> api.SegmentOptions:
    """The options, an object in JSON. Raises Problem `invalid_options`."""
    try:
        return api.SegmentOptions.model_validate_json(text)
    except ValidationError as error:
        raise Problem("invalid_options", in_words(error)) from error
