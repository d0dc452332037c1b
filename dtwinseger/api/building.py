"""A twin in the making, GET /dt/<id> and its events, and what may be asked of one that is ready."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from dtwinseger.api.contract import QUERY_SCHEMA, Contract, MaskFormat
from dtwinseger.api.options import ReasoningOptions, SemanticsOptions
from dtwinseger.problems import ProblemDetails
from dtwinseger.twin.mask import BBox, Mask
from dtwinseger.twin.path import Index

Stage = Literal["perception", "granularity", "semantics", "reasoning"]


class StageProgress(Contract):
    """How far one stage is; the event `stage`. `done` of `total` masks are described, of semantics alone."""

    stage: Stage
    state: Literal["running", "done", "stored"]  # stored: the store had it
    done: int = 0
    total: int = 0
    ms: float | None = None  # once it is done


class SeenObject(Contract):
    """An object of the twin as soon as it is described, without its relations; the event `object`."""

    index: Index  # the one that it has in the twin
    semantic: str | None
    bbox: BBox
    area_percent: float
    mask: Mask


class TwinStatus(Contract):
    """`GET /dt/<id>` while the twin is being built, and after its build has failed."""

    id: str
    status: Literal["building", "failed"]
    query: str
    created: datetime
    stage: Stage | None = None  # the one that is waited for; null before the first
    stages: tuple[StageProgress, ...] = ()  # those that have begun
    problem: ProblemDetails | None = None  # why it has failed


class AskRequest(Contract):
    """`POST /dt/<id>/segment`: another query on the same image. Options that are left out are those of the twin."""

    query: Annotated[str, Field(json_schema_extra=QUERY_SCHEMA)]
    semantics: SemanticsOptions | None = None
    reasoning: ReasoningOptions | None = None
    mask_format: MaskFormat = "rle"
