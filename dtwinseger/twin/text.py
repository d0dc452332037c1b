"""The twin and its answer as the text that the LLM reads and writes (Eqs. 5-9).

One deterministic function each way, shared by the trainer and the reasoner: what a model learned from is, byte for
byte, what it is asked with.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

from dtwinseger.twin.model import Predicate, Relation, TwinRow
from dtwinseger.twin.path import Step

Rendering = Literal["json", "rows"]

COLUMNS = ("index", "semantic", "bbox", "area_percent", "spatial")

_WORDS = {"left_of": "left of", "right_of": "right of", "next_to": "next to"}
_PREDICATES = "|".join(_WORDS.get(predicate, predicate) for predicate in get_args(Predicate))
_RELATION = re.compile(rf"[;,] (?:{_PREDICATES}) ([0-9]{{1,9}}) \(")  # as `spatial` tells it, with what separates it


def spatial(
    centroid: tuple[float, float],
    size: tuple[int, int],
    relations: Sequence[Relation],
    names: Mapping[int, str],
) -> str:
    """Place and relations in words: "at the left; left of 2 (laptop), inside 5 (desk)".

    centroid: x, y in pixels. size: (height, width) of the image. names: index -> what to call the object.
    """
    height, width = size
    x, y = centroid
    vertical = "top" if y < height / 3 else "bottom" if y >= height * 2 / 3 else ""
    horizontal = "left" if x < width / 3 else "right" if x >= width * 2 / 3 else ""
    place = " ".join(word for word in (vertical, horizontal) if word)
    told = ", ".join(f"{_WORDS.get(r.predicate, r.predicate)} {r.target} ({names[r.target]})" for r in relations)
    return f"{'at the ' + place if place else 'in the center'}{'; ' + told if told else ''}"


def told_relations(text: str) -> list[tuple[int, int]]:
    """Where each relation in a text that `spatial` wrote begins, and its target, in the order of the text.

    Cut there, the text keeps its place and the relations before. A text written otherwise has none.
    """
    return [(found.start(), int(found[1])) for found in _RELATION.finditer(text)]


def render_twin(objects: Sequence[TwinRow]) -> str:
    """The twin without its masks, compact JSON as in Eq. 5, one object a line, in index order."""
    rows = [
        _compact(
            {
                "index": o.index,
                "semantic": o.semantic,
                "bbox": o.bbox,
                "area_percent": o.area_percent,
                "spatial": o.spatial,
            }
        )
        for o in sorted(objects, key=lambda o: o.index)
    ]
    return "[" + ",\n".join(rows) + "]"


def render_rows(objects: Sequence[TwinRow]) -> str:
    """The same as a table for fewer tokens: the names of the columns, then one object a line, in index order.

    Cells are separated by tabs. None can hold a tab or begin a line: runs of white space and control characters in the
    texts become one space. An object without a semantic has an empty cell.
    """
    lines = ["\t".join(COLUMNS)]
    for o in sorted(objects, key=lambda o: o.index):
        box = ",".join(map(str, o.bbox))
        lines.append("\t".join((str(o.index), _cell(o.semantic or ""), box, str(o.area_percent), _cell(o.spatial))))
    return "\n".join(lines)


RENDERINGS: dict[Rendering, Callable[[Sequence[TwinRow]], str]] = {"json": render_twin, "rows": render_rows}


def render_answer(path: Sequence[Step], indices: Sequence[int]) -> str:
    """The answer as the LLM writes it: one JSON object, path first, indices last (Eqs. 7-9)."""
    return _compact({"path": [step.model_dump() for step in path], "indices": list(indices)})


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _cell(text: str) -> str:
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", text).strip()
