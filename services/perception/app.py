"""Perception as a service: mask proposals. Run: `uvicorn --factory services.perception.app:create`."""

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Annotated

import numpy as np
import structlog
import torch
from fastapi import FastAPI, Form, Request, UploadFile
from numpy.typing import NDArray
from pydantic import ValidationError

from dtwinseger import __version__, api
from dtwinseger.images import decode_image
from dtwinseger.problems import Problem, in_words
from dtwinseger.service.admission import Admission
from dtwinseger.service.app import create_app
from dtwinseger.service.request import attend
from services.perception.checkpoint import load_checkpoint
from services.perception.pipeline import Proposed, propose
from services.perception.sam import Segmenter
from services.perception.settings import PerceptionSettings

log = structlog.get_logger()


def create() -> FastAPI:
    """The app, configured from the environment. Raises CheckpointError where the weights cannot be served."""
    settings = PerceptionSettings()
    device = torch.device(settings.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    checkpoint = load_checkpoint(settings.checkpoint, settings.architecture, device)
    segmenter = Segmenter(checkpoint.sam, settings.prompt_batch)
    admission = Admission(settings.max_running, settings.max_queued)
    device_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="device")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        device_thread.shutdown(cancel_futures=True)

    async def readiness(app: FastAPI) -> Mapping[str, str]:
        return {"model": "ok"}  # an app whose checkpoint does not load never starts

    app = create_app("perception", lifespan=lifespan, readiness=readiness, log_level=settings.log_level)

    async def on_device(pixels: NDArray[np.uint8], asked: api.ProposalsRequest) -> Proposed:
        """On the one thread that owns the device; what is under way stops soon after the caller gives up."""
        gone = threading.Event()
        job = device_thread.submit(propose, segmenter, checkpoint.iou_threshold, pixels, asked, gone.is_set)
        try:
            return await asyncio.wrap_future(job)
        finally:
            gone.set()

    @app.post("/v1/proposals")
    async def ask_proposals(
        request: Request, image: UploadFile, options: Annotated[str, Form()] = "{}"
    ) -> api.ProposalsResponse:
        """Mask proposals for each level asked for; `options` is a ProposalsRequest as JSON."""
        try:
            asked = api.ProposalsRequest.model_validate_json(options)
        except ValidationError as error:
            raise Problem("invalid_options", in_words(error)) from error
        data = await image.read()

        async def work() -> api.ProposalsResponse:
            decoded = await asyncio.to_thread(decode_image, data)
            proposed = await on_device(decoded.pixels, asked)
            height, width = decoded.size
            counts = {level: len(found) for level, found in proposed.levels.items()}
            log.info("proposals.done", width=width, height=height, count=counts, ms=proposed.timings_ms)
            return api.ProposalsResponse(
                width=width,
                height=height,
                levels=proposed.levels,
                options=proposed.options,
                model=checkpoint.name,
                timings_ms=proposed.timings_ms,
                warnings=proposed.warnings,
            )

        return await attend(request, admission, settings.timeout_s, work)

    @app.get("/v1/info")
    async def info() -> api.ServiceInfo:
        return api.ServiceInfo(
            service="perception",
            version=__version__,
            models={"perception": checkpoint.name},
            settings={"iou_threshold": checkpoint.iou_threshold},
        )

    return app
