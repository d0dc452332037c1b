"""A path over the true objects of a scene as one over the objects that were perceived in it."""

import re
from collections.abc import Mapping, Sequence

from dtwinseger.twin import Decision, Step, TwinObject

UNDESCRIBED = "no description"

_NUMBER = re.compile(r"\b(\d+)\b(?: \(([^()]*)\))?")  # an object's index, and what the twin calls the object


class NotFoundError(Exception):
    """The path refers to an object that was not perceived."""


def reexpress(
    path: Sequence[Step],
    objects: Sequence[TwinObject],
    perceived: Mapping[int, int],
    holders: Mapping[int, int],
) -> tuple[tuple[Step, ...], tuple[int, ...]]:
    """The path over `objects`, the perceived twin with indices 1..N, and the indices that it keeps.

    perceived: index in `path` -> index in `objects` of the same object. holders: index of a perceived object that is
    none of the true ones -> index of the perceived object that it is a piece of. An object that no true one matches is
    dropped in the first step that decides on it, as a piece, or by its description. A refined semantic is the perceived
    one: the twin is restated, not corrected. The path ends where nothing is left. Raises NotFoundError where it needs
    an object that is missing.
    """
    by_index = {found.index: found for found in objects}
    true = {there: here for here, there in perceived.items()}
    left = sorted(by_index)
    steps: list[Step] = []
    for step in path:
        said = {decision.index: decision for decision in step.decisions}
        decisions: list[Decision] = []
        for index in left:
            found = by_index[index]
            if index not in true:
                holder = by_index.get(holders.get(index, 0))
                decisions.append(Decision(index=index, reasoning=_stray(found, holder), keep=False))
            elif decision := said.get(true[index]):
                semantic = found.semantic if decision.keep else None
                words = _renumbered(decision.reasoning, perceived, by_index)
                decisions.append(Decision(index=index, reasoning=words, keep=decision.keep, semantic=semantic))
        otherwise = step.otherwise
        if otherwise is not None:  # one reason for all that the step does not list
            otherwise = _renumbered(otherwise, perceived, by_index)
            decisions = [decision for decision in decisions if decision.index in true]
        criterion = _renumbered(step.criterion, perceived, by_index)
        steps.append(Step(step=step.step, criterion=criterion, decisions=tuple(decisions), otherwise=otherwise))
        left = steps[-1].kept
        if not left:
            break
    return tuple(steps), tuple(left)


def name(found: TwinObject) -> str:
    """What relations call the object."""
    return found.category or found.semantic or "object"


def _stray(found: TwinObject, holder: TwinObject | None) -> str:
    if holder is not None:
        return f"only a piece of {holder.index} ({name(holder)})"
    return found.semantic or UNDESCRIBED


def _renumbered(text: str, perceived: Mapping[int, int], objects: Mapping[int, TwinObject]) -> str:
    """`text` with the indices, and the names that follow them, of the perceived twin."""

    def here(match: re.Match[str]) -> str:
        index = perceived.get(int(match[1]))
        if index is None:
            raise NotFoundError(f"object {match[1]}")
        return f"{index} ({name(objects[index])})" if match[2] is not None else str(index)

    return _NUMBER.sub(here, text)
