"""Semantics: POST /v1/granularity and /v1/semantics, multipart: image, request (JSON)."""

from typing import Annotated, Literal

from pydantic import Field

from dtwinseger.api.contract import Contract, Share
from dtwinseger.api.options import SemanticsOptions
from dtwinseger.api.usage import EngineUsage
from dtwinseger.problems import ProblemDetails
from dtwinseger.twin.mask import Mask
from dtwinseger.twin.model import Granularity
from dtwinseger.twin.path import Index


class GranularityRequest(Contract):
    query: str


class GranularityResponse(Contract):
    """Eq. 1."""

    granularity: Granularity
    reason: str
    model: str
    prompts: str  # SHA-256 of the prompt
    usage: EngineUsage


class DescribedMask(Contract):
    """A mask to describe, under the index that the answer will carry."""

    index: Index
    mask: Mask


class SemanticsRequest(Contract):
    query: str | None  # null for scope `image`
    masks: tuple[DescribedMask, ...]
    options: SemanticsOptions = SemanticsOptions()


class Semantics(Contract):
    """What the VLM says of one mask (Eq. 4)."""

    semantic: Annotated[str, Field(min_length=1, max_length=500)]
    category: Annotated[str, Field(min_length=1, max_length=100)]
    attributes: Annotated[tuple[str, ...], Field(max_length=20)] = ()
    relevance: Share = 0.0


class SemanticsLine(Contract):
    """A line of the NDJSON answer: one mask described, or its error, in any order."""

    kind: Literal["semantics"] = "semantics"
    index: Index
    semantics: Semantics | None = None
    error: ProblemDetails | None = None


class SemanticsEnd(Contract):
    """The closing line. A stream without it was cut."""

    kind: Literal["end"] = "end"
    model: str
    prompts: str
    usage: EngineUsage
