"""The three services as the gateway calls them. No retries here: the one retry layer is the engine client's."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Literal, TypeVar

import httpx2
from prometheus_client import Gauge
from pydantic import BaseModel, TypeAdapter, ValidationError

from dtwinseger import api
from dtwinseger.problems import Problem, in_words
from dtwinseger.service.deadline import forwarded
from dtwinseger.service.middleware import request_id
from dtwinseger.service.telemetry import http_call
from dtwinseger.twin import TwinRow

Service = Literal["perception", "semantics", "reasoner"]
Model = TypeVar("Model", bound=BaseModel)

INFO_TTL_S = 30.0  # a service that is redeployed with another model is noticed within this time
INFO_TIMEOUT_S = 2.0
_CONNECT_TIMEOUT_S = 2.0
_READY = Gauge("gateway_upstream_ready", "1 where it said that it is ready when /readyz last asked.", ["upstream"])
_LINE: TypeAdapter[api.SemanticsLine | api.SemanticsEnd] = TypeAdapter(api.SemanticsLine | api.SemanticsEnd)


class Services:
    """Calls to perception, semantics and reasoner; every failure is a Problem that names the service."""

    def __init__(self, http: httpx2.AsyncClient, urls: dict[Service, str]) -> None:
        self._http = http
        self._urls = {service: url.rstrip("/") for service, url in urls.items()}
        self._infos: dict[Service, tuple[float, api.ServiceInfo]] = {}
        self._failed: dict[Service, tuple[float, Problem]] = {}
        self._asking = {service: asyncio.Lock() for service in urls}

    async def info(self, service: Service) -> api.ServiceInfo:
        """What the service serves; the last answer stands while a service that was seen is away."""
        if (fresh := self._fresh_info(service)) is not None:
            return fresh
        came_at = time.monotonic()
        async with self._asking[service]:
            # Others waited for the same answer.
            if (fresh := self._fresh_info(service)) is not None:
                return fresh
            failed_at, failure = self._failed.get(service, (0.0, None))
            if failure and failed_at >= came_at:
                raise Problem(failure.code, failure.detail, retry_after=failure.retry_after)
            try:
                response = await self._send(service, "GET", "/v1/info", timeout=INFO_TIMEOUT_S)
                info = _parse(service, api.ServiceInfo, response.content)
            except Problem as problem:
                if service not in self._infos:
                    self._failed[service] = (time.monotonic(), problem)
                    raise
                _, info = self._infos[service]
            self._infos[service] = (time.monotonic(), info)
            return info

    def _fresh_info(self, service: Service) -> api.ServiceInfo | None:
        asked_at, info = self._infos.get(service, (0.0, None))
        return info if info and time.monotonic() - asked_at < INFO_TTL_S else None

    async def infos(self) -> list[api.ServiceInfo]:
        """All three, in the order perception, semantics, reasoner."""
        return list(await asyncio.gather(*(self.info(s) for s in ("perception", "semantics", "reasoner"))))

    async def ready(self, service: Service) -> str:
        """ "ok", or what is wrong with the service."""
        try:
            response = await self._request(service, "GET", "/readyz", timeout=INFO_TIMEOUT_S)
            state = "ok" if response.is_success else _unmet(service, response)
        except Problem as problem:
            state = problem.detail
        _READY.labels(service).set(state == "ok")
        return state

    async def proposals(self, image: bytes, request: api.ProposalsRequest) -> api.ProposalsResponse:
        """`POST /v1/proposals`."""
        form = {"options": request.model_dump_json()}
        response = await self._send("perception", "POST", "/v1/proposals", data=form, files=_upload(image))
        return await asyncio.to_thread(_parse_proposals, response.content)

    async def granularity(self, image: bytes, query: str) -> api.GranularityResponse:
        """`POST /v1/granularity` (Eq. 1)."""
        form = {"request": api.GranularityRequest(query=query).model_dump_json()}
        response = await self._send("semantics", "POST", "/v1/granularity", data=form, files=_upload(image))
        return _parse("semantics", api.GranularityResponse, response.content)

    async def semantics(
        self, image: bytes, request: api.SemanticsRequest
    ) -> AsyncIterator[api.SemanticsLine | api.SemanticsEnd]:
        """`POST /v1/semantics` (Eq. 4), line by line; raises `upstream_invalid` where the stream was cut."""
        form = {"request": request.model_dump_json()}
        async with self._stream("semantics", "/v1/semantics", data=form, files=_upload(image)) as response:
            async for line in response.aiter_lines():
                try:
                    item = _LINE.validate_json(line)
                except ValidationError as error:
                    raise Problem("upstream_invalid", f"semantics broke its contract: {in_words(error)}") from error
                yield item
                if isinstance(item, api.SemanticsEnd):
                    return
        raise Problem("upstream_invalid", "semantics ended its stream without a closing line")

    async def reason(self, query: str, objects: Sequence[TwinRow], options: api.ReasoningOptions) -> api.ReasonResponse:
        """`POST /v1/reason` (Eqs. 5-9)."""
        body = api.ReasonRequest(query=query, objects=tuple(objects), options=options)
        response = await self._send("reasoner", "POST", "/v1/reason", json=body.model_dump(mode="json"))
        return _parse("reasoner", api.ReasonResponse, response.content)

    async def _send(self, service: Service, method: str, path: str, **content: Any) -> httpx2.Response:
        response = await self._request(service, method, path, **content)
        _raise_problem(service, response)
        return response

    async def _request(self, service: Service, method: str, path: str, **content: Any) -> httpx2.Response:
        """The response, whatever its status."""
        timeout = content.pop("timeout", None)
        url = self._urls[service]
        with _translated(service, url), http_call(method, url, path) as call:
            response = await self._http.request(
                method,
                url + path,
                headers=_headers() | call.headers,
                timeout=httpx2.Timeout(timeout, connect=_CONNECT_TIMEOUT_S),
                **content,
            )
            call.answered(response.status_code)
            return response

    @asynccontextmanager
    async def _stream(self, service: Service, path: str, **content: Any) -> AsyncIterator[httpx2.Response]:
        url = self._urls[service]
        with _translated(service, url), http_call("POST", url, path) as call:
            timeout = httpx2.Timeout(None, connect=_CONNECT_TIMEOUT_S)
            async with self._http.stream(
                "POST", url + path, headers=_headers() | call.headers, timeout=timeout, **content
            ) as response:
                call.answered(response.status_code)
                if response.is_error:
                    await response.aread()
                    _raise_problem(service, response)
                yield response


@contextmanager
def _translated(service: Service, url: str) -> Iterator[None]:
    """Turn what the HTTP client raises into Problems."""
    try:
        yield
    except httpx2.TimeoutException as error:
        raise Problem("upstream_unavailable", f"{service} at {url} did not answer in time") from error
    except httpx2.HTTPError as error:
        reason = str(error) or type(error).__name__
        detail = f"{service} at {url} cannot be reached ({reason}); see `dtwinseger doctor`"
        raise Problem("upstream_unavailable", detail) from error


def _upload(image: bytes) -> dict[str, tuple[str, bytes, str]]:
    return {"image": ("image", image, "application/octet-stream")}


def _headers() -> dict[str, str]:
    identity = request_id.get()
    return forwarded() | ({api.REQUEST_ID_HEADER: identity} if identity else {})


def _raise_problem(service: Service, response: httpx2.Response) -> None:
    if not response.is_error:
        return
    retry_after = response.headers.get("retry-after", "")
    try:
        body = response.json()
    except ValueError:
        body = None
    problem = Problem.from_body(body, retry_after=float(retry_after) if retry_after.isdigit() else None)
    if problem is None or problem.code in ("internal", "not_found"):
        # The caller did nothing wrong, and cannot mend it: our own service failed.
        detail = problem.detail if problem else f"HTTP {response.status_code}"
        raise Problem("upstream_invalid", f"{service} failed: {detail}")
    raise problem


def _unmet(service: Service, response: httpx2.Response) -> str:
    """What a service that is not ready waits for."""
    try:
        needs = api.Readiness.model_validate_json(response.content).needs
    except ValidationError:
        return f"{service} is not ready: HTTP {response.status_code}"
    unmet = (f"{need}: {state}" for need, state in needs.items() if state != "ok" and not state.startswith("degraded:"))
    return f"{service} is not ready ({'; '.join(unmet)})"


def _parse(service: Service, kind: type[Model], body: bytes) -> Model:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise Problem("upstream_invalid", f"{service} broke its contract: {in_words(error)[:300]}") from error


def _parse_proposals(body: bytes) -> api.ProposalsResponse:
    response = _parse("perception", api.ProposalsResponse, body)
    if any(proposal.mask.area == 0 for level in response.levels.values() for proposal in level):
        raise Problem("upstream_invalid", "perception broke its contract: it proposed a mask without a pixel")
    return response
