"""Twin rows taken apart: what queries are made from, and what the trainer perturbs."""

from collections.abc import Sequence
from dataclasses import dataclass

from dtwinseger.twin import Relation, TwinObject, TwinRow, spatial

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


@dataclass(frozen=True)
class Thing:
    """An object of a twin. Its index is its position, from 1; words are None where nothing described it."""

    size: str | None
    color: str | None
    kind: str | None
    semantic: str | None
    bbox: tuple[int, int, int, int]
    area_percent: float
    centroid: tuple[float, float]
    relations: tuple[Relation, ...]

    @property
    def name(self) -> str:
        """What relations call it."""
        return self.kind or self.semantic or "object"


def take_apart(objects: Sequence[TwinObject]) -> tuple[Thing, ...]:
    """The things of a true twin, whose attributes are size and color."""
    return tuple(
        Thing(
            size=o.attributes[0] if o.attributes else None,
            color=o.attributes[1] if o.attributes else None,
            kind=o.category,
            semantic=o.semantic,
            bbox=o.bbox,
            area_percent=o.area_percent,
            centroid=o.centroid,
            relations=o.relations,
        )
        for o in objects
    )


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
