"""Reasoner: POST /v1/reason and /v1/reason/many, JSON."""

from typing import Annotated, Literal

from pydantic import Field

from dtwinseger.api.contract import Contract, Share
from dtwinseger.api.options import ReasoningOptions
from dtwinseger.api.usage import EngineUsage
from dtwinseger.problems import ProblemDetails
from dtwinseger.twin.model import TwinRow
from dtwinseger.twin.path import Index, Step


class ReasonRequest(Contract):
    query: str
    objects: tuple[TwinRow, ...]  # under any indices, each its own
    options: ReasoningOptions = ReasoningOptions()


class ReasonResponse(Contract):
    """Eqs. 6-9; the path obeys `dtwinseger.twin.path.violations`.

    Where the engine gives log-probabilities, the confidence of an object is the probability that the model gave to its
    index where the list of indices holds it, and that of the answer the probability of the whole list, its end
    included; both once the path is written, so they do not doubt the path. Else they are the share of votes that keep
    the object, and of those that keep exactly these objects. Over several votes with log-probabilities they are the
    mean, where a vote for something else counts 0. One vote without log-probabilities measures none.
    """

    indices: tuple[Index, ...]
    path: tuple[Step, ...]
    confidence: dict[Index, Share]  # of each of `indices`, or empty where nothing measures it
    answer_confidence: Share | None = None  # of `indices` as a whole, [] too; null where nothing measures it
    mode: Literal["zero_shot", "sftdt"]  # as resolved
    model: str  # that was asked: the base, or an adapter under the name by which the engine serves it
    prompts: str
    usage: EngineUsage
    warnings: tuple[str, ...] = ()


class ReasonManyRequest(Contract):
    """Many queries on one twin."""

    queries: Annotated[tuple[str, ...], Field(min_length=1, max_length=64)]
    objects: tuple[TwinRow, ...]
    options: ReasoningOptions = ReasoningOptions()


class ReasonOutcome(Contract):
    """What became of one query: its answer or its error."""

    query: str
    answer: ReasonResponse | None = None
    error: ProblemDetails | None = None


class ReasonManyResponse(Contract):
    outcomes: tuple[ReasonOutcome, ...]  # one for each query, in their order
    usage: EngineUsage  # of all of them, what ended in errors included
