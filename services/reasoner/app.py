"""The reasoner as a service. Run: `uvicorn --factory services.reasoner.app:create`."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request

from dtwinseger import __version__, api, prompts
from dtwinseger.problems import Problem
from dtwinseger.service.admission import Admission
from dtwinseger.service.app import create_app
from dtwinseger.service.engine import Engine
from dtwinseger.service.request import attend
from services.reasoner.reasoning import reason
from services.reasoner.settings import ReasonerSettings


def create() -> FastAPI:
    """The app, configured from the environment."""
    settings = ReasonerSettings()
    engine = Engine(settings.engine, "llm")
    admission = Admission(settings.max_running, settings.max_queued)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with engine:
            yield

    async def readiness(app: FastAPI) -> Mapping[str, str]:
        return {"engine": await engine.state()}

    app = create_app("reasoner", lifespan=lifespan, readiness=readiness, log_level=settings.log_level)

    @app.post("/v1/reason")
    async def ask_reason(request: Request, asked: api.ReasonRequest) -> api.ReasonResponse:
        """The indices that answer the query, and the reasoning path (Eqs. 6-9)."""
        _require_answerable(asked)
        return await attend(request, admission, settings.timeout_s, lambda: reason(engine, asked))

    @app.get("/v1/info")
    async def info() -> api.ServiceInfo:
        """What is served."""
        return api.ServiceInfo(
            service="reasoner",
            version=__version__,
            models={"llm": settings.engine.identity},
            prompts=prompts.digest(prompts.REASONING),
            settings={"structured_output": settings.engine.structured_output},
        )

    return app


def _require_answerable(asked: api.ReasonRequest) -> None:
    """Raises Problem `invalid_query` or, where two objects share an index, `invalid_options`."""
    if not 1 <= len(asked.query.strip()) <= api.MAX_QUERY_CHARACTERS:
        raise Problem(
            "invalid_query", f"a query has 1 to {api.MAX_QUERY_CHARACTERS:,} characters, this one {len(asked.query):,}"
        )
    if len({row.index for row in asked.objects}) < len(asked.objects):
        raise Problem("invalid_options", "objects: two share an index; number them 1..N")
