"""The reasoning path: decisions that refine the twin step by step (Eqs. 7-8), and the rules that it must obey."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Index = Annotated[int, Field(ge=1)]


class PathModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Decision(PathModel):
    """Keep or drop one object. `semantic` is the refined description, given only where the object is kept.

    The reasoning is written before the verdict, so that a model judges by what it has just said.
    """

    index: Index
    reasoning: str
    keep: bool
    semantic: str | None = None


class Step(PathModel):
    """One refinement of the twin. `otherwise` is the reason for dropping every object that is not listed."""

    step: Annotated[int, Field(ge=1)]
    criterion: str
    decisions: tuple[Decision, ...]
    otherwise: str | None = None

    @property
    def kept(self) -> list[int]:
        """Indices that this step keeps, in order."""
        return [decision.index for decision in self.decisions if decision.keep]


def violations(path: Sequence[Step], indices: Sequence[int], objects: Sequence[int]) -> list[str]:
    """What is wrong with an answer to a twin whose object indices are `objects`; empty when nothing is.

    A step decides, in index order and once each, on exactly the objects that the step before kept (the first on all);
    it may leave some out where `otherwise` says why they are dropped. `indices` are those that the last step kept.
    """
    found: list[str] = []
    before = sorted(objects)
    if not path:
        found.append("the path is empty; give at least one step")
    for number, step in enumerate(path, start=1):
        where = f"step {number}"
        if step.step != number:
            found.append(f"{where} is numbered {step.step}")
        decided = [decision.index for decision in step.decisions]
        if decided != sorted(set(decided)):
            found.append(f"{where} must decide once on each object, in index order; it decides on {decided}")
        if unknown := sorted(set(decided) - set(before)):
            source = "in the twin" if number == 1 else f"kept by step {number - 1}"
            found.append(f"{where} decides on {unknown}, which are not {source}")
        if (missing := sorted(set(before) - set(decided))) and step.otherwise is None:
            found.append(f"{where} does not decide on {missing} and gives no reason in `otherwise`")
        found += [
            f"{where} drops object {decision.index} and yet refines its semantic"
            for decision in step.decisions
            if not decision.keep and decision.semantic is not None
        ]
        before = sorted(set(step.kept) & set(before))
    if path and list(indices) != before:
        found.append(f"indices are {list(indices)} but the last step kept {before}")
    return found
