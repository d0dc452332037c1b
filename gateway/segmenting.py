"""The routes that segment: `POST /segment`, and `POST /dt/<id>/segment` for another query on the same image."""

import asyncio
from hashlib import sha256
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from dtwinseger import api
from dtwinseger.problems import Problem, in_words
from dtwinseger.service.deadline import deadline, requested
from dtwinseger.service.form import FormRoute
from gateway import keys, twins
from gateway.answering import EVENTS, PNG, answer
from gateway.build import Asked, Infos, Order
from gateway.cache import Cache
from gateway.openapi import ImageField, OptionsField, QueryField, TwinId, content, problems
from gateway.runs import Runs
from gateway.settings import GatewaySettings
from gateway.tenant import OwnCache
from gateway.upstream import Services

INFOS_S = 10.0  # for services that were never seen, at most

ANSWERS: dict[int | str, dict[str, Any]] = {
    **content(PNG, EVENTS, words="The answer: JSON, the mask, or the stages as they end."),
    202: {"model": api.TwinStatus, "description": "The twin is being built; see `Location`."},
    **problems(
        "invalid_image",
        "image_too_large",
        "invalid_query",
        "invalid_options",
        "rate_limited",
        "not_found",
        "gone",
        "overloaded",
        "upstream_unavailable",
        "upstream_invalid",
        "deadline_exceeded",
        "storage_unavailable",
    ),
}


def router(services: Services, runs: Runs, settings: GatewaySettings) -> APIRouter:
    """The routes, over what they work with."""
    routes = APIRouter(responses=ANSWERS, route_class=FormRoute)

    @routes.post("/segment", response_model=api.SegmentResult)
    async def segment(
        request: Request, cache: OwnCache, image: ImageField, query: QueryField, options: OptionsField = "{}"
    ) -> Response:
        """Answer a query about an image: the mask of what answers it, and why."""
        asked_for, chosen = checked_query(query), _options(options)
        data = await image.read()
        asked = Asked(data, await asyncio.to_thread(_sha256, data), asked_for, chosen)
        return await answer(request, await _order(request, services, cache, asked), runs, settings)

    @routes.post("/dt/{identity}/segment", response_model=api.SegmentResult)
    async def ask_again(request: Request, cache: OwnCache, identity: TwinId, body: api.AskRequest) -> Response:
        """Answer another query about the image of a twin; its proposals are reused, and what its scope allows."""
        query = checked_query(body.query)
        twin = await twins.find(cache, identity)
        before = await twins.request_of(cache, identity)
        image = await twins.image_of(cache, twin)
        chosen = before.options.model_copy(
            update={
                "semantics": body.semantics or before.options.semantics,
                "reasoning": body.reasoning or before.options.reasoning,
                "mask_format": body.mask_format,
            }
        )
        asked = Asked(image, twin.image.sha256, query, chosen, (twin.image.height, twin.image.width))
        return await answer(request, await _order(request, services, cache, asked), runs, settings)

    return routes


def checked_query(text: str) -> str:
    """The query without the blanks around it. Raises Problem `invalid_query`."""
    query = text.strip()
    if not query:
        raise Problem("invalid_query", "the query is empty; say what to look for")
    if len(query) > api.MAX_QUERY_CHARACTERS:
        raise Problem(
            "invalid_query", f"the query has {len(query):,} characters; at most {api.MAX_QUERY_CHARACTERS:,} fit"
        )
    return query


async def _order(request: Request, services: Services, cache: Cache, asked: Asked) -> Order:
    async with deadline(requested(request.headers.get(api.TIMEOUT_HEADER), INFOS_S)):
        infos = Infos(*await services.infos())
    versions = [infos.perception, infos.semantics, infos.reasoner]
    # The mask's format is how the answer is told, not what it is.
    options = asked.options.model_copy(update={"mask_format": "rle"})
    return Order(keys.twin_id(cache.tenant, asked.sha256, asked.query, options, versions), asked, infos, cache)


def _options(text: str) -> api.SegmentOptions:
    """The options, an object in JSON. Raises Problem `invalid_options`."""
    try:
        return api.SegmentOptions.model_validate_json(text)
    except ValidationError as error:
        raise Problem("invalid_options", in_words(error)) from error


def _sha256(data: bytes) -> str:
    return sha256(data).hexdigest()
