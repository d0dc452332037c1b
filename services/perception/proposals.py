"""From masks to proposals, as pure functions: filters, centroids (Eq. 2), containment (Eq. 3), suppression.

Arrays in, indices out. Decisions are taken on masks at the decoder's resolution, where an overlap differs by less than
MARGIN from that at the image's: so one that near to its threshold can be settled at the image's, by a function that
gives the exact value for two masks by their indices, and that is asked only where its answer decides.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import nms

from services.perception.overlap import counts

MARGIN = 0.03

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Settle = Callable[[int, int], float]


def grid(points_per_side: int, width: int, height: int) -> Floats:
    """The point prompts of the first pass: [n * n, 2] x, y in pixels, at the middles of n x n equal cells, by row."""
    half = 0.5 / points_per_side
    middles = np.linspace(half, 1 - half, points_per_side)  # as SamAutomaticMaskGenerator has them, to the last bit
    x, y = np.meshgrid(middles * width, middles * height)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def centroids(masks: Tensor) -> Floats:
    """Eq. 2: the mean x and y of the pixels set in each of `masks`, [M, h, w] bool: [M, 2] in pixels of the masks.

    A pixel's place is its index: a mask of its first pixel alone has its centroid at (0, 0). Exact. Raises ValueError
    where a mask is empty.
    """
    columns, rows = counts(masks, 1).double(), counts(masks, 2).double()  # [M, w], [M, h]
    x, y = (of @ torch.arange(of.shape[1], device=of.device).double() for of in (columns, rows))
    sums = torch.stack([x, y, rows.sum(1)], dim=1).cpu().numpy()
    if not sums[:, 2].all():
        raise ValueError("an empty mask has no centroid")
    mean: Floats = sums[:, :2] / sums[:, 2:]
    return mean


def of_fitting_area(
    areas: NDArray[np.integer | np.floating], pixels: int, max_area_percent: float, min_area: int
) -> list[int]:
    """Indices of masks of at least `min_area` pixels, and one, that cover at most `max_area_percent` of `pixels`.

    areas: [M]; `pixels` is the area of the image, at the masks' resolution as `min_area` is.
    """
    fitting = (areas >= max(min_area, 1)) & (areas <= max_area_percent / 100 * pixels)
    return [int(i) for i in np.flatnonzero(fitting)]


def stability(inner: Ints, outer: Ints) -> NDArray[np.float32]:
    """SAM's stability score: pixels above a raised threshold over pixels above a lowered one, [M] each; 0 for none.

    In float32, so that it compares with a threshold as in SamAutomaticMaskGenerator.
    """
    return np.divide(inner, np.maximum(outer, 1), dtype=np.float32)


def largest_passing(areas: Ints, scores: Floats, threshold: float) -> Ints:
    """Which of each prompt's masks is the largest with a score of at least `threshold`: [P], -1 where none passes.

    areas, scores: [P, K]. An empty mask never passes. Of equal areas the one with the higher score is taken.
    """
    passing = (scores >= threshold) & (areas > 0)
    passing_areas = np.where(passing, areas, 0)
    largest = passing & (areas == passing_areas.max(axis=1, keepdims=True))
    return np.where(passing.any(axis=1), np.where(largest, scores, -np.inf).argmax(axis=1), -1)


def suppress(overlap: Floats, scores: Floats, threshold: float, settle: Settle | None = None) -> list[int]:
    """Part level: of two masks whose IoU exceeds `threshold` the one with the lower score goes.

    overlap: [M, M] IoU; scores: [M]; settle(i, k): the exact IoU. What goes suppresses nothing. Returns the indices of
    what stays, by score, highest first; of equal scores the first one stays.
    """
    return _greedy(np.argsort(-scores, kind="stable"), overlap, threshold, None, settle)


def uncontained(
    containment: Floats, areas: Ints, threshold: float, rounds: int | None, settle: Settle | None = None
) -> list[int]:
    """Object level, Eq. 3: from the largest mask down, drop what lies inside one that is kept.

    containment: [M, M], |i ∩ k| / |i|; areas: [M]; settle(i, k): the exact containment. M is dropped for a kept, larger
    K where |M ∩ K| / |M| > `threshold`. Each kept mask in turn is K, or only the first `rounds` of them; 1 is the
    paper's literal reading. Returns the indices of what stays, by area, largest first; of equal areas the earlier is K.
    """
    return _greedy(np.argsort(-areas, kind="stable"), containment, threshold, rounds, settle)


def suppress_boxes(boxes: Ints, scores: Floats, threshold: float) -> list[int]:
    """Like `suppress`, by the IoU of boxes, to the last bit as SamAutomaticMaskGenerator does it.

    boxes: [M, 4] x1, y1, x2, y2 in pixels; SAM's end on their last pixel, so that a box of one pixel has no area.
    """
    kept: list[int] = nms(torch.from_numpy(boxes).float(), torch.from_numpy(scores).float(), threshold).tolist()
    return kept


def _greedy(order: Ints, share: Floats, threshold: float, rounds: int | None, settle: Settle | None) -> list[int]:
    """In `order`, what shares more than `threshold` with none of the first `rounds` kept before it, or with none."""
    kept = np.empty_like(order)
    count = 0
    for i in order:
        before = kept[:count][:rounds]
        if not _exceeds(int(i), before, share[i, before], threshold, settle):
            kept[count] = i
            count += 1
    return [int(i) for i in kept[:count]]


def _exceeds(i: int, others: Ints, shares: Floats, threshold: float, settle: Settle | None) -> bool:
    """Whether what mask i shares with any of `others`, about `shares` and exactly what `settle` says, is too much."""
    if settle is None:
        return bool((shares > threshold).any())
    if (shares > threshold + MARGIN).any():
        return True
    near = others[shares >= threshold - MARGIN]
    return any(settle(i, int(k)) > threshold for k in near)
