"""What dtwin-mini-vlm is taught to answer, and the texts from which its vocabulary is made."""

import json
from collections.abc import Iterable
from typing import Any

from dtwinseger import prompts
from dtwinseger.api import Semantics
from dtwinseger.twin import Granularity
from training.mini.vlm_data import BACKGROUND, WHOLE, Asked
from training.scenes import COLORS, KINDS, SIZES

REASONS: dict[Granularity, str] = {
    "group": "the query asks for several objects together",
    "object": "the query asks for one whole object",
    "part": "the query asks for a part of an object",
}
# Instructions and what never varies within an answer: one token each.
FRAGMENTS = (
    prompts.GRANULARITY,
    prompts.SEMANTICS,
    "There is no query: describe the object for any.",
    "Query:",
    "\nObject:",
    '{"semantic":"',
    '","category":"',
    '","attributes":["',
    '","attributes":[],"relevance":',
    '","',
    '"],"relevance":',
    "0.0}",
    "1.0}",
    '{"granularity":"',
    '","reason":"',
    '"}',
)


def semantics(record: Any, asked: Asked | None) -> Semantics:
    """What a mask shows in the light of a query. record: of `vlm_data.RECORD`."""
    if record["kind"] == BACKGROUND:
        return Semantics(semantic="the background", category="background")
    kind = list(KINDS)[record["kind"]]
    size, color = list(SIZES)[record["size"]], list(COLORS)[record["color"]]
    for_part = asked is not None and asked.granularity == "part"
    number = int(record["part"] if for_part else record["shown"])
    part = None if number == WHOLE else KINDS[kind][number]
    fits = asked is not None and asked.fits[record["object"]] and (not for_part or asked.part in (part, *_only(kind)))
    relevance = 1.0 if fits else 0.0
    if part is None:
        return Semantics(
            semantic=f"a {size} {color} {kind}", category=kind, attributes=(size, color), relevance=relevance
        )
    return Semantics(semantic=f"the {part} of a {size} {color} {kind}", category=part, relevance=relevance)


def granularity(asked: Asked) -> dict[str, str]:
    """At which granularity a query is answered, and why."""
    return {"granularity": asked.granularity, "reason": REASONS[asked.granularity]}


def compact(answer: Semantics | dict[str, str]) -> str:
    """The answer as the model writes it."""
    value = answer.model_dump() if isinstance(answer, Semantics) else answer
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def texts(queries: Iterable[Asked]) -> list[str]:
    """Texts with every word that occurs in `queries` or in an answer, as it occurs there."""
    words = [*KINDS, *COLORS, *SIZES, *(part for parts in KINDS.values() for part in parts)]
    said = ["a background", "the background", "the part of a", *REASONS, *REASONS.values()]
    return [*words, *(f" {word}" for word in words), *said, *(f" {query.text}" for query in queries)]


def _only(kind: str) -> tuple[str | None, ...]:
    """What stands for the one part of a kind that has no others."""
    return (KINDS[kind][0],) if len(KINDS[kind]) == 1 else ()
