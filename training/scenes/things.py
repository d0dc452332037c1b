"""Twin rows taken apart: what queries are made from, and what the trainer perturbs."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dtwinseger.twin import Relation, TwinObject, TwinRow, spatial
from training.scenes.vocabulary import COLORS, KINDS, MATERIALS, PATTERNS, SIZES

INVERSE = {
    "left_of": "right_of",
    "right_of": "left_of",
    "above": "below",
    "below": "above",
    "inside": "surrounding",
    "surrounding": "inside",
    "next_to": "next_to",
    "overlapping": "overlapping",
}

_PART = re.compile(r"the (\w+) of (.+)")


@dataclass(frozen=True)
class Thing:
    """An object of a twin, or a part of one. Its index is its position, from 1; words are None where nothing said them.

    Of a part, `part` is its name and all other words are of the object that it belongs to.
    """

    size: str | None
    color: str | None
    pattern: str | None
    material: str | None
    kind: str | None
    part: str | None
    semantic: str | None
    bbox: tuple[int, int, int, int]
    area_percent: float
    centroid: tuple[float, float]
    relations: tuple[Relation, ...]

    @property
    def name(self) -> str:
        """What relations call it."""
        return self.part or self.kind or self.semantic or "object"

    @property
    def known(self) -> bool:
        """Whether it is of a kind that the world has."""
        return self.kind in KINDS

    @property
    def surface(self) -> str | None:
        """Its pattern or its material; "plain" where it is described and has neither."""
        return self.pattern or self.material or ("plain" if self.known else None)


def take_apart(objects: Sequence[TwinObject]) -> tuple[Thing, ...]:
    """The things of a twin, true or perceived: their words are read from `semantic` alone, a kind that the world does
    not have from `category`."""
    return tuple(_thing(found) for found in objects)


def _thing(found: TwinObject) -> Thing:
    whole, part = found.semantic or "", None
    if match := _PART.fullmatch(whole):
        part, whole = match[1], match[2]
    words = re.findall(r"\w+", whole.lower())
    kind = next((word for word in words if word in KINDS), None)
    before = words[: words.index(kind)] if kind else words
    return Thing(
        size=_first(before, SIZES),
        color=_first(before, COLORS),
        pattern=_first(before, PATTERNS),
        material=_first(before, MATERIALS),
        kind=kind or (None if part else found.category),
        part=part,
        semantic=found.semantic,
        bbox=found.bbox,
        area_percent=found.area_percent,
        centroid=found.centroid,
        relations=found.relations,
    )


def _first(words: Sequence[str], known: Collection[str]) -> str | None:
    return next((word for word in words if word in known), None)


def rows(things: Sequence[Thing], size: tuple[int, int]) -> tuple[TwinRow, ...]:
    """The rows as the LLM reads them. size: (height, width) of the image."""
    names = {index: thing.name for index, thing in enumerate(things, start=1)}
    return tuple(
        TwinRow(
            index=index,
            semantic=thing.semantic,
            bbox=thing.bbox,
            area_percent=thing.area_percent,
            spatial=spatial(thing.centroid, size, thing.relations, names),
        )
        for index, thing in enumerate(things, start=1)
    )


def place(thing: Thing, size: tuple[int, int]) -> str:
    """Its place as the twin words it: "at the top left"."""
    return spatial(thing.centroid, size, (), {})
