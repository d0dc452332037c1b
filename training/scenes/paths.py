"""Criteria that a twin is refined by, and the reasoning path that applying them in turn gives (Eqs. 7-8).

Every decision restates what it judges, in the words of the twin: what the object is, where it is, or how the twin
relates it to the target. That is what lets a small model learn to reason.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from dtwinseger.twin import Decision, Step
from dtwinseger.twin.relations import RELATIONS_PER_OBJECT
from training.scenes.phrases import article, plural
from training.scenes.things import INVERSE, Thing, place
from training.scenes.world import KINDS

UNDESCRIBED = "no description"

Size = tuple[int, int]  # height, width of the image
Verdict = tuple[str, bool]  # the reasoning, and whether to keep


@dataclass(frozen=True)
class Look:
    """What a thing is like; None and () leave it open. Several kinds are alternatives."""

    size: str | None = None
    color: str | None = None
    kinds: tuple[str, ...] = ()

    def fits(self, thing: Thing) -> bool:
        return (
            self.size in (None, thing.size)
            and self.color in (None, thing.color)
            and (not self.kinds or thing.kind in self.kinds)
        )

    @property
    def noun(self) -> str:
        """ "small red kite"."""
        return self.phrase("thing")

    def phrase(self, thing_word: str) -> str:
        return self._adjectives(self.kinds[0] if self.kinds else thing_word)

    def plural_phrase(self, things_word: str) -> str:
        return self._adjectives(plural(self.kinds[0]) if self.kinds else things_word)

    def _adjectives(self, noun: str) -> str:
        return " ".join(word for word in (self.size, self.color, noun) if word)

    def steps(self) -> "list[Criterion]":
        """One criterion for each thing that is said: the kind first, then color and size."""
        said: list[Criterion] = [IsKind(self.kinds)] if self.kinds else []
        color: list[Criterion] = [Is("color", self.color)] if self.color else []
        size: list[Criterion] = [Is("size", self.size)] if self.size else []
        return said + color + size


@dataclass(frozen=True)
class IsKind:
    """Of one of these kinds."""

    kinds: tuple[str, ...]

    def criterion(self) -> str:
        return "is " + " or ".join(article(kind) for kind in self.kinds)

    def judge(
        self, things: Sequence[Thing], index: int, among: Sequence[int], size: tuple[int, int]
    ) -> tuple[str, bool]:
        thing = things[index - 1]
        said = article(thing.kind) if thing.kind in KINDS else thing.semantic or UNDESCRIBED
        return said, thing.kind in self.kinds


@dataclass(frozen=True)
class Is:
    """Of this color, or of this size."""

    name: Literal["color", "size"]
    word: str

    def criterion(self) -> str:
        return f"is {self.word}"

    def judge(
        self, things: Sequence[Thing], index: int, among: Sequence[int], size: tuple[int, int]
    ) -> tuple[str, bool]:
        thing = things[index - 1]
        word = thing.color if self.name == "color" else thing.size
        return f"is {word}" if word else thing.semantic or UNDESCRIBED, word == self.word


@dataclass(frozen=True)
class Place:
    """In a part of the image: "at the left" holds "at the top left" too."""

    where: str

    def criterion(self) -> str:
        return f"is {self.where}"

    def judge(
        self, things: Sequence[Thing], index: int, among: Sequence[int], size: tuple[int, int]
    ) -> tuple[str, bool]:
        found = place(things[index - 1], size)
        return found, set(self.where.split()) <= set(found.split())


@dataclass(frozen=True)
class Relates:
    """Related to the object with index `target`, listed at either of the two."""

    predicate: str
    target: int
    name: str = ""

    def criterion(self) -> str:
        return f"is {words(self.predicate)} {self.target} ({self.name})"

    def judge(
        self, things: Sequence[Thing], index: int, among: Sequence[int], size: tuple[int, int]
    ) -> tuple[str, bool]:
        called = f"{self.target} ({things[self.target - 1].name})"
        if index == self.target:
            return f"{called} itself", False
        here = [r.predicate for r in things[index - 1].relations if r.target == self.target]
        there = [r.predicate for r in things[self.target - 1].relations if r.target == index]
        if here:
            said = self.predicate if self.predicate in here else here[0]
            return f"{words(said)} {called}", said == self.predicate
        if there:
            inverse = INVERSE[self.predicate]
            said = inverse if inverse in there else there[0]
            return f"{called} is {words(said)} it", said == inverse
        return f"not related to {called}", False


@dataclass(frozen=True)
class Missing:
    """Related to something that the twin does not have."""

    predicate: str
    look: Look

    def criterion(self) -> str:
        return f"is {words(self.predicate)} {article(self.look.noun)}"

    def judge(
        self, things: Sequence[Thing], index: int, among: Sequence[int], size: tuple[int, int]
    ) -> tuple[str, bool]:
        return f"there is no {self.look.noun}", False


@dataclass(frozen=True)
class Extreme:
    """The first or the last by area of those that are left."""

    largest: bool

    def criterion(self) -> str:
        return f"is the {'largest' if self.largest else 'smallest'}"

    def judge(
        self, things: Sequence[Thing], index: int, among: Sequence[int], size: tuple[int, int]
    ) -> tuple[str, bool]:
        best = min(among) if self.largest else max(among)
        if index == best:
            return f"the {'largest' if self.largest else 'smallest'}", True
        return f"{'smaller' if self.largest else 'larger'} than {best}", False


Criterion = IsKind | Is | Place | Relates | Missing | Extreme


def words(predicate: str) -> str:
    return predicate.replace("_", " ") if predicate.endswith("_of") or predicate == "next_to" else predicate


def solve(
    things: Sequence[Thing], size: Size, criteria: Sequence[Criterion]
) -> tuple[tuple[int, ...], tuple[Step, ...]]:
    """Apply the criteria in turn until nothing is left: the indices kept, and the path. size: (height, width)."""
    left = list(range(1, len(things) + 1))
    path: list[Step] = []
    for number, criterion in enumerate(criteria, start=1):
        if isinstance(criterion, Relates):
            criterion = Relates(criterion.predicate, criterion.target, things[criterion.target - 1].name)
        decisions = []
        for index in left:
            reasoning, keep = criterion.judge(things, index, left, size)
            semantic = things[index - 1].semantic if keep else None
            decisions.append(Decision(index=index, reasoning=reasoning, keep=keep, semantic=semantic))
        step = Step(step=number, criterion=criterion.criterion(), decisions=tuple(decisions))
        path.append(step)
        left = step.kept
        if not left:
            break
    return tuple(left), tuple(path)


def pairs(things: Sequence[Thing]) -> list[tuple[int, str, int]]:
    """Every relation that the twin lists, both ways: (subject, predicate, target)."""
    listed = [(i, r.predicate, r.target) for i, thing in enumerate(things, start=1) for r in thing.relations]
    return [*listed, *((target, INVERSE[predicate], subject) for subject, predicate, target in listed)]


def complete(things: Sequence[Thing], candidates: Iterable[int], target: int) -> bool:
    """Whether the text tells how each candidate relates to the target: none of it was cut off by the limit."""
    for index in candidates:
        if index == target:
            continue
        later, earlier = max(index, target), min(index, target)
        listed = things[later - 1].relations
        if len(listed) >= RELATIONS_PER_OBJECT and all(r.target != earlier for r in listed):
            return False
    return True
