"""A twin's path as the page tells it: what each step kept, what it rejected, and what became of each object."""

from dataclasses import dataclass

from dtwinseger.twin import Decision, DigitalTwin


@dataclass(frozen=True)
class StepView:
    """One step of the path. `unlisted` are the indices that it dropped without naming them, for `otherwise`."""

    number: int
    criterion: str
    before: int  # objects that it decided on
    kept: tuple[Decision, ...]
    rejected: tuple[Decision, ...]
    unlisted: tuple[int, ...]
    otherwise: str | None


@dataclass(frozen=True)
class Fate:
    """What became of one object: the last step that decided on it, or None where there is no path."""

    step: int
    kept: bool
    reasoning: str


def steps_of(twin: DigitalTwin) -> list[StepView]:
    """The path, each step with the objects that it met."""
    before = [item.index for item in twin.objects]
    views = []
    for step in twin.answer.path:
        listed = {decision.index for decision in step.decisions}
        views.append(
            StepView(
                number=step.step,
                criterion=step.criterion,
                before=len(before),
                kept=tuple(decision for decision in step.decisions if decision.keep),
                rejected=tuple(decision for decision in step.decisions if not decision.keep),
                unlisted=tuple(index for index in before if index not in listed),
                otherwise=step.otherwise,
            )
        )
        before = step.kept
    return views


def fates(twin: DigitalTwin) -> dict[int, Fate]:
    """index -> what became of the object, for every object that the path decided on."""
    found: dict[int, Fate] = {}
    for view in steps_of(twin):
        for decision in (*view.kept, *view.rejected):
            found[decision.index] = Fate(view.number, decision.keep, decision.reasoning)
        for index in view.unlisted:
            found[index] = Fate(view.number, False, view.otherwise or "")
    return found
