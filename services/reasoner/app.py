"""The reasoner as a service. Run: `uvicorn --factory services.reasoner.app:create`."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request

from dtwinseger import __version__, api, prompts
from dtwinseger.service.admission import Admission
from dtwinseger.service.app import create_app
from dtwinseger.service.engine import Engine
from dtwinseger.service.request import attend
from services.reasoner.calls import Calls, last_moment
from services.reasoner.many import reason_many
from services.reasoner.reasoning import reason
from services.reasoner.refusals import require_query, require_twin
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

    app = create_app(
        "reasoner", lifespan=lifespan, readiness=readiness, log_level=settings.log_level, drain_s=settings.drain_s
    )

    @app.post("/v1/reason")
    async def ask_reason(request: Request, asked: api.ReasonRequest) -> api.ReasonResponse:
        """The indices that answer the query, and the reasoning path (Eqs. 6-9)."""
        require_query(asked.query)
        require_twin(asked.objects)

        async def work() -> api.ReasonResponse:
            calls = Calls(engine, settings.logprobs, last_moment())
            return await reason(calls, asked.query, asked.objects, asked.options)

        return await attend(request, admission, settings.timeout_s, work)

    @app.post("/v1/reason/many")
    async def ask_reason_many(request: Request, asked: api.ReasonManyRequest) -> api.ReasonManyResponse:
        """Many queries on one twin: an answer or an error for each, in their order."""
        for number, query in enumerate(asked.queries, start=1):
            require_query(query, f"queries: number {number}")
        require_twin(asked.objects)
        return await attend(
            request, admission, settings.timeout_s, lambda: reason_many(engine, settings.logprobs, asked)
        )

    @app.get("/v1/info")
    async def info() -> api.ServiceInfo:
        """What is served."""
        return api.ServiceInfo(
            service="reasoner",
            version=__version__,
            models={"llm": settings.engine.identity},
            prompts=prompts.digest(prompts.REASONING),
            settings={"structured_output": settings.engine.structured_output, "logprobs": settings.logprobs},
        )

    return app
