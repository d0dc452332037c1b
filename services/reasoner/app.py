"""The reasoner as a service. Run: `uvicorn --factory services.reasoner.app:create`."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from fastapi import FastAPI, Request

from dtwinseger import __version__, api, prompts
from dtwinseger.service.admission import Admission
from dtwinseger.service.app import create_app
from dtwinseger.service.engine import Engine
from dtwinseger.service.request import attend
from dtwinseger.service.start import read_settings, starting
from dtwinseger.weights import SumsError, require_sums
from services.reasoner.calls import Asking, Calls, last_moment
from services.reasoner.many import reason_many
from services.reasoner.models import AdaptersError, Models
from services.reasoner.reading import Reader
from services.reasoner.reasoning import reason
from services.reasoner.refusals import require_query, require_twin
from services.reasoner.settings import ReasonerSettings


def create() -> FastAPI:
    """The app, configured from the environment. Exits with one line where it cannot be used as it is set."""
    with starting("reasoner", AdaptersError, SumsError):
        settings = read_settings(ReasonerSettings)
        require_sums(Path(settings.engine.model))
        engine = Engine(settings.engine, "llm")
        reader = Reader(settings)
        models = Models(engine, settings)
        models.require_served()
    admission = Admission(settings.max_running, settings.max_queued)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with engine:
            following = asyncio.create_task(models.follow())
            yield
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following

    async def readiness(app: FastAPI) -> Mapping[str, str]:
        return await models.states()

    app = create_app(
        "reasoner", lifespan=lifespan, readiness=readiness, log_level=settings.log_level, drain_s=settings.drain_s
    )

    def asking(options: api.ReasoningOptions) -> Asking:
        return Asking(engine, models.chosen(options), settings.logprobs, settings.further_samples)

    @app.post("/v1/reason")
    async def ask_reason(request: Request, asked: api.ReasonRequest) -> api.ReasonResponse:
        """The indices that answer the query, and the reasoning path (Eqs. 6-9)."""
        require_query(asked.query)
        require_twin(asked.objects)
        whom = asking(asked.options)

        async def work() -> api.ReasonResponse:
            reading = await reader.read(asked.objects)
            return await reason(Calls(whom, last_moment()), asked.query, reading, reader.rendering, asked.options)

        return await attend(request, admission, settings.timeout_s, work)

    @app.post("/v1/reason/many")
    async def ask_reason_many(request: Request, asked: api.ReasonManyRequest) -> api.ReasonManyResponse:
        """Many queries on one twin: an answer or an error for each, in their order."""
        for number, query in enumerate(asked.queries, start=1):
            require_query(query, f"queries: number {number}")
        require_twin(asked.objects)
        whom = asking(asked.options)

        async def work() -> api.ReasonManyResponse:
            return await reason_many(whom, asked, await reader.read(asked.objects), reader.rendering)

        return await attend(request, admission, settings.timeout_s, work)

    @app.get("/v1/info")
    async def info() -> api.ServiceInfo:
        """What is served: the base model, the adapters beside it, and what `auto` means."""
        return api.ServiceInfo(
            service="reasoner",
            version=__version__,
            models={"llm": models.base.identity},
            prompts=prompts.reasoning_digest(reader.rendering),
            settings={
                "structured_output": settings.engine.structured_output,
                "logprobs": settings.logprobs,
                "rendering": reader.rendering,
                "twin_tokens": settings.twin_tokens,
                "counted_by": reader.counted_by,
                "further_samples": settings.further_samples,
                "adapters": models.served,
                "adapter": models.default,
                "auto": models.auto,
            },
        )

    return app
