"""From raw masks to proposals, as pure functions: filters, centroids (Eq. 2), containment (Eq. 3), suppression.

Masks are of one size, in pixels of the image with x right and y down, and as RLE, so that a thousand of them fit in
memory; overlaps are counted on the runs by pycocotools, exactly.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from dtwinseger.twin.mask import BBox, Mask

Floats = NDArray[np.float64]


def grid(points_per_side: int, width: int, height: int) -> Floats:
    """The point prompts of the first pass: [n * n, 2] x, y in pixels, at the middles of n x n equal cells, by row."""
    middles = (np.arange(points_per_side) + 0.5) / points_per_side
    x, y = np.meshgrid(middles * width, middles * height)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def centroid(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """Eq. 2: the mean x and y of the pixels set in `mask`, [H, W] bool; raises ValueError where none is."""
    y, x = np.nonzero(mask)
    if not len(x):
        raise ValueError("an empty mask has no centroid")
    return float(x.mean()), float(y.mean())


def suppress(masks: Sequence[Mask], scores: Sequence[float], threshold: float) -> list[int]:
    """Part level: of two masks whose IoU exceeds `threshold` the one with the lower score goes.

    Returns the indices of what stays, by score, highest first; of equal scores the first one stays.
    """
    rles = [mask.to_coco() for mask in masks]
    kept: list[int] = []
    for i in sorted(range(len(masks)), key=lambda i: -scores[i]):
        if kept and coco.iou([rles[i]], [rles[k] for k in kept], [0] * len(kept)).max() > threshold:
            continue
        kept.append(i)
    return kept


def largest_passing(areas: Sequence[int], scores: Sequence[float], threshold: float) -> int | None:
    """The index of the largest of a prompt's masks with a score of at least `threshold`; None where none passes.

    An empty mask never passes. Of equal areas the one with the higher score is taken.
    """
    passing = [i for i, score in enumerate(scores) if score >= threshold and areas[i] > 0]
    return max(passing, key=lambda i: (areas[i], scores[i]), default=None)


def uncontained(masks: Sequence[Mask], threshold: float, rounds: int | None) -> list[int]:
    """Object level, Eq. 3: from the largest mask down, drop what lies inside one that is kept.

    M is dropped for a kept, larger K where |M ∩ K| / |M| > `threshold`. Each kept mask in turn is K, or only the
    first `rounds` of them; 1 is the paper's literal reading. Returns the indices of what stays, by area, largest
    first; of equal areas the earlier is K.
    """
    rles = [mask.to_coco() for mask in masks]
    areas = [mask.area for mask in masks]
    left = sorted(range(len(masks)), key=lambda i: -areas[i])
    kept: list[int] = []
    while left and (rounds is None or len(kept) < rounds):
        outer, *rest = left
        kept.append(outer)
        # pycocotools divides by the first mask's area alone where the second is marked as a crowd.
        inside = coco.iou([rles[i] for i in rest], [rles[outer]], [1]) if rest else []
        left = [i for i, share in zip(rest, inside, strict=True) if share[0] <= threshold]
    return kept + left


def of_fitting_area(masks: Sequence[Mask], max_area_percent: float, min_area: int) -> list[int]:
    """Indices of masks of at least `min_area` pixels, and one, that cover at most `max_area_percent` of the image."""
    return [
        i
        for i, mask in enumerate(masks)
        if max(min_area, 1) <= mask.area <= max_area_percent / 100 * mask.size[0] * mask.size[1]
    ]


def suppress_boxes(boxes: Sequence[BBox], scores: Sequence[float], threshold: float) -> list[int]:
    """Like `suppress`, by the IoU of boxes (x1, y1, x2, y2): what SAM's own mask generator does."""
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if all(_box_iou(boxes[i], boxes[k]) <= threshold for k in kept):
            kept.append(i)
    return kept


def _box_iou(a: BBox, b: BBox) -> float:
    shared = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / both if both else 0.0
