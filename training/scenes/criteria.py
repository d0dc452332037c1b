"""Criteria that a twin is refined by (Eqs. 7-8).

Every decision restates what it judges, in the words of the twin: what the object is, where it is, or how the twin
relates it to the target. That is what lets a small model learn to reason. A number in digits is an object's index.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from training.scenes.things import INVERSE, Thing, place
from training.scenes.words import article, part_article

UNDESCRIBED = "no description"

Size = tuple[int, int]  # height, width of the image
Verdict = tuple[str, bool]  # the reasoning, and whether to keep
Attribute = Literal["color", "size", "surface"]
ATTRIBUTES: tuple[Attribute, ...] = get_args(Attribute)
Among = Sequence[int]  # the indices that are left


def told(predicate: str) -> str:
    """The predicate as the twin words it."""
    return predicate.replace("_", " ") if predicate.endswith("_of") or predicate == "next_to" else predicate


def _unlike(thing: Thing) -> str:
    return thing.semantic or UNDESCRIBED


@dataclass(frozen=True)
class IsKind:
    """Of one of these kinds: what a class or a use means is said by the kinds that it takes in."""

    kinds: tuple[str, ...]

    def criterion(self) -> str:
        return "is " + self.alternatives()

    def alternatives(self) -> str:
        return " or ".join(article(kind) for kind in self.kinds)

    def judge(self, things: Sequence[Thing], index: int, among: Among, size: Size) -> Verdict:
        thing = things[index - 1]
        if thing.part or thing.kind is None or not thing.known:
            return _unlike(thing), False
        return article(thing.kind), thing.kind in self.kinds


@dataclass(frozen=True)
class Is:
    """Of one of these colors, sizes, or surfaces."""

    name: Attribute
    words: tuple[str, ...]

    def criterion(self) -> str:
        return "is " + self.alternatives()

    def alternatives(self) -> str:
        return " or ".join(self.words)

    def judge(self, things: Sequence[Thing], index: int, among: Among, size: Size) -> Verdict:
        thing = things[index - 1]
        word: str | None = getattr(thing, self.name)
        return f"is {word}" if word else _unlike(thing), word in self.words


@dataclass(frozen=True)
class IsPart:
    """A part of one of these names."""

    parts: tuple[str, ...]

    def criterion(self) -> str:
        return "is " + " or ".join(part_article(part) for part in self.parts)

    def judge(self, things: Sequence[Thing], index: int, among: Among, size: Size) -> Verdict:
        thing = things[index - 1]
        return part_article(thing.part) if thing.part else _unlike(thing), thing.part in self.parts


@dataclass(frozen=True)
class OfKind:
    """A part of an object of one of these kinds."""

    kinds: tuple[str, ...]

    def criterion(self) -> str:
        return "is of " + " or ".join(article(kind) for kind in self.kinds)

    def judge(self, things: Sequence[Thing], index: int, among: Among, size: Size) -> Verdict:
        thing = things[index - 1]
        if not thing.part or thing.kind is None:
            return _unlike(thing), False
        return f"of {article(thing.kind)}", thing.kind in self.kinds


@dataclass(frozen=True)
class Place:
    """In a part of the image: "at the left" holds "at the top left" too."""

    where: str

    def criterion(self) -> str:
        return "is " + self.alternatives()

    def alternatives(self) -> str:
        return self.where

    def judge(self, things: Sequence[Thing], index: int, among: Among, size: Size) -> Verdict:
        found = place(things[index - 1], size)
        return found, set(self.where.split()) <= set(found.split())


@dataclass(frozen=True)
class Not:
    """Described, and not that."""

    that: IsKind | Is | Place

    def criterion(self) -> str:
        return "is not " + self.that.alternatives()

    def judge(self, things: Sequence[Thing], index: int, among: Among, size: Size) -> Verdict:
        reasoning, keep = self.that.judge(things, index, among, size)
        return reasoning, not keep and things[index - 1].known


@dataclass(frozen=True)
class Relates:
    """Related to the object with index `target`, listed at either of the two. `whole` keeps that object as well."""

    predicate: str
    target: int
    name: str
    whole: bool = False

    def criterion(self) -> str:
        called = f"{self.target} ({self.name})"
        return f"is {called + ' or ' if self.whole else ''}{told(self.predicate)} {called}"

    def judge(self, things: Sequence[Thing], index: int, among: Among, size: Size) -> Verdict:
        called = f"{self.target} ({self.name})"
        if index == self.target:
            return f"{called} itself", self.whole
        here = [r.predicate for r in things[index - 1].relations if r.target == self.target]
        there = [r.predicate for r in things[self.target - 1].relations if r.target == index]
        if here:
            said = self.predicate if self.predicate in here else here[0]
            return f"{told(said)} {called}", said == self.predicate
        if there:
            inverse = INVERSE[self.predicate]
            said = inverse if inverse in there else there[0]
            return f"{called} is {told(said)} it", said == inverse
        return f"not related to {called}", False


@dataclass(frozen=True)
class Missing:
    """Related to something that the twin does not have."""

    predicate: str
    noun: str

    def criterion(self) -> str:
        return f"is {told(self.predicate)} {article(self.noun)}"

    def judge(self, things: Sequence[Thing], index: int, among: Among, size: Size) -> Verdict:
        return f"there is no {self.noun}", False


@dataclass(frozen=True)
class Extreme:
    """The first or the last by area of those that are left."""

    largest: bool

    def criterion(self) -> str:
        return f"is the {'largest' if self.largest else 'smallest'}"

    def judge(self, things: Sequence[Thing], index: int, among: Among, size: Size) -> Verdict:
        best = min(among) if self.largest else max(among)
        if index == best:
            return f"the {'largest' if self.largest else 'smallest'}", True
        return f"{'smaller' if self.largest else 'larger'} than {best}", False


# Side -> the coordinate of the box that decides, and whether the greatest wins.
SIDES = {"leftmost": (0, False), "topmost": (1, False), "rightmost": (2, True), "lowest": (3, True)}
_BEHIND = {"leftmost": "right of", "topmost": "below", "rightmost": "left of", "lowest": "above"}
_BEYOND = {"leftmost": "left of", "topmost": "above", "rightmost": "right of", "lowest": "below"}


@dataclass(frozen=True)
class UpTo:
    """Further to a side, by its centroid, than all that are left and come before it: the last of those is the furthest.

    Each is judged by its place and by one other's, so that none looks ahead and a decision is one comparison: places
    alone decide it where one is nearer to the side.
    """

    side: str

    def criterion(self) -> str:
        return f"is the {self.side} up to it"

    def judge(self, things: Sequence[Thing], index: int, among: Among, size: Size) -> Verdict:
        where = place(things[index - 1], size)
        before = [other for other in among if other < index]
        if not before:
            return where, True
        best = max(before, key=lambda other: self._reach(things[other - 1]))
        further = self._reach(things[index - 1]) - self._reach(things[best - 1])
        relation = f"is {(_BEHIND if further > 0 else _BEYOND)[self.side]} it" if further else "is as far"
        return f"{where}; {best} ({things[best - 1].name}) {relation}", further > 0

    def _reach(self, thing: Thing) -> float:
        corner, greatest = SIDES[self.side]
        return thing.centroid[corner % 2] * (1 if greatest else -1)


@dataclass(frozen=True)
class Edge:
    """The one whose box reaches furthest to a side: the object with index `best`, of those that are left."""

    side: str
    best: int
    name: str

    def criterion(self) -> str:
        return f"is the {self.side}, {self.best} ({self.name})"

    def judge(self, things: Sequence[Thing], index: int, among: Among, size: Size) -> Verdict:
        if index == self.best:
            return f"the {self.side}", True
        return f"{_BEHIND[self.side]} {self.best}", False


@dataclass(frozen=True)
class Together:
    """Close to another of those that are left, as the twin tells it."""

    def criterion(self) -> str:
        return "is with another"

    def judge(self, things: Sequence[Thing], index: int, among: Among, size: Size) -> Verdict:
        for other in among:
            if other != index and (predicate := near(things, index, other)):
                return f"{told(predicate)} {other} ({things[other - 1].name})", True
        return "alone", False


Criterion = IsKind | Is | IsPart | OfKind | Place | Not | Relates | Missing | Extreme | UpTo | Edge | Together


def of_place(criterion: Criterion) -> bool:
    """Whether it asks where a thing is in the image."""
    return isinstance(criterion, Place) or (isinstance(criterion, Not) and isinstance(criterion.that, Place))


def near(things: Sequence[Thing], index: int, other: int) -> str | None:
    """How the twin says that the two are close, if it does: next to, overlapping, or one inside of the other."""
    for relation in things[index - 1].relations:
        if relation.target == other and relation.predicate in ("next_to", "inside", "overlapping"):
            return relation.predicate
    for relation in things[other - 1].relations:
        if relation.target == index and relation.predicate in ("next_to", "inside", "overlapping"):
            return INVERSE[relation.predicate]
    return None
