"""Perception without a network, for a process of its own: the real service's plumbing, and two boxes for an image."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated

import numpy as np
from fastapi import FastAPI, Form, Request, UploadFile

from dtwinseger import api
from dtwinseger.images import decode_image
from dtwinseger.service.admission import Admission
from dtwinseger.service.app import create_app
from dtwinseger.service.request import attend
from dtwinseger.twin import Mask
from services.perception.settings import PerceptionSettings

TAKES_S = 0.1


def create() -> FastAPI:
    """The app; it drains as the settings say."""
    settings = PerceptionSettings()
    admission = Admission(settings.max_running, settings.max_queued)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield

    async def readiness(app: FastAPI) -> Mapping[str, str]:
        return {"device": "ok"}

    app = create_app(
        "perception", lifespan=lifespan, readiness=readiness, drain_s=settings.drain_s, log_level="warning"
    )

    @app.post("/v1/proposals")
    async def proposals(
        request: Request, image: UploadFile, options: Annotated[str, Form()] = "{}"
    ) -> api.ProposalsResponse:
        asked = api.ProposalsRequest.model_validate_json(options)
        data = await image.read()

        async def work() -> api.ProposalsResponse:
            await asyncio.sleep(TAKES_S)
            size = decode_image(data).size
            found = tuple(_box(size, side) for side in (20, 8))
            return api.ProposalsResponse(
                width=size[1],
                height=size[0],
                levels=dict.fromkeys(asked.levels, found),
                options=dict.fromkeys(asked.levels, asked.options),
                model="double",
                timings_ms={},
            )

        return await attend(request, admission, settings.timeout_s, work)

    @app.get("/v1/info")
    async def info() -> api.ServiceInfo:
        return api.ServiceInfo(service="perception", version="1", models={"perception": "double"})

    return app


def _box(size: tuple[int, int], side: int) -> api.Proposal:
    mask = np.zeros(size, dtype=np.bool_)
    mask[:side, :side] = True
    return api.Proposal(mask=Mask.encode(mask), predicted_iou=0.9, point=(1.0, 1.0))
