"""One twin being built: its inputs, what the stages note down on the way, and what they leave in the store."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter

from prometheus_client import Histogram
from pydantic import Base64Bytes, BaseModel, ConfigDict

from dtwinseger import api
from dtwinseger.service.telemetry import span
from dtwinseger.twin import DigitalTwin, Index
from gateway.cache import Cache
from gateway.journal import Journal

# What takes time -> what it leaves in the store.
STAGES: dict[api.Stage, str] = {
    "perception": "proposals",
    "granularity": "granularity",
    "semantics": "semantics",
    "reasoning": "answer",
}

_SECONDS = Histogram(
    "gateway_stage_seconds",
    "Time of a stage that was computed, not answered by the store.",
    ["stage"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)


@dataclass(frozen=True)
class Asked:
    """A validated request."""

    data: bytes  # the image as sent, or as stored
    sha256: str  # of the image as sent
    query: str
    options: api.SegmentOptions
    size: tuple[int, int] | None = None  # (height, width) of a stored image, which is never proposed on again


@dataclass(frozen=True)
class Infos:
    """What the services serve; part of every key."""

    perception: api.ServiceInfo
    semantics: api.ServiceInfo
    reasoner: api.ServiceInfo


@dataclass(frozen=True)
class Order:
    """A twin that is wanted: its id, what it is made from, and the store that it goes to."""

    identity: str
    asked: Asked
    infos: Infos
    cache: Cache


@dataclass(frozen=True)
class Outcome:
    """A twin, and what it took to have it this time."""

    twin: DigitalTwin
    usage: api.Usage
    timings_ms: dict[str, float]
    cached: tuple[str, ...]

    @classmethod
    def stored(cls, twin: DigitalTwin, started: float) -> "Outcome":
        """Of a twin that the store had whole, or that another request paid for. started: by `perf_counter`."""
        total_ms = round((perf_counter() - started) * 1000, 1)
        return cls(twin, api.Usage(), dict.fromkeys(STAGES, 0.0) | {"total": total_ms}, tuple(STAGES.values()))


@dataclass
class Build:
    """The notes of one build: what it cost, how long it took, what the store answered, what went wrong."""

    asked: Asked
    infos: Infos
    size: tuple[int, int]  # height, width
    journal: Journal
    vlm: api.EngineUsage = field(default_factory=api.EngineUsage)
    llm: api.EngineUsage = field(default_factory=api.EngineUsage)
    timings_ms: dict[str, float] = field(default_factory=dict)
    cached: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @contextmanager
    def timed(self, stage: api.Stage) -> Iterator[None]:
        """Note how long the body took, and in the journal that the stage began and ended."""
        started = perf_counter()
        self.journal.advance(stage, 0, 0)
        try:
            with span(stage) as traced:
                yield
                traced.set_attribute("dtwinseger.cached", STAGES[stage] in self.cached)
        finally:
            seconds = perf_counter() - started
            self.timings_ms[stage] = round(seconds * 1000, 1)
            if STAGES[stage] not in self.cached:
                _SECONDS.labels(stage).observe(seconds)
        self.journal.end(stage, stored=STAGES[stage] in self.cached, ms=self.timings_ms[stage])


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


class StoredRequest(BaseModel):
    """What was asked of an image, so that more can be."""

    model_config = ConfigDict(frozen=True)

    query: str
    options: api.SegmentOptions  # as the request had them
    created: datetime


class Tombstone(BaseModel):
    """Says that a twin existed; it outlives the twin."""

    model_config = ConfigDict(frozen=True)

    created: datetime

    @classmethod
    def now(cls) -> "Tombstone":
        return cls(created=datetime.now(UTC))
