"""Pure ASGI middleware: request id, body limit, metrics and the access log line.

BaseHTTPMiddleware hides a client that leaves; these pass `receive` on.
"""

import re
import time
import uuid
from contextvars import ContextVar

import structlog
from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dtwinseger.api import MAX_BODY_BYTES, REQUEST_ID_HEADER
from dtwinseger.problems import MEDIA_TYPE, Problem
from dtwinseger.service.drain import Drain
from dtwinseger.service.telemetry import QUIET, Traces

DRAINED = 100_000_000  # bytes of a refused body that are read on
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})  # any word is one, each a time series
MULTIPART_SLACK = 200_000  # bytes for the form's other fields and its boundaries

log = structlog.get_logger()
request_id: ContextVar[str] = ContextVar("request_id", default="")

_SECONDS = Histogram(
    "http_request_seconds",
    "Time from request to end of response.",
    ["service", "method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
_PROBLEMS = Counter("http_problems", "Error responses by problem code.", ["service", "code"])


def count_problem(service: str, problem: Problem) -> None:
    """Count an error response."""
    _PROBLEMS.labels(service, problem.code).inc()


class RequestContext:
    """Gives each request an id (the caller's, if it is a sane one) and its trace; logs and times it."""

    def __init__(self, app: ASGIApp, service: str, traces: Traces, drain: Drain) -> None:
        self.app = app
        self.service = service
        self.traces = traces
        self.drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        identity = given if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", given) else uuid.uuid4().hex
        request_id.set(identity)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(service=self.service, request_id=identity)
        self.traces.enter()
        started = time.perf_counter()
        status = 499  # nothing was sent: the client left

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID_HEADER] = identity
                if self.drain.begun:
                    headers["Connection"] = "close"  # the next request goes to another process
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except Exception:
            status = 500  # what the server's own handler, outside of this, will send
            raise
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "unmatched")
            method = scope["method"] if scope["method"] in METHODS else "other"
            _SECONDS.labels(self.service, method, route, str(status)).observe(seconds)
            if route not in QUIET:
                log.info(
                    "request.done",
                    method=method,
                    route=route,
                    status=status,
                    ms=round(seconds * 1000, 1),
                )


class BodyLimit:
    """Answers `image_too_large` once a body passes the limit, whatever its Content-Length claims."""

    def __init__(self, app: ASGIApp, service: str, limit: int = MAX_BODY_BYTES + MULTIPART_SLACK) -> None:
        self.app = app
        self.service = service
        self.limit = limit
        self._detail = f"the request body is over {limit:,} bytes"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > self.limit:
            await drain(receive)
            await self._refuse(send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.limit:
                await drain(receive)
                # FastAPI lets an HTTPException pass through its body parsing; anything else it calls a bad body.
                raise HTTPException(413, self._detail)
            return message

        await self.app(scope, counted, send)

    async def _refuse(self, send: Send) -> None:
        problem = Problem("image_too_large", self._detail)
        count_problem(self.service, problem)
        body = problem.details(request_id.get()).model_dump_json().encode()
        headers = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def drain(receive: Receive) -> None:
    """Read on for a while: a client that is still sending would not read the answer."""
    drained = 0
    while drained < DRAINED:
        message = await receive()
        drained += len(message.get("body", b""))
        if not message.get("more_body", False):
            return
