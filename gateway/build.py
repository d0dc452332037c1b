"""One twin being built: its inputs, and what the stages note down on the way."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter

from prometheus_client import Histogram
from pydantic import Base64Bytes, BaseModel, ConfigDict

from dtwinseger import api
from dtwinseger.images import DecodedImage
from dtwinseger.twin import Index

# What takes time -> what it leaves in the store.
STAGES = {"perception": "proposals", "granularity": "granularity", "semantics": "semantics", "reasoning": "answer"}

_SECONDS = Histogram(
    "gateway_stage_seconds",
    "Time of a stage that was computed, not answered by the store.",
    ["stage"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)


@dataclass(frozen=True)
class Asked:
    """A validated request."""

    data: bytes  # the image as sent
    sha256: str
    query: str
    options: api.SegmentOptions


@dataclass(frozen=True)
class Infos:
    """What the services serve; part of every key."""

    perception: api.ServiceInfo
    semantics: api.ServiceInfo
    reasoner: api.ServiceInfo


@dataclass
class Build:
    """The notes of one build: what it cost, how long it took, what the store answered, what went wrong."""

    asked: Asked
    infos: Infos
    image: DecodedImage
    vlm: api.EngineUsage = field(default_factory=api.EngineUsage)
    llm: api.EngineUsage = field(default_factory=api.EngineUsage)
    timings_ms: dict[str, float] = field(default_factory=dict)
    cached: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Note how long the body took; `stage` is a key of STAGES."""
        started = perf_counter()
        try:
            yield
        finally:
            seconds = perf_counter() - started
            self.timings_ms[stage] = round(seconds * 1000, 1)
            if STAGES[stage] not in self.cached:
                _SECONDS.labels(stage).observe(seconds)


class StoredSemantics(BaseModel):
    """The descriptions that succeeded, by the place of the mask among its proposals, from 1."""

    model_config = ConfigDict(frozen=True)

    described: dict[Index, api.Semantics]


class StoredImage(BaseModel):
    """The upright image without its metadata, for overlays."""

    model_config = ConfigDict(frozen=True)

    jpeg: Base64Bytes

    @classmethod
    def of(cls, jpeg: bytes) -> "StoredImage":
        """Wrap encoded bytes; the model's field holds them in base64 on the way in."""
        return cls(jpeg=base64.b64encode(jpeg))


class Tombstone(BaseModel):
    """Says that a twin existed; it outlives the twin."""

    model_config = ConfigDict(frozen=True)

    created: datetime

    @classmethod
    def now(cls) -> "Tombstone":
        return cls(created=datetime.now(UTC))
