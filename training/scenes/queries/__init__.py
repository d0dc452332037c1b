"""Seeded queries about a twin, each with its answer and the reasoning path that finds it (Eqs. 6-9).

The answer follows from the text of the twin alone. A query for one object has one object that satisfies it.
"""

import random
from collections.abc import Callable, Sequence
from functools import partial

from training.scenes.queries import combined, groups, looks, nothing, parts, relations
from training.scenes.queries.speaker import Query, Speaker
from training.scenes.things import Thing

__all__ = ["OF_OBJECTS", "OF_PARTS", "QUERY_KINDS", "Asker", "Query"]

Maker = Callable[[Speaker], Query | None]

# How a query refers to its target -> its share of all, and what makes it.
OF_OBJECTS: dict[str, tuple[float, Maker]] = {
    "name": (0.05, looks.name),
    "description": (0.09, looks.description),
    "color": (0.07, looks.color),
    "size": (0.05, looks.by_size),
    "surface": (0.05, looks.surface),
    "number": (0.06, looks.number),
    "several": (0.06, looks.several),
    "class": (0.06, looks.by_class),
    "negation": (0.08, looks.negation),
    "place": (0.07, relations.place),
    "relation": (0.09, relations.relation),
    "superlative": (0.05, relations.superlative),
    "group": (0.06, groups.group),
    "affordance": (0.09, combined.affordance),
    "two_step": (0.10, combined.two_step),
    "none": (0.16, nothing.none),
    "unknown": (0.0, nothing.unknown),  # only where it is asked for: it is about no scene
}
OF_PARTS: dict[str, tuple[float, Maker]] = {
    "part": (0.50, parts.part),
    "part_use": (0.33, parts.use),
    "none": (0.17, parts.none),
    "unknown": (0.0, nothing.unknown),
}
INSIST = 4  # tries for the kind that was drawn, so that the rarely possible ones have their share too
QUERY_KINDS = tuple(dict.fromkeys((*OF_OBJECTS, *OF_PARTS)))


class Asker:
    """Draws queries about one twin; of parts where it is a twin of parts. size: (height, width) of the image.

    `rng` decides everything. held_out: ask in the phrasings that training never sees.
    """

    def __init__(
        self, things: Sequence[Thing], size: tuple[int, int], rng: random.Random, *, held_out: bool = False
    ) -> None:
        speaker = Speaker(things, size, rng, held_out)
        self.things, self.size, self.rng = things, size, rng
        self.makers: dict[str, tuple[float, Callable[[], Query | None]]] = {
            name: (weight, partial(maker, speaker))
            for name, (weight, maker) in (OF_PARTS if speaker.of_parts else OF_OBJECTS).items()
        }
        self._names = list(self.makers)
        self._weights = [weight for weight, _ in self.makers.values()]

    def draw(self, kind: str | None = None, tries: int = 40) -> Query | None:
        """A query of `kind`, or of one drawn; None where the twin offers none in that many tries."""
        chosen = kind or ""
        for attempt in range(tries):
            if kind is None and attempt % INSIST == 0:
                chosen = self.rng.choices(self._names, self._weights)[0]
            if query := self.makers[chosen][1]():
                return query
        return None
