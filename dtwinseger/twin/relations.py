"""Spatial relations between masks (DTwinSeger, section 3.1; definitions in docs/decisions).

Image coordinates: pixels, x right, y down. Pairwise intersections come from pycocotools, on the runs themselves.
"""

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from dtwinseger.twin.holes import fill_holes
from dtwinseger.twin.mask import Mask
from dtwinseger.twin.model import Predicate, Relation

PREDICATES: tuple[Predicate, ...] = get_args(Predicate)

INSIDE_SHARE = 0.9  # of a's pixels that lie in b, holes filled
OVERLAP_IOU = 0.05
DIRECTION_MARGIN = 0.02  # of the image diagonal, between centroids
NEAR = 0.05  # of the image diagonal, between boxes
RELATIONS_PER_OBJECT = 4

TOLD: tuple[Predicate, ...] = ("inside", "overlapping", "left_of", "right_of", "above", "below", "next_to")
PLACED = 2  # from here on the nearest object comes first, whatever the predicate

Matrix = NDArray[np.bool_]


def pairwise(masks: Sequence[Mask], centroids: NDArray[np.float64]) -> dict[Predicate, Matrix]:
    """Every predicate for every ordered pair.

    masks: N masks of one size. centroids: [N, 2] x, y in pixels. Returns predicate -> [N, N] bool, where [a, b]
    says that the predicate holds from a to b. Diagonals are false.
    """
    n = len(masks)
    if n == 0:
        return {predicate: np.zeros((0, 0), dtype=np.bool_) for predicate in PREDICATES}
    height, width = masks[0].size
    diagonal = float(np.hypot(height, width))
    rles = [mask.to_coco() for mask in masks]
    areas = np.array([mask.area for mask in masks], dtype=np.float64)
    boxes = np.array([mask.bbox for mask in masks], dtype=np.float64)

    share = _share_inside(rles, [mask.to_coco() for mask in fill_holes(masks)])
    inside = (share >= INSIDE_SHARE) & (areas[:, None] < areas[None, :])
    np.fill_diagonal(inside, False)
    iou = np.asarray(coco.iou(rles, rles, [0] * n)).reshape(n, n)
    overlapping = (iou > OVERLAP_IOU) & ~inside & ~inside.T
    np.fill_diagonal(overlapping, False)

    dx, dy = (centroids[None, :, k] - centroids[:, None, k] for k in (0, 1))  # from a to b
    margin = DIRECTION_MARGIN * diagonal
    horizontal = np.abs(dx) >= np.abs(dy)
    near = (_box_gaps(boxes) < NEAR * diagonal) & ~inside & ~inside.T & ~overlapping
    np.fill_diagonal(near, False)
    return {
        "inside": inside,
        "surrounding": inside.T,
        "overlapping": overlapping,
        "left_of": horizontal & (dx > margin),
        "right_of": horizontal & (dx < -margin),
        "above": ~horizontal & (dy > margin),
        "below": ~horizontal & (dy < -margin),
        "next_to": near & ~_something_between(near, centroids, boxes),
    }


def relate(masks: Sequence[Mask], centroids: NDArray[np.float64]) -> list[tuple[Relation, ...]]:
    """The relations worth telling, at most RELATIONS_PER_OBJECT an object.

    masks: N masks of one size, by area, largest first; centroids: [N, 2] x, y in pixels. Object i has index i + 1.
    Of a pair that relates both ways one side is told: the smaller object is placed by the larger one. Containment
    comes first, then overlap, then the nearest by centroid distance, each by its direction and, if so, `next_to`.
    """
    table = pairwise(masks, centroids)
    told = np.stack([table[predicate] for predicate in TOLD], axis=-1)  # [N, N, 7]
    told[table["inside"], 1:] = False
    told &= np.tri(len(masks), k=-1, dtype=np.bool_)[..., None]  # by the smaller object of the two
    distance = np.linalg.norm(centroids[:, None] - centroids[None, :], axis=-1)
    a, b, which = np.nonzero(told)
    order = np.lexsort((distance[a, b], np.minimum(which, PLACED), a))  # of equally far ones the larger object first
    rank = np.arange(len(order)) - np.searchsorted(a, a)  # `a` ascends in either order
    related: list[list[Relation]] = [[] for _ in masks]
    for one in order[rank < RELATIONS_PER_OBJECT].tolist():
        related[a[one]].append(Relation(predicate=TOLD[which[one]], target=int(b[one]) + 1))
    return [tuple(relations) for relations in related]


def _share_inside(inner: list[dict[str, Any]], outer: list[dict[str, Any]]) -> NDArray[np.float64]:
    """[N, M]: the share of each inner mask's pixels that lie in each outer mask.

    pycocotools divides by the first mask's area alone where the second is marked as a crowd.
    """
    share = coco.iou(inner, outer, [1] * len(outer))
    return np.asarray(share, dtype=np.float64).reshape(len(inner), len(outer))


def _box_gaps(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """[N, N]: Euclidean gap in pixels between boxes, 0 where they touch or overlap."""
    x1, y1, x2, y2 = boxes.T
    dx = np.maximum(x1[:, None] - x2[None, :], x1[None, :] - x2[:, None]).clip(min=0)
    dy = np.maximum(y1[:, None] - y2[None, :], y1[None, :] - y2[:, None]).clip(min=0)
    gaps: NDArray[np.float64] = np.hypot(dx, dy)
    return gaps


def _something_between(near: Matrix, centroids: NDArray[np.float64], boxes: NDArray[np.float64]) -> Matrix:
    """[N, N] bool: for pairs in `near`, whether the line between the centroids crosses a third object's box."""
    blocked = np.zeros_like(near)
    a, b = np.nonzero(near)
    low, high = np.minimum(centroids[a], centroids[b]), np.maximum(centroids[a], centroids[b])  # [P, 2]
    third = np.arange(len(boxes))
    met = (third != a[:, None]) & (third != b[:, None])  # [P, N]: no other box can be crossed
    for axis in (0, 1):
        met &= (boxes[:, axis] <= high[:, axis, None]) & (boxes[:, axis + 2] >= low[:, axis, None])
    pair, third = np.nonzero(met)
    a, b = a[pair], b[pair]
    enter, leave = np.zeros(len(pair)), np.ones(len(pair))  # [Q], in units of the line's length
    for axis in (0, 1):
        start, step = centroids[a, axis], centroids[b, axis] - centroids[a, axis]
        to_low, to_high = boxes[third, axis] - start, boxes[third, axis + 2] - start
        moves = step != 0  # else the line is within the slab all along, as it meets the box's range
        np.divide(to_low, step, out=to_low, where=moves)
        np.divide(to_high, step, out=to_high, where=moves)
        np.maximum(enter, np.minimum(to_low, to_high), out=enter, where=moves)
        np.minimum(leave, np.maximum(to_low, to_high), out=leave, where=moves)
    crosses = enter < leave
    blocked[a[crosses], b[crosses]] = True
    return blocked
