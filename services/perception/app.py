"""Perception as a service: mask proposals. Run: `uvicorn --factory services.perception.app:create`."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from math import isqrt
from typing import Annotated

import numpy as np
import structlog
import torch
from fastapi import FastAPI, Form, Request, UploadFile
from pydantic import ValidationError

from dtwinseger import __version__, api
from dtwinseger.images import decode_image
from dtwinseger.problems import Problem, in_words
from dtwinseger.service.admission import Admission
from dtwinseger.service.app import create_app
from dtwinseger.service.request import attend
from dtwinseger.service.start import read_settings, starting
from dtwinseger.weights import SumsError, require_sums
from services.perception.batches import BUCKETS
from services.perception.cards import chosen_device
from services.perception.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from services.perception.decoder import Decoder
from services.perception.device import Device
from services.perception.encoder import Encoder
from services.perception.proposer import Job, Proposer
from services.perception.sam import Segmenter
from services.perception.settings import PerceptionSettings

log = structlog.get_logger()


def create() -> FastAPI:
    """The app, configured from the environment. Exits with one line where weights or device cannot be used."""
    with starting("perception", CheckpointError, SumsError):
        settings = read_settings(PerceptionSettings)
        where = chosen_device(settings.device)
        require_sums(settings.checkpoint if settings.checkpoint.is_dir() else settings.checkpoint.parent)
        checkpoint = load_checkpoint(settings.checkpoint, settings.architecture, where)
    admission = Admission(settings.max_running, settings.max_queued)
    device = Device(
        _proposer(checkpoint, settings),
        partial(_touch, where),
        together=settings.images_together or (4 if where.type == "cuda" else 1),
        waiting=settings.max_running,
        stuck_after_s=settings.stuck_after_s,
    )
    warm = False

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        first = asyncio.create_task(warm_up())
        yield
        first.cancel()
        with suppress(asyncio.CancelledError):
            await first
        await asyncio.to_thread(device.close)

    async def warm_up() -> None:
        """An image through the device, so that nobody's first request pays for allocation, tuning and compilation."""
        nonlocal warm
        try:
            for asked in _first_requests(settings):
                await device.run(Job(np.zeros((64, 64, 3), np.uint8), "warm-up", asked))
            warm = True
        except Exception as error:
            log.error("warm_up.failed", exc_info=error)

    async def readiness(app: FastAPI) -> Mapping[str, str]:
        return {"device": device.state() if warm else "warming up"}

    app = create_app(
        "perception",
        lifespan=lifespan,
        readiness=readiness,
        liveness=device.state,
        log_level=settings.log_level,
        drain_s=settings.drain_s,
    )

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
            proposed = await device.run(Job(decoded.pixels, decoded.sha256, asked))
            height, width = decoded.size
            timings_ms = {stage: round(ms, 1) for stage, ms in proposed.timings_ms.items()}
            counts = {level: len(found) for level, found in proposed.levels.items()}
            log.info("proposals.done", width=width, height=height, count=counts, ms=timings_ms)
            return api.ProposalsResponse(
                width=width,
                height=height,
                levels=proposed.levels,
                options=proposed.options,
                model=checkpoint.name,
                timings_ms=timings_ms,
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


def _proposer(checkpoint: Checkpoint, settings: PerceptionSettings) -> Proposer:
    """The network as the service runs it: on CUDA the encoder in bf16, and TF32 in the decoder's products."""
    sam = checkpoint.sam
    on_cuda = sam.device.type == "cuda"
    if on_cuda:
        torch.set_float32_matmul_precision("high")
    encoder, decoder = Encoder(sam, torch.bfloat16 if on_cuda else torch.float32), Decoder(sam)
    if settings.compile:
        encoder.compile(fullgraph=True, dynamic=False)
        decoder.compile()
    segmenter = Segmenter(sam, encoder, decoder, settings.prompt_batch)
    return Proposer(
        segmenter, checkpoint.iou_threshold, settings.embedding_cache_mb << 20, settings.decoded_cache_mb << 20
    )


def _first_requests(settings: PerceptionSettings) -> Iterator[api.ProposalsRequest]:
    """What warms the device up: where the decoder is compiled, every size of batch, all of which is upscaled."""
    if not settings.compile:
        yield api.ProposalsRequest()
        return
    for bucket in BUCKETS:
        options = api.ProposalOptions(strategy="everything", points_per_side=isqrt(bucket), iou_threshold=0.0)
        yield api.ProposalsRequest(options=options)


def _touch(device: torch.device) -> None:
    """A number to the device and back: raises, or hangs, where it is gone."""
    torch.ones((), device=device).item()
