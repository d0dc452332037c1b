"""What an annotator has written of a path, unfinished or not, and the sample that it makes once nothing is missing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from dtwinseger.twin import Decision, Index, Step
from training.segdt.schema import SegDTSample, faults


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WrittenDecision(_Written):
    """On one object; `keep` None is undecided."""

    index: Index
    keep: bool | None
    reasoning: str
    semantic: str | None = None


class WrittenStep(_Written):
    """`otherwise` is why undecided objects are dropped."""

    criterion: str
    decisions: tuple[WrittenDecision, ...]
    otherwise: str | None = None


class Written(_Written):
    """A path as the page sends it."""

    path: tuple[WrittenStep, ...]


@dataclass(frozen=True)
class Fault:
    """What is missing or wrong, and where: in a step counted from 1, and of it at an object; None is all of it."""

    message: str
    step: int | None = None
    index: int | None = None


def complete(sample: SegDTSample, written: Written, annotator: str) -> SegDTSample | list[Fault]:
    """`sample` with the written path, marked as `annotator`'s; or everything that keeps it from being one.

    Every step needs a criterion, every decision a reason, and each object of a step a decision, or the step a reason
    in `otherwise`. Runs of white space become one space; a blank refined semantic is none. The answer is what the last
    step keeps.
    """
    if missing := list(_missing(written)):
        return missing
    path = tuple(_step(number, step) for number, step in enumerate(written.path, start=1))
    provenance = sample.provenance.model_copy(update={"annotator": annotator})
    kept = tuple(path[-1].kept) if path else ()
    made = sample.model_copy(update={"path": path, "indices": kept, "provenance": provenance})
    return [Fault(fault) for fault in faults(made)] or made


def _missing(written: Written) -> Iterator[Fault]:
    for number, step in enumerate(written.path, start=1):
        if not _words(step.criterion):
            yield Fault("Write the criterion: what an object must be to be kept.", number)
        if number > 1 and not step.decisions:
            yield Fault("No object is left for this step: remove it, or keep one in the step before.", number)
        for decision in step.decisions:
            if decision.keep is None and not _words(step.otherwise):
                yield Fault("Keep or reject it, or say below why the undecided are rejected.", number, decision.index)
            if decision.keep is not None and not _words(decision.reasoning):
                yield Fault("Give the reason.", number, decision.index)


def _step(number: int, step: WrittenStep) -> Step:
    decided = tuple(_decisions(step.decisions))
    all_decided = len(decided) == len(step.decisions)
    otherwise = None if all_decided else _words(step.otherwise)
    return Step(step=number, criterion=_words(step.criterion), decisions=decided, otherwise=otherwise)


def _decisions(written: Sequence[WrittenDecision]) -> Iterator[Decision]:
    for one in written:
        if one.keep is not None:
            semantic = _words(one.semantic) or None if one.keep else None
            yield Decision(index=one.index, reasoning=_words(one.reasoning), keep=one.keep, semantic=semantic)


def _words(text: str | None) -> str:
    return " ".join((text or "").split())
