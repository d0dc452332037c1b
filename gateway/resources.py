"""The routes of a twin: `/dt/<id>` and what hangs below it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import StreamingResponse
from pydantic.json_schema import SkipJsonSchema

from dtwinseger import api
from dtwinseger.problems import Problem, ProblemDetails
from dtwinseger.service.middleware import request_id
from dtwinseger.twin import DigitalTwin
from dtwinseger.twin.coco import CocoDataset
from gateway import handoff, pages, sse, twins
from gateway.answering import EVENTS, JSON, PNG, RETRY_AFTER_S, watch
from gateway.build import StoredRequest
from gateway.cache import Cache
from gateway.export import MEDIA_TYPES, exported
from gateway.journal import Journal, Snapshot
from gateway.negotiation import preferred
from gateway.openapi import TwinId, content, problems
from gateway.overlay import overlay_png
from gateway.result import answer_mask, mask_png, stored_result
from gateway.runs import Runs
from gateway.tenant import OwnCache

HTML, JPEG = "text/html", "image/jpeg"


def router(runs: Runs) -> APIRouter:
    """The routes, over what they work with."""
    routes = APIRouter(prefix="/dt/{identity}", responses=problems("not_found", "gone", "storage_unavailable"))

    async def standing(cache: Cache, identity: str) -> Snapshot | None:
        run = runs.find(cache.tenant, identity)
        return run.journal.snapshot() if run else await handoff.standing(cache, identity)

    async def found(cache: Cache, identity: str) -> DigitalTwin | Snapshot:
        """The twin, or how its build stands. Raises Problem as `twins.find` does."""
        try:
            return await twins.find(cache, identity)
        except Problem:
            # A build that has ended between the two looks is in the store at the third.
            return await standing(cache, identity) or await twins.find(cache, identity)

    async def ready(cache: Cache, identity: str) -> DigitalTwin:
        """The twin. Raises Problem `not_found` while it is being built, and as `twins.find` does."""
        twin = await found(cache, identity)
        if isinstance(twin, DigitalTwin):
            return twin
        told = twin.status.problem
        detail = f"it could not be built: {told.detail}" if told else "it is still being built; see its status"
        raise Problem("not_found", f"this twin is not there: {detail}", retry_after=RETRY_AFTER_S)

    @routes.get(
        "",
        response_model=DigitalTwin | api.TwinStatus | CocoDataset,
        responses=content(HTML, MEDIA_TYPES["geojson"], words="The twin or an export of it, or how far its build is."),
    )
    async def twin(
        request: Request,
        cache: OwnCache,
        identity: TwinId,
        accept: Annotated[str, Header(include_in_schema=False)] = "*/*",
        format: api.ExportFormat | SkipJsonSchema[None] = None,  # noqa: A002
    ) -> Response:
        """The twin, or how far its build is: JSON, or a page for a browser. An export of it, where it is there."""
        kind = format or "json"
        headers = {"Vary": "Accept"}
        if kind != "json":
            body = await asyncio.to_thread(exported, await ready(cache, identity), kind)
            return Response(body, media_type=MEDIA_TYPES[kind], headers=headers)
        as_page = format is None and preferred(accept, (JSON, HTML)) == HTML
        try:
            there = await found(cache, identity)
        except Problem as problem:
            if as_page:
                return pages.problem_page(problem.details(request_id.get()))
            raise
        if isinstance(there, Snapshot):
            if as_page:
                return pages.building_page(there.status)
            if there.status.status == "building":
                headers["Retry-After"] = str(RETRY_AFTER_S)
            return Response(there.status.model_dump_json(), media_type=JSON, headers=headers)
        whole = await twins.with_asked(cache, there)
        if as_page:
            asked = await cache.get(f"request:{identity}", StoredRequest)
            return pages.twin_page(whole, asked, str(request.base_url))
        return Response(whole.model_dump_json(), media_type=JSON, headers=headers)

    @routes.get("/events", response_class=StreamingResponse, responses=content(EVENTS))
    async def events(request: Request, cache: OwnCache, identity: TwinId) -> Response:
        """The stages of the build and the objects as they are described, then the result or the problem."""
        last_id = request.headers.get("last-event-id", "")
        if run := runs.find(cache.tenant, identity) or runs.untold(cache.tenant, identity):
            body = watch(run, last_id)
        elif (snapshot := await handoff.standing(cache, identity)) and not snapshot.status.problem:
            body = _followed(cache, Journal(identity, snapshot.status.query))
        elif snapshot and snapshot.status.problem:
            body = _ended(identity, snapshot.status.problem)
        else:
            body = _ended(identity, await twins.find(cache, identity))
        return StreamingResponse(body, media_type=EVENTS, headers=sse.HEADERS)

    @routes.delete("", status_code=204)
    async def forget(cache: OwnCache, identity: TwinId) -> None:
        """Remove the twin, or stop its build; from then on it is gone. Image and stage results, shared, expire."""
        if await standing(cache, identity):
            try:
                await handoff.remove(cache, identity)
            finally:
                if run := runs.find(cache.tenant, identity):
                    await run.stop(handoff.removed())
            await twins.remember(cache, identity)
            if await cache.get(f"twin:{identity}", DigitalTwin) is None:
                return
        await twins.forget(cache, identity)

    @routes.get("/image.jpg", response_class=Response, responses=content(JPEG))
    async def image(cache: OwnCache, identity: TwinId) -> Response:
        """The image, upright and without its metadata."""
        return Response(await twins.image_of(cache, await ready(cache, identity)), media_type=JPEG)

    @routes.get("/overlay.png", response_class=Response, responses=content(PNG))
    async def overlay(cache: OwnCache, identity: TwinId) -> Response:
        """The image with every object outlined and numbered, the answer filled."""
        whole = await ready(cache, identity)
        jpeg = await twins.image_of(cache, whole)
        return Response(await asyncio.to_thread(overlay_png, whole, jpeg), media_type=PNG)

    @routes.get("/mask.png", response_class=Response, responses=content(PNG))
    async def mask(cache: OwnCache, identity: TwinId) -> Response:
        """The answer's mask, 0 and 255, the size of the image."""
        whole = await ready(cache, identity)
        return Response(await asyncio.to_thread(lambda: mask_png(answer_mask(whole))), media_type=PNG)

    @routes.get("/objects/{index}/mask.png", response_class=Response, responses=content(PNG))
    async def object_mask(cache: OwnCache, identity: TwinId, index: int) -> Response:
        """One object's mask, 0 and 255, the size of the image."""
        whole = await ready(cache, identity)
        item = next((item for item in whole.objects if item.index == index), None)
        if item is None:
            raise Problem("not_found", f"the twin has no object {index}; it has {len(whole.objects)}")
        return Response(await asyncio.to_thread(mask_png, item.mask), media_type=PNG)

    return routes


async def _followed(cache: Cache, journal: Journal) -> AsyncIterator[bytes]:
    """The events of a build that another gateway leads."""
    following = asyncio.create_task(handoff.follow(cache, journal))
    following.add_done_callback(lambda _: journal.close())

    async def result() -> api.SegmentResult:
        if (twin := await following) is None:
            raise Problem("upstream_unavailable", "the build was given up; send the request again", retry_after=1)
        return await asyncio.to_thread(stored_result, twin)

    try:
        async for event in sse.events(journal, "", result):
            yield event
    finally:
        following.cancel()


async def _ended(identity: str, end: DigitalTwin | ProblemDetails) -> AsyncIterator[bytes]:
    """The one event that is left of a build."""

    async def result() -> api.SegmentResult:
        if isinstance(end, ProblemDetails):
            raise Problem(end.code, end.detail)
        return await asyncio.to_thread(stored_result, end)

    yield await sse.last(identity, 1, result)
