"""A path over the true objects of a scene as one over the objects that were perceived in it.

A path says of an object only what the twin says: where a description came out wrong, a decision restates the wrong
one, and where the answer no longer follows from the descriptions there is no path. A model that learned from such a
sample would learn to see what it does not read.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dtwinseger.twin import Decision, Step, TwinObject
from training.scenes.phrases import PLACES
from training.scenes.things import INVERSE
from training.scenes.vocabulary import KINDS, MATERIALS, PATTERNS

UNDESCRIBED = "no description"

_NUMBER = re.compile(r"\b(\d+)\b(?: \(([^()]*)\))?")  # an object's index, and what the twin calls the object
_RELATED = re.compile(r"([a-z ]+) (\d+) \(")  # a relation as the twin words it, and its target
_EMPTY = frozenset(("a", "an", "the", "is", "are", "of"))  # words that say nothing of an object
_DENIED, _PLAIN = "is not ", "is plain"
_SURFACES = frozenset((*PATTERNS, *MATERIALS))


class NotFoundError(Exception):
    """The path refers to an object that was not perceived."""


class ContradictedError(Exception):
    """The perceived descriptions lead to another answer than the true one."""


@dataclass(frozen=True)
class Perception:
    """Which objects were perceived. `objects` is the perceived twin, `true` the true one, both by index.

    same: index of a true object -> index of the perceived one.
    """

    objects: Mapping[int, TwinObject]
    true: Mapping[int, TwinObject]
    same: Mapping[int, int]


def reexpress(path: Sequence[Step], seen: Perception) -> tuple[tuple[Step, ...], tuple[int, ...]]:
    """The path over the perceived twin, and the indices that it keeps.

    An object that no true one matches is dropped in the first step that decides on it: as a piece of one that does,
    where the twin says that it is inside of that, else by its description. A refined semantic is the perceived one. The
    path ends where nothing is left. Raises NotFoundError where it needs an object that is missing, ContradictedError
    where a kept object is not described as what it is kept for, or a dropped one as what it is dropped for not being,
    and where one that no true one matches has the place, or the relation, that a step asks for.
    """
    true_index = {here: there for there, here in seen.same.items()}
    left = sorted(seen.objects)
    steps: list[Step] = []
    for step in path:
        said = {decision.index: decision for decision in step.decisions}
        decisions = []
        for index in left:
            if index in true_index:
                if decision := said.get(true_index[index]):
                    decisions.append(_decision(decision, index, step.criterion, seen))
            elif step.otherwise is None:  # else the one reason for dropping the others is its reason too
                decisions.append(Decision(index=index, reasoning=_stray(index, step.criterion, seen), keep=False))
        otherwise = None if step.otherwise is None else _renumbered(step.otherwise, seen)
        criterion = _renumbered(step.criterion, seen)
        steps.append(Step(step=step.step, criterion=criterion, decisions=tuple(decisions), otherwise=otherwise))
        left = steps[-1].kept
        if not left:
            break
    return tuple(steps), tuple(left)


def _decision(decision: Decision, index: int, criterion: str, seen: Perception) -> Decision:
    found, truth = seen.objects[index], seen.true[decision.index]
    reasoning = _renumbered(decision.reasoning, seen)
    if not _supported(decision.reasoning, found, truth):
        if decision.keep or _described_as(criterion, found):
            raise ContradictedError(f"object {index}")
        reasoning = found.semantic or UNDESCRIBED
    return Decision(
        index=index, reasoning=reasoning, keep=decision.keep, semantic=found.semantic if decision.keep else None
    )


def _supported(reasoning: str, found: TwinObject, truth: TwinObject) -> bool:
    """Whether the twin says what is said of the object; of relations and places it does, wherever objects match."""
    if found.semantic == truth.semantic or _NUMBER.search(reasoning) or reasoning in found.spatial:
        return True
    if reasoning == _PLAIN:
        return not _words(found.semantic) & _SURFACES
    said = _words(reasoning)
    if said <= _words(found.semantic):
        return True
    return found.category == truth.category and not said <= _words(truth.semantic)


def _stray(index: int, criterion: str, seen: Perception) -> str:
    found = seen.objects[index]
    wholes = set(seen.same.values())
    for relation in found.relations:
        if relation.predicate == "inside" and relation.target in wholes:
            return f"only a piece of {relation.target} ({_name(seen.objects[relation.target])})"
    if _described_as(criterion, found) or _placed_as(criterion, index, seen):
        raise ContradictedError(f"object {index}")
    return found.semantic or UNDESCRIBED


def _described_as(criterion: str, found: TwinObject) -> bool:
    """Whether the description has all words of the criterion, or of one of its alternatives: "is a mug or a bottle".

    Of what the criterion denies, "is not a mug or a bottle", it must have none; only what the world knows is judged so.
    """
    words = _words(found.semantic)
    if criterion.startswith(_DENIED):
        return bool(words & KINDS.keys()) and not _described_as(criterion.removeprefix(_DENIED), found)
    return any(said and said <= words for said in map(_words, criterion.split(" or ")))


def _placed_as(criterion: str, index: int, seen: Perception) -> bool:
    """Whether the twin says of the object that it lies or relates so: "is at the left", "is above 3 (mug)"."""
    said, found = criterion.removeprefix("is "), seen.objects[index]
    if said in PLACES:
        return set(said.split()) <= set(found.spatial.partition(";")[0].split())
    for alternative in _renumbered(said, seen).split(" or "):
        if match := _RELATED.match(alternative):
            predicate, target = match[1].replace(" ", "_"), int(match[2])
            here = {relation.predicate for relation in found.relations if relation.target == target}
            there = {relation.predicate for relation in seen.objects[target].relations if relation.target == index}
            if predicate in here or INVERSE.get(predicate) in there:
                return True
    return False


def _words(text: str | None) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", (text or "").lower())) - _EMPTY


def _name(found: TwinObject) -> str:
    """What relations call the object."""
    return found.category or found.semantic or "object"


def _renumbered(text: str, seen: Perception) -> str:
    """`text` with the indices, and the names that follow them, of the perceived twin."""

    def here(match: re.Match[str]) -> str:
        index = seen.same.get(int(match[1]))
        if index is None:
            raise NotFoundError(f"object {match[1]}")
        return f"{index} ({_name(seen.objects[index])})" if match[2] is not None else str(index)

    return _NUMBER.sub(here, text)
