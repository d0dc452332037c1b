"""gIoU and cIoU by LISA's definition, with bootstrap intervals. Arrays in, numbers out.

Both start from one pair a sample: the pixels of the intersection and of the union of prediction and truth, at the
image's native resolution. A request that failed is an empty prediction.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IGNORED = 255  # in a truth: pixels that count nowhere
EPSILON = 1e-5  # pixels, LISA's guard of the division

Counts = NDArray[np.int64]
Shares = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % percentile bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def pixel_counts(prediction: NDArray[np.bool_], truth: NDArray[np.uint8] | NDArray[np.bool_]) -> tuple[int, int]:
    """Pixels of intersection and union.

    prediction: [H, W] bool. truth: [H, W] of 0, 1 and IGNORED (or bool); ignored pixels leave both counts. Raises
    ValueError where the shapes differ: a mask at another resolution is another task.
    """
    if prediction.shape != truth.shape:
        raise ValueError(f"the prediction is {prediction.shape} and the truth {truth.shape}; compare at one resolution")
    target, counted = (truth.astype(np.bool_), np.True_) if truth.dtype == np.bool_ else (truth == 1, truth != IGNORED)
    intersection = int(np.count_nonzero(prediction & target & counted))
    return intersection, int(np.count_nonzero((prediction | target) & counted))


def ious(intersections: Counts, unions: Counts) -> Shares:
    """[N]: each sample's I / (U + EPSILON); 1 where the union is empty, for "nothing" was the right answer."""
    return np.where(unions == 0, 1.0, intersections / (unions + EPSILON))


def giou(intersections: Counts, unions: Counts) -> float:
    """The mean IoU over samples."""
    return float(ious(intersections, unions).mean())


def ciou(intersections: Counts, unions: Counts) -> float:
    """The summed intersections over the summed unions, so large objects weigh more; 0 where every union is empty."""
    return float(intersections.sum() / max(int(unions.sum()), 1))


def bootstrap(
    metric: Callable[[Counts, Counts], float],
    intersections: Counts,
    unions: Counts,
    *,
    resamples: int = 2_000,
    seed: int = 0,
) -> Interval:
    """`metric` with the interval that resampling the samples with replacement gives; the same for the same seed."""
    n = len(intersections)
    rng = np.random.default_rng(seed)
    picks = (rng.integers(0, n, n) for _ in range(resamples))
    low, high = np.percentile([metric(intersections[pick], unions[pick]) for pick in picks], [2.5, 97.5])
    return Interval(metric(intersections, unions), float(low), float(high))
