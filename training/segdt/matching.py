"""Which perceived objects are the true ones, by mask IoU. Labels of training data are all that this may decide."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from dtwinseger.twin import Mask

Pixels = NDArray[np.bool_]


def matches(true: Sequence[Mask], perceived: Sequence[Mask], threshold: float) -> dict[int, int]:
    """Position in `true` -> position in `perceived` of the same object, for those that were found.

    Pairs are taken by IoU, the highest first, down to `threshold`; each mask is in at most one.
    """
    if not true or not perceived:
        return {}
    iou = coco.iou([m.to_coco() for m in true], [m.to_coco() for m in perceived], [0] * len(perceived))
    found: dict[int, int] = {}
    for flat in np.argsort(-iou, axis=None, kind="stable"):
        a, b = divmod(int(flat), len(perceived))
        if iou[a, b] < threshold:
            break
        if a not in found and b not in found.values():
            found[a] = b
    return found


def covering(masks: Sequence[Pixels], target: Pixels, ignored: Pixels) -> tuple[list[int], float]:
    """The masks whose union fits `target` best, taken one after the other as long as the IoU rises, and that IoU.

    [H, W] bool each. Ignored pixels count nowhere. No mask at all is (…, 0.0), also for an empty target.
    """
    counted = ~ignored
    wanted = target & counted
    union = np.zeros_like(wanted)
    chosen: list[int] = []
    best = 0.0
    while True:
        scored = [(_iou((union | mask) & counted, wanted), -at) for at, mask in enumerate(masks) if at not in chosen]
        iou, at = max(scored, default=(0.0, 0))
        if iou <= best:
            return sorted(chosen), best
        best = iou
        chosen.append(-at)
        union |= masks[-at]


def _iou(a: Pixels, b: Pixels) -> float:
    union = int(np.count_nonzero(a | b))
    return int(np.count_nonzero(a & b)) / union if union else 0.0
