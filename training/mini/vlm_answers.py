"""What dtwin-mini-vlm is taught to answer, and the texts from which its vocabulary is made."""

import json
from collections.abc import Iterable
from typing import Any

from dtwinseger import prompts
from dtwinseger.api import Semantics
from dtwinseger.prompts.questions import PROMPTINGS
from dtwinseger.twin import Granularity
from training.mini.asked import GRANULARITIES
from training.mini.shown import BACKGROUND, WHOLE
from training.scenes.vocabulary import COLORS, KINDS, MATERIALS, PATTERNS, SIZES, part_wording, wording

PART = GRANULARITIES.index("part")
REASONS: dict[Granularity, str] = {
    "group": "the query asks for several objects together",
    "object": "the query asks for one whole object",
    "part": "the query asks for a part of an object",
}
# Instructions and what never varies within an answer: one token each.
FRAGMENTS = (
    prompts.GRANULARITY,
    *PROMPTINGS.values(),
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


def semantics(record: Any, query: Any | None) -> Semantics:
    """What a mask shows in the light of a query: of shown.RECORD and of asked.QUERY, or None.

    Relevant is what could be what the query asks for, wherever it is (asked.QUERY).
    """
    if record["kind"] == BACKGROUND:
        return Semantics(semantic="the background", category="background")
    for_part = query is not None and query["granularity"] == PART
    number = int(record["part"] if for_part else record["shown"])
    row = int(record["row"] if for_part else record["object"])
    relevance = 1.0 if query is not None and row >= 0 and int(query["fits"]) >> row & 1 else 0.0
    kind = list(KINDS)[record["kind"]]
    size, color = list(SIZES)[record["size"]], list(COLORS)[record["color"]]
    pattern = PATTERNS[record["pattern"]] if record["pattern"] >= 0 else None
    material = MATERIALS[record["material"]] if record["material"] >= 0 else None
    whole = wording(size, color, kind, pattern, material)
    if number == WHOLE:
        attributes = tuple(word for word in (size, color, pattern or material) if word)
        return Semantics(semantic=whole, category=kind, attributes=attributes, relevance=relevance)
    part = KINDS[kind].parts[number]
    return Semantics(semantic=part_wording(part, whole), category=part, relevance=relevance)


def granularity(query: Any) -> dict[str, str]:
    """At which granularity a query, of asked.QUERY, is answered, and why."""
    name = GRANULARITIES[query["granularity"]]
    return {"granularity": name, "reason": REASONS[name]}


def compact(answer: Semantics | dict[str, str]) -> str:
    """The answer as the model writes it."""
    value = answer.model_dump() if isinstance(answer, Semantics) else answer
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def texts(queries: Iterable[str]) -> list[str]:
    """Texts with every word that occurs in `queries` or in an answer, as it occurs there."""
    words = [*KINDS, *COLORS, *SIZES, *PATTERNS, *MATERIALS, *(part for kind in KINDS.values() for part in kind.parts)]
    said = ["a background", "the background", "the part of a", *REASONS, *REASONS.values()]
    return [*words, *(f" {word}" for word in words), *said, *(f" {query}" for query in queries)]
