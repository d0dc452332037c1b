"""Spatial relations between masks (DTwinSeger, section 3.1; definitions in docs/decisions).

Image coordinates: pixels, x right, y down. Pairwise intersections come from pycocotools, on the runs themselves.
"""

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco
from scipy.ndimage import binary_fill_holes

from dtwinseger.twin.mask import Mask
from dtwinseger.twin.model import Predicate, Relation

PREDICATES: tuple[Predicate, ...] = get_args(Predicate)

INSIDE_SHARE = 0.9  # of a's pixels that lie in b, holes filled
OVERLAP_IOU = 0.05
DIRECTION_MARGIN = 0.02  # of the image diagonal, between centroids
NEAR = 0.05  # of the image diagonal, between boxes
RELATIONS_PER_OBJECT = 4

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

    share = _share_inside(rles, [_filled(mask).to_coco() for mask in masks])
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
    distance = np.linalg.norm(centroids[:, None] - centroids[None, :], axis=-1)
    related: list[tuple[Relation, ...]] = []
    for a in range(len(masks)):
        nearest = sorted(range(a), key=lambda b: (distance[a, b], b))
        contained = [("inside", b) for b in nearest if table["inside"][a, b]]
        overlap = [("overlapping", b) for b in nearest if table["overlapping"][a, b]]
        placed = [
            (predicate, b)
            for b in nearest
            if not table["inside"][a, b]
            for predicate in ("left_of", "right_of", "above", "below", "next_to")
            if table[predicate][a, b]
        ]
        chosen = (contained + overlap + placed)[:RELATIONS_PER_OBJECT]
        related.append(tuple(Relation(predicate=p, target=b + 1) for p, b in chosen))
    return related


def _filled(mask: Mask) -> Mask:
    """`mask` with its holes filled."""
    return Mask.encode(np.asarray(binary_fill_holes(mask.decode()), dtype=np.bool_))


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
    if len(a) == 0:
        return blocked
    start, step = centroids[a][:, None], (centroids[b] - centroids[a])[:, None]  # [P, 1, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        to_low = (boxes[None, :, :2] - start) / step  # [P, N, 2], in units of the line's length
        to_high = (boxes[None, :, 2:] - start) / step
    still = step == 0  # the line does not move along this axis: inside the slab or never
    within = (start >= boxes[None, :, :2]) & (start <= boxes[None, :, 2:])
    enter = np.where(still, np.where(within, -np.inf, np.inf), np.minimum(to_low, to_high)).max(axis=-1)
    leave = np.where(still, np.where(within, np.inf, -np.inf), np.maximum(to_low, to_high)).min(axis=-1)
    crosses = np.maximum(enter, 0) < np.minimum(leave, 1)  # [P, N]
    third = np.arange(len(boxes))
    crosses &= (third != a[:, None]) & (third != b[:, None])
    blocked[a, b] = crosses.any(axis=1)
    return blocked
