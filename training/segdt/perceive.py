"""Perceived twins: what running services of perception and semantics make of an image, as the gateway would."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2
from pydantic import BaseModel, TypeAdapter, ValidationError

from dtwinseger import api
from dtwinseger.problems import Problem, in_words
from dtwinseger.twin import Granularity, TwinObject, build_objects

Model = TypeVar("Model", bound=BaseModel)

CONNECT_S = 5.0
TIMEOUT_S = 600.0  # a hundred masks, each a call of a large VLM
_LINE: TypeAdapter[api.SemanticsLine | api.SemanticsEnd] = TypeAdapter(api.SemanticsLine | api.SemanticsEnd)


class Services:
    """Perception and semantics by URL. Every failure is a Problem that names the service."""

    def __init__(self, perception: str, semantics: str, options: api.SegmentOptions) -> None:
        self._urls = {"perception": perception.rstrip("/"), "semantics": semantics.rstrip("/")}
        self._options = options
        self._exit = AsyncExitStack()
        self._http = httpx2.AsyncClient(timeout=httpx2.Timeout(TIMEOUT_S, connect=CONNECT_S))

    async def __aenter__(self) -> Self:
        await self._exit.enter_async_context(self._http)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exit.aclose()

    async def models(self) -> dict[str, str]:
        """Role -> name and version of the models that the services ask."""
        infos = [await self._get(service, "/v1/info", api.ServiceInfo) for service in self._urls]
        return {role: model for info in infos for role, model in info.models.items()}

    async def granularity(self, image: bytes, query: str) -> Granularity:
        """Eq. 1."""
        request = {"request": api.GranularityRequest(query=query).model_dump_json()}
        response = await self._post("semantics", "/v1/granularity", request, image)
        return _parse("semantics", api.GranularityResponse, response.content).granularity

    async def twin(self, image: bytes, query: str, granularity: Granularity) -> tuple[TwinObject, ...]:
        """The objects that are found in `image` (its file's bytes) and described, by area, with indices 1..N.

        The query is left out of the question to the VLM where the options' scope is `image`. What cannot be described
        has no semantic, as for the reasoner. Raises Problem where a service fails or most masks cannot be described.
        """
        request = api.ProposalsRequest(levels=(granularity,), options=self._options.proposals)
        response = await self._post("perception", "/v1/proposals", {"options": request.model_dump_json()}, image)
        answer = await asyncio.to_thread(_parse, "perception", api.ProposalsResponse, response.content)
        proposals = [proposal for proposal in answer.levels.get(granularity, ()) if proposal.mask.area]
        described = await self._describe(image, query, proposals) if proposals else {}
        semantics = [described.get(place) for place in range(1, len(proposals) + 1)]
        lost = semantics.count(None)
        if 2 * lost > len(proposals):
            raise Problem("upstream_invalid", f"{lost} of {len(proposals)} masks could not be described")
        masks, ious = [p.mask for p in proposals], [p.predicted_iou for p in proposals]
        return await asyncio.to_thread(build_objects, masks, ious, semantics)

    async def _describe(self, image: bytes, query: str, proposals: list[api.Proposal]) -> dict[int, api.Semantics]:
        """Place of the proposal, from 1 -> what is said of it, for those that could be described."""
        options = self._options.semantics
        request = api.SemanticsRequest(
            query=query if options.scope == "query" else None,
            masks=tuple(api.DescribedMask(index=n, mask=p.mask) for n, p in enumerate(proposals, start=1)),
            options=options,
        )
        response = await self._post("semantics", "/v1/semantics", {"request": request.model_dump_json()}, image)
        described: dict[int, api.Semantics] = {}
        for line in response.text.splitlines():
            try:
                item = _LINE.validate_json(line)
            except ValidationError as error:
                raise Problem("upstream_invalid", f"semantics broke its contract: {in_words(error)[:300]}") from error
            if isinstance(item, api.SemanticsEnd):
                return described
            if item.semantics is not None:
                described[item.index] = item.semantics
        raise Problem("upstream_invalid", "semantics ended its stream without a closing line")

    async def _get(self, service: str, path: str, kind: type[Model]) -> Model:
        return _parse(service, kind, (await self._send(service, "GET", path)).content)

    async def _post(self, service: str, path: str, form: Mapping[str, str], image: bytes) -> httpx2.Response:
        files = {"image": ("image", image, "application/octet-stream")}
        return await self._send(service, "POST", path, data=dict(form), files=files)

    async def _send(self, service: str, method: str, path: str, **content: Any) -> httpx2.Response:
        url = self._urls[service]
        try:
            response = await self._http.request(method, url + path, **content)
        except httpx2.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise Problem("upstream_unavailable", f"{service} at {url} cannot be reached ({reason})") from error
        if response.is_error:
            raise _problem(service, response)
        return response


def _problem(service: str, response: httpx2.Response) -> Problem:
    """The service's own problem; what answers otherwise is no service of ours, and no fault of the image."""
    try:
        problem = Problem.from_body(response.json())
    except ValueError:
        problem = None
    if problem is None:
        return Problem("upstream_unavailable", f"{service} at {response.url} answers {response.status_code}")
    return Problem(problem.code, f"{service}: {problem.detail}")


def _parse(service: str, kind: type[Model], body: bytes) -> Model:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise Problem("upstream_invalid", f"{service} broke its contract: {in_words(error)[:300]}") from error
