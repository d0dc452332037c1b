"""Twins for training the reasoner, drawn without pictures: rows that perception and semantics might have written.

The reasoner reads words and numbers, and the answer to a query follows from them alone. So nothing is rendered: boxes
are laid out at random, and relations follow from boxes by nearly the rules of `dtwinseger.twin.relations`. A wrong
description cannot be told from a right one by its words, and needs no imitation; what perceived twins have of their own
is imitated: rows without a description, second outlines of an object, the background, whole objects among
parts and parts among objects, words left out.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from dtwinseger.twin import Mask, Relation, TwinObject
from dtwinseger.twin.model import Predicate
from dtwinseger.twin.relations import DIRECTION_MARGIN, INSIDE_SHARE, NEAR, OVERLAP_IOU, RELATIONS_PER_OBJECT
from training.scenes import phrases
from training.scenes.queries.groups import CONTAINERS, CONTENTS
from training.scenes.vocabulary import COLORS, KINDS, PATTERNS, SIZES, held_out, part_wording, wording

Level = Literal["object", "part"]
Size = tuple[int, int]  # height, width

IMAGES: tuple[Size, ...] = ((256, 256), (384, 512), (480, 640), (512, 512), (768, 576), (1024, 1024))
MOST_OBJECTS = 14  # of a scene
MOST_ROWS = 40  # of a twin
PERCEIVED = 0.5  # of the twins show the errors of perception
UNDESCRIBED, TERSE, DOUBLED, STRAY, BACKGROUND, WHOLE, LOST = 0.03, 0.03, 0.06, 0.04, 0.15, 0.06, 0.06
PART = 0.03  # of the objects are followed by one of their parts, or give place to it
GROUPS = 0.15  # of the twins have things that belong together
BESIDE, WITHIN = 0.3, 0.12  # of the objects are put beside, or into, one that is there


_NO_MASK = Mask.encode(np.ones((1, 1), np.bool_))


@dataclass(frozen=True)
class Row:
    """A row before it has its place in the twin. box: x1, y1, x2, y2 in pixels. fill: share of it that the mask has."""

    semantic: str | None
    category: str | None
    attributes: tuple[str, ...]
    box: tuple[float, float, float, float]
    fill: float


def draw(rng: random.Random, most: int = MOST_OBJECTS, level: Level = "object") -> tuple[tuple[TwinObject, ...], Size]:
    """A twin of up to `most` objects, or of their parts, and its image's (height, width).

    The rows have no masks of their own. No row shows a color of a kind that is held out.
    """
    size = rng.choice(IMAGES)
    count = rng.randint(1, most)
    wholes = _group(rng, size, count) if level == "object" and rng.random() < GROUPS else []
    wholes = _objects(rng, size, count - len(wholes), wholes)
    found = [part for whole in wholes for part in _parts(whole, rng)] if level == "part" else wholes
    if rng.random() < PERCEIVED:
        found = _perceived(found, wholes, level, size, rng)
    return build(found[:MOST_ROWS], size, rng), size


def look(
    rng: random.Random, kinds: Sequence[str], colors: Sequence[str], scale: str | None = None
) -> tuple[str, str, tuple[str, ...]]:
    """Semantic, category and attributes of an object of one of `kinds`, of a color that is not held out."""
    kind = rng.choice(kinds)
    known = KINDS[kind]
    size = scale or rng.choice(list(SIZES))
    color = rng.choice([c for c in colors if not held_out(c, kind)] or [c for c in COLORS if not held_out(c, kind)])
    how = rng.random()
    pattern = rng.choice(PATTERNS) if known.patterned and how < 0.3 else None
    material = rng.choice(known.materials) if known.materials and how > 0.7 else None
    said = tuple(word for word in (size, color, pattern or material) if word)
    return wording(size, color, kind, pattern, material), kind, said


def build(found: Sequence[Row], size: Size, rng: random.Random) -> tuple[TwinObject, ...]:
    """The rows by area, largest first, with indices 1..N and the relations that are worth telling."""
    height, width = size
    areas = [
        max(0.1, round(100 * (r.box[2] - r.box[0]) * (r.box[3] - r.box[1]) * r.fill / (height * width), 1))
        for r in found
    ]
    order = sorted(range(len(found)), key=lambda n: -areas[n])
    boxes = np.array([found[n].box for n in order], np.float64).reshape(-1, 4)
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    relations = relate(boxes, centers, size, rng)
    return tuple(
        TwinObject.model_construct(
            index=place,
            semantic=found[n].semantic,
            category=found[n].category,
            attributes=found[n].attributes,
            relevance=None,
            bbox=_pixels(found[n].box, size),
            area_percent=areas[n],
            spatial="",
            centroid=(float(centers[place - 1, 0]), float(centers[place - 1, 1])),
            predicted_iou=1.0,
            mask=_NO_MASK,
            relations=relations[place - 1],
        )
        for place, n in enumerate(order, start=1)
    )


def relate(
    boxes: NDArray[np.float64], centers: NDArray[np.float64], size: Size, rng: random.Random
) -> list[tuple[Relation, ...]]:
    """Up to RELATIONS_PER_OBJECT relations of each row to larger ones: containment and overlap first, then the nearest.

    boxes [N, 4], centers [N, 2]: pixels, by area, largest first. Masks fill their boxes only in part, so boxes that
    lie within or over half of the others are told to do so.
    """
    diagonal = float(np.hypot(*size))
    low, high = boxes[:, :2], boxes[:, 2:]
    shared = np.clip(np.minimum(high[:, None], high[None]) - np.maximum(low[:, None], low[None]), 0, None).prod(-1)
    area = (high - low).prod(-1)
    gaps = np.linalg.norm(np.clip(np.maximum(low[:, None] - high[None], low[None] - high[:, None]), 0, None), axis=-1)
    offset = centers[None] - centers[:, None]  # [N, N, 2], from a to b
    distance = np.hypot(offset[..., 0], offset[..., 1])
    filled = [rng.random() < 0.5 for _ in boxes]
    found: list[tuple[Relation, ...]] = []
    for a in range(len(boxes)):
        first: list[tuple[str, int]] = []
        apart: list[int] = []
        for b in range(a):
            within = shared[a, b] >= INSIDE_SHARE * area[a]
            over = shared[a, b] > 2 * OVERLAP_IOU * (area[a] + area[b] - shared[a, b])
            if (within or over) and filled[b]:
                first.append(("inside" if within else "overlapping", b))
            if not (within and first and first[-1][1] == b):
                apart.append(b)
        listed = sorted(first, key=lambda one: one[0])
        touching = {b for _, b in first}
        for b in sorted(apart, key=lambda b: distance[a, b]):
            dx, dy = offset[a, b]
            ahead = dx if abs(dx) >= abs(dy) else dy
            if abs(ahead) > DIRECTION_MARGIN * diagonal:
                words = ("left_of", "right_of") if abs(dx) >= abs(dy) else ("above", "below")
                listed.append((words[bool(ahead < 0)], b))
            if gaps[a, b] < NEAR * diagonal and b not in touching:
                listed.append(("next_to", b))
            if len(listed) >= RELATIONS_PER_OBJECT:
                break
        found.append(
            tuple(
                Relation.model_construct(predicate=cast(Predicate, predicate), target=b + 1)
                for predicate, b in listed[:RELATIONS_PER_OBJECT]
            )
        )
    return found


def _group(rng: random.Random, size: Size, count: int) -> list[Row]:
    """A container with things of a kind in it, or several of a kind and size side by side; none if `count` is small."""
    members = rng.randint(3, 5)
    if count < members:
        return []
    height, width = size
    held = rng.random() < 0.6
    kind = rng.choice(CONTENTS if held else list(phrases.GROUPED))
    scale = rng.choice(list(SIZES))
    longest = SIZES["small" if held else scale] * min(size) * rng.uniform(0.6, 0.9)
    room = (0.0, 0.0, float(width), float(height))
    rows: list[Row] = []
    if held:
        semantic, name, said = look(rng, CONTAINERS, list(COLORS))
        side = SIZES["large"] * min(size)
        room = _spot(rng, size, side, side * 0.8, ())
        rows.append(Row(semantic, name, said, room, 0.7))
    x, y = rng.uniform(0, width - members * longest), rng.uniform(0, height - longest)
    for number in range(members - len(rows)):
        semantic, _, said = look(rng, (kind,), list(COLORS), scale)
        if held:
            x, y = rng.uniform(room[0], room[2] - longest), rng.uniform(room[1], (room[1] + room[3]) / 2)
            box = (x, y, x + longest, y + longest)
        else:
            left = max(0.0, x) + number * longest
            box = (left, y, left + longest * 0.95, y + longest * rng.uniform(0.7, 1))
        rows.append(Row(semantic, kind, said, box, rng.uniform(0.5, 0.8)))
    return rows


def _objects(rng: random.Random, size: Size, count: int, before: Sequence[Row] = ()) -> list[Row]:
    """Those from before and `count` of few kinds and colors, so that queries have something to tell apart."""
    kinds = rng.sample(list(KINDS), rng.randint(1, max(2, count)))
    colors = rng.sample(list(COLORS), rng.randint(2, len(COLORS)))
    rows = list(before)
    for _ in range(count):
        semantic, kind, said = look(rng, kinds, colors)
        shown = said[0] if rng.random() < 0.9 else rng.choice(list(SIZES))
        longest = SIZES[shown] * min(size) * rng.uniform(0.9, 1.1)
        other = longest * rng.uniform(0.4, 1.0)
        w, h = (longest, other) if rng.random() < 0.5 else (other, longest)
        rows.append(Row(semantic, kind, said, _spot(rng, size, w, h, rows), rng.uniform(0.45, 0.85)))
    return rows


def _spot(rng: random.Random, size: Size, w: float, h: float, rows: Sequence[Row]) -> tuple[float, float, float, float]:
    """Somewhere, or beside or within one of the rows."""
    height, width = size
    x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
    how = rng.random()
    if rows and how < BESIDE + WITHIN:
        x1, y1, x2, y2 = rng.choice(rows).box
        if how < WITHIN:
            x, y = rng.uniform(x1, max(x1, x2 - w)), rng.uniform(y1, max(y1, y2 - h))
        elif rng.random() < 0.6:  # on top of it
            x, y = rng.uniform(x1 - w / 3, x2 - 2 * w / 3), y1 - h * rng.uniform(0.85, 1)
        else:
            x, y = (x2 if rng.random() < 0.5 else x1 - w) + rng.uniform(-0.1, 0.1) * w, rng.uniform(y1, y2) - h / 2
        x, y = min(max(0.0, x), width - w), min(max(0.0, y), height - h)
    return x, y, x + w, y + h


def _parts(whole: Row, rng: random.Random) -> list[Row]:
    """One row for each part of an object, in slices of its box or within it."""
    names = KINDS[whole.category or ""].parts
    x1, y1, x2, y2 = whole.box
    edges = sorted(rng.random() for _ in names[1:])
    edges = [0.0, *edges, 1.0]
    along = rng.random() < 0.5
    rows = []
    for number, name in enumerate(names):
        a, b = edges[number], max(edges[number + 1], edges[number] + 0.08)
        box = (x1 + a * (x2 - x1), y1, x1 + b * (x2 - x1), y2) if along else (
            x1, y1 + a * (y2 - y1), x2, y1 + b * (y2 - y1)
        )  # fmt: skip
        if number and rng.random() < 0.25:  # a window in a body
            w, h = (x2 - x1) * rng.uniform(0.15, 0.4), (y2 - y1) * rng.uniform(0.15, 0.4)
            x, y = rng.uniform(x1, x2 - w), rng.uniform(y1, y2 - h)
            box = (x, y, x + w, y + h)
        rows.append(Row(part_wording(name, whole.semantic or ""), name, (), box, rng.uniform(0.3, 0.9)))
    return rows


def _perceived(found: Sequence[Row], wholes: Sequence[Row], level: Level, size: Size, rng: random.Random) -> list[Row]:
    """The rows as they may be perceived; at least one is left."""
    rows: list[Row] = []
    for row in found:
        if rng.random() < LOST:
            continue
        if rng.random() < UNDESCRIBED:
            row = Row(None, None, (), row.box, row.fill)
        elif level == "object" and rng.random() < TERSE:
            said = row.attributes if rng.random() < 0.5 else ()
            row = Row("a " + " ".join((*said[1:], row.category or "")), row.category, said[1:], row.box, row.fill)
        part = rng.choice(_parts(row, rng)) if level == "object" and row.category and rng.random() < PART else None
        if part is None or rng.random() < 0.5:
            rows.append(row)
        if part:
            rows.append(part)
        if rng.random() < DOUBLED:
            x1, y1, x2, y2 = row.box
            box = (x1, y1, x1 + (x2 - x1) * rng.uniform(0.4, 1), y1 + (y2 - y1) * rng.uniform(0.4, 1))
            rows.append(Row(row.semantic, row.category, row.attributes, box, row.fill * rng.uniform(0.7, 1)))
        if rng.random() < STRAY:
            rows += _objects(rng, size, 1)
    if level == "part":
        rows += [whole for whole in wholes if rng.random() < WHOLE]
    if rng.random() < BACKGROUND:
        height, width = size
        x, y = rng.uniform(0, width / 2), rng.uniform(0, height / 2)
        box = (x, y, rng.uniform(x + width / 4, width), rng.uniform(y + height / 4, height))
        rows.append(Row("the background", "background", (), box, rng.uniform(0.3, 0.9)))
    return rows or list(found[:1])


def _pixels(box: tuple[float, float, float, float], size: Size) -> tuple[int, int, int, int]:
    """Whole pixels within the image, at least one each way."""
    height, width = size
    x1, y1 = min(max(0, int(box[0])), width - 1), min(max(0, int(box[1])), height - 1)
    return x1, y1, min(width, max(x1 + 1, round(box[2]))), min(height, max(y1 + 1, round(box[3])))
