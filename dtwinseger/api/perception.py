"""Perception: POST /v1/proposals, multipart: image, options (ProposalsRequest as JSON)."""

from typing import Annotated

from pydantic import Field

from dtwinseger.api.contract import Contract, Level
from dtwinseger.api.options import ProposalOptions
from dtwinseger.twin.mask import Mask


class ProposalsRequest(Contract):
    levels: Annotated[tuple[Level, ...], Field(min_length=1)] = ("object",)
    options: ProposalOptions = ProposalOptions()


class Proposal(Contract):
    """A candidate mask. `point` is the prompt that made it."""

    mask: Mask
    predicted_iou: float
    point: tuple[float, float]


class ProposalsResponse(Contract):
    width: int
    height: int
    levels: dict[Level, tuple[Proposal, ...]]  # each by area, largest first; none are an answer too
    options: dict[Level, ProposalOptions]  # as resolved: no nulls but `rounds`
    model: str  # name and content hash of the checkpoint
    timings_ms: dict[str, float]
    warnings: dict[Level, tuple[str, ...]] = Field(default_factory=dict)
