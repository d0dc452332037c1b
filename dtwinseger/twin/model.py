"""The digital twin as data: what is stored, shown, and handed from stage to stage."""

from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from dtwinseger.twin.mask import BBox, Mask
from dtwinseger.twin.path import Index, Step

SCHEMA_VERSION: Final = 1

Granularity = Literal["group", "object", "part"]
Predicate = Literal["inside", "surrounding", "overlapping", "left_of", "right_of", "above", "below", "next_to"]


class TwinModel(BaseModel):
    """Immutable; an unknown field is an error, so that a misspelled one cannot pass for a missing one."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Relation(TwinModel):
    """`predicate` holds from the object that lists it to the object with index `target`."""

    predicate: Predicate
    target: Index


class TwinRow(TwinModel):
    """One object as the LLM reads it (Eq. 5). Coordinates are pixels of the image, x right, y down."""

    index: Index  # 1..N by area, largest first
    semantic: str | None  # null where the description failed; the response's warnings say so
    bbox: BBox  # x1, y1, x2, y2; x2 and y2 exclusive
    area_percent: float  # of the image
    spatial: str = ""  # place and relations in words, naming their targets


class TwinObject(TwinRow):
    """One object of the twin, whole."""

    category: str | None = None  # the head noun, by which relations name the object
    attributes: tuple[str, ...] = ()
    relevance: float | None = Field(default=None, ge=0, le=1)  # to the query, as the VLM judged it
    centroid: tuple[float, float]  # x, y
    predicted_iou: float
    mask: Mask
    relations: tuple[Relation, ...] = ()


class ImageInfo(TwinModel):
    width: int
    height: int
    sha256: str  # of the bytes that were sent


class Answer(TwinModel):
    """What the reasoner concluded (Eqs. 6-9). `indices` may be empty: nothing in the image fits."""

    indices: tuple[Index, ...]
    path: tuple[Step, ...]
    confidence: dict[Index, float] = Field(default_factory=dict)  # empty where nothing measures it


class Provenance(TwinModel):
    models: dict[str, str]  # role -> name and version of the model that served it
    options: dict[str, Any]  # every option as resolved
    prompts: str  # SHA-256 over the prompts that were used
    created: datetime


class Asked(TwinModel):
    """A query on an image, and the twin that answers it."""

    id: str
    query: str


class DigitalTwin(TwinModel):
    """An image as the reasoner sees it, with the answer to its query."""

    id: str
    schema_version: Literal[1] = SCHEMA_VERSION
    status: Literal["ready"] = "ready"
    image: ImageInfo
    query: str
    granularity: Granularity
    objects: tuple[TwinObject, ...]
    answer: Answer
    provenance: Provenance
    usage: dict[str, Any] = Field(default_factory=dict)
    timings_ms: dict[str, float] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    asked: tuple[Asked, ...] = ()  # the other queries on this image, as the gateway knows them when it is asked
