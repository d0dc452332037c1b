"""The app factory of the four deployables: problems, middleware, health, metrics, logs.

Each deployable's `app.py` has a function `create() -> FastAPI`, run by `uvicorn --factory PACKAGE.app:create`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dtwinseger import __version__
from dtwinseger.api import MAX_BODY_BYTES, Readiness
from dtwinseger.problems import MEDIA_TYPE, Problem, ProblemCode
from dtwinseger.service.drain import Drain
from dtwinseger.service.form import MAX_FIELDS, MAX_FILES, FormRoute
from dtwinseger.service.logs import configure_logs
from dtwinseger.service.middleware import BodyLimit, RequestContext, count_problem, request_id
from dtwinseger.service.telemetry import Traces, note

log = structlog.get_logger()

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
# What is needed -> "ok", "degraded: …" where requests are still answered, or what is wrong with it.
Needs = Callable[[FastAPI], Awaitable[Mapping[str, str]]]


def create_app(
    name: str,
    *,
    lifespan: Lifespan,
    readiness: Needs,
    liveness: Callable[[], str] | None = None,
    middleware: Sequence[Middleware] = (),
    log_level: str = "info",
    drain_s: float = 0.0,
) -> FastAPI:
    """A FastAPI app that answers every error as a problem and has /livez, /readyz and /metrics.

    `readiness` is asked on each /readyz; anything but "ok" or "degraded: …" makes it 503. `liveness` is asked on each
    /livez; anything but "ok" makes it 503, for what only a new process can mend. `middleware` runs, the first one
    outermost, once the request has its id and before its body is looked at. `drain_s` are the seconds from SIGTERM,
    when /readyz becomes 503, until the service stops listening.
    """
    configure_logs(log_level)
    traces, drain = Traces(name), Drain(drain_s)

    @asynccontextmanager
    async def whole_life(app: FastAPI) -> AsyncIterator[None]:
        with drain.on_sigterm():
            async with lifespan(app):
                yield
        await traces.close()

    app = FastAPI(
        title=f"dtwinseger {name}",
        version=__version__,
        lifespan=whole_life,
        docs_url=None,
        redoc_url=None,
        telemetry=traces.config,
        form_limits={"max_files": MAX_FILES, "max_fields": MAX_FIELDS, "max_part_size": MAX_BODY_BYTES},
    )
    app.router.route_class = FormRoute

    async def answer(request: Request, error: Exception) -> Response:
        problem = as_problem(error)
        count_problem(name, problem)
        note({"dtwinseger.problem": problem.code})
        if isinstance(error, HTTPException) and error.status_code == 405:
            return problem_response(problem, status=405, headers={"Allow": ", ".join(_allowed(request))})
        return problem_response(problem)

    async def nobody_waits(request: Request, error: Exception) -> Response:
        return Response(status_code=499)

    app.add_exception_handler(ClientDisconnect, nobody_waits)
    for kind in (Problem, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, answer)

    @app.get("/livez", include_in_schema=False)
    async def livez() -> Response:
        state = liveness() if liveness else "ok"
        return JSONResponse({"status": state}, status_code=200 if state == "ok" else 503)

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        needs = {"process": "draining"} if drain.begun else dict(await readiness(app))
        ready = all(state == "ok" or state.startswith("degraded:") for state in needs.values())
        body = Readiness(status="ok" if ready else "unready", needs=needs)
        return JSONResponse(body.model_dump(), status_code=200 if ready else 503)

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    app.add_middleware(BodyLimit, service=name)
    for given in reversed(middleware):
        app.add_middleware(given.cls, *given.args, **given.kwargs)
    app.add_middleware(Unforeseen, service=name)
    app.add_middleware(RequestContext, service=name, traces=traces, drain=drain)  # added last: outermost
    return app


class Unforeseen:
    """Answers `internal` for what nobody foresaw. Starlette's own answer would lack the request id and its log line."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self.app = app
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:
            if begun or scope["type"] != "http":
                raise  # the server closes the connection: the caller must not take half an answer for a whole one
            problem = as_problem(error)
            count_problem(self.service, problem)
            await problem_response(problem)(scope, receive, send)


def as_problem(error: Exception) -> Problem:
    """Any error as a problem; what nobody foresaw is logged whole and told as `internal`."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        return _invalid_request(error)
    if isinstance(error, HTTPException):
        if isinstance(error.__cause__, Problem):
            return error.__cause__
        codes: dict[int, ProblemCode] = {404: "not_found", 413: "image_too_large"}
        return Problem(codes.get(error.status_code, "invalid_options"), str(error.detail))
    log.error("request.failed", exc_info=error)
    return Problem("internal", "something failed that should not have; the logs have it under the request id")


def problem_response(
    problem: Problem, *, status: int | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """A problem as a response, under `status` where that is more precise than the code's own."""
    wait = {} if problem.retry_after is None else {"Retry-After": str(max(1, round(problem.retry_after)))}
    status = status or problem.status
    body: dict[str, Any] = problem.details(request_id.get()).model_dump() | {"status": status}
    return JSONResponse(body, status_code=status, headers={**wait, **(headers or {})}, media_type=MEDIA_TYPE)


def _allowed(request: Request) -> list[str]:
    """The methods that the routes of this path have; Starlette's own answer tells of the first of them alone."""
    matching = (route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE)
    return sorted({method for route in matching for method in getattr(route, "methods", None) or ()})


def _invalid_request(error: RequestValidationError) -> Problem:
    """The caller's form: the field that is wrong decides the code."""
    codes: dict[str, ProblemCode] = {"image": "invalid_image", "query": "invalid_query"}
    first = error.errors()[0]
    field = str(first["loc"][-1]) if first["loc"] else "body"
    details = "; ".join(f"{'.'.join(str(p) for p in e['loc'][1:]) or 'body'}: {e['msg']}" for e in error.errors())
    return Problem(codes.get(field, "invalid_options"), details)
