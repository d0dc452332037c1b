"""gIoU and cIoU by LISA's definition, with bootstrap intervals. Arrays in, numbers out.

Both start from one pair a sample: the pixels of the intersection and of the union of prediction and truth, at the
image's native resolution. A request that failed is an empty prediction.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

EPSILON = 1e-5  # pixels, LISA's guard of the division
RESAMPLES = 2_000
_DRAWS = 2**20  # of samples in one step of a bootstrap: 8 MB

Counts = NDArray[np.int64]
Shares = NDArray[np.float64]
Pixels = NDArray[np.bool_]


class Metric(Protocol):
    """A figure of N samples. `weights`, [..., N], is how often each counts and gives [...] figures; None is once."""

    def __call__(self, intersections: Counts, unions: Counts, weights: Shares | None = None) -> Shares: ...


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % percentile bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def pixel_counts(prediction: Pixels, target: Pixels, ignore: Pixels | None = None) -> tuple[int, int]:
    """Pixels of intersection and union.

    prediction, target, ignore: [H, W] bool; pixels of `ignore` leave both counts. Raises ValueError where the shapes
    differ: a mask at another resolution is another task.
    """
    if prediction.shape != target.shape:
        raise ValueError(
            f"the prediction is {prediction.shape} and the truth {target.shape}; compare at one resolution"
        )
    if ignore is not None and ignore.any():
        prediction, target = prediction & ~ignore, target & ~ignore
    intersection = int(np.count_nonzero(prediction & target))
    return intersection, int(np.count_nonzero(prediction) + np.count_nonzero(target)) - intersection


def ious(intersections: Counts, unions: Counts, empty: float = 1.0) -> Shares:
    """[N]: each sample's I / (U + EPSILON); `empty` where the union is empty, for "nothing" was the right answer."""
    return np.where(unions == 0, empty, intersections / (unions + EPSILON))


def giou(intersections: Counts, unions: Counts, weights: Shares | None = None, *, empty: float = 1.0) -> Shares:
    """The mean IoU over samples."""
    each = ious(intersections, unions, empty)
    return np.asarray(each.mean() if weights is None else weights @ each / weights.sum(axis=-1))


def ciou(intersections: Counts, unions: Counts, weights: Shares | None = None) -> Shares:
    """The summed intersections over the summed unions, so large objects weigh more; 0 where every union is empty."""
    weights = np.ones(len(unions)) if weights is None else weights
    return np.asarray((weights @ intersections) / np.maximum(weights @ unions, 1))


def precision(intersections: Counts, unions: Counts, thresholds: Sequence[float]) -> list[float]:
    """precision@t, as RefCOCO's tables have it: for each threshold the share of samples with an IoU of at least it."""
    each = ious(intersections, unions)
    return [float(np.mean(each >= threshold)) for threshold in thresholds]


def rejection(targets: Counts, answers: Counts) -> tuple[float | None, float | None]:
    """N-acc and T-acc (GRES): of samples without a target, the share answered by nothing; of the others, by something.

    targets, answers: [N] pixels of the truth and of the prediction. None where there is no such sample.
    """
    empty = targets == 0
    rejected = answers == 0
    n_acc = float(rejected[empty].mean()) if empty.any() else None
    return n_acc, float((~rejected[~empty]).mean()) if not empty.all() else None


def bootstrap(
    metric: Metric, intersections: Counts, unions: Counts, *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """`metric` with the interval that resampling the samples with replacement gives; the same for the same seed."""
    (found,) = bootstrap_all([metric], intersections, unions, resamples=resamples, seed=seed)
    return found


def bootstrap_all(
    metrics: Sequence[Metric],
    intersections: Counts,
    unions: Counts,
    groups: Counts | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Interval]:
    """What `bootstrap` gives for each of `metrics`, over the same resamples, which cost most of the time.

    groups: [N], from 0: samples of one number, such as the queries of an image, are drawn together, for what is hard
    in one is hard in the others. None: each sample by itself.
    """
    drawn: list[list[Shares]] = [[] for _ in metrics]
    for weights in _resampled(len(unions), groups, resamples, seed):
        for values, metric in zip(drawn, metrics, strict=True):
            values.append(metric(intersections, unions, weights))
    return [_interval(metric(intersections, unions), values) for values, metric in zip(drawn, metrics, strict=True)]


def paired_bootstrap(
    metric: Metric,
    first: tuple[Counts, Counts],
    second: tuple[Counts, Counts],
    groups: Counts | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """How much higher `metric` is for `second` than for `first`, (intersections, unions) of the same samples each.

    Every resample takes the same samples of both, so what is hard for both cancels out; `groups` as in `bootstrap_all`.
    Raises ValueError where they are not as many.
    """
    if len(first[1]) != len(second[1]):
        raise ValueError(f"{len(first[1])} samples cannot be paired with {len(second[1])}")
    drawn = [
        metric(*second, weights) - metric(*first, weights)
        for weights in _resampled(len(first[1]), groups, resamples, seed)
    ]
    return _interval(metric(*second) - metric(*first), drawn)


def _resampled(n: int, groups: Counts | None, resamples: int, seed: int) -> Iterator[Shares]:
    """[B, N] a step: how often each of the N samples was drawn. Steps are small, so memory is the same for any N."""
    rng = np.random.default_rng(seed)
    number = n if groups is None else int(groups.max()) + 1
    step = max(_DRAWS // n, 1)
    for done in range(0, resamples, step):
        rows = min(step, resamples - done)
        picks = rng.integers(0, number, (rows, number)) + number * np.arange(rows)[:, None]
        times = np.bincount(picks.ravel(), minlength=rows * number).reshape(rows, number).astype(np.float64)
        yield times if groups is None else times[:, groups]


def _interval(value: Shares, drawn: list[Shares]) -> Interval:
    bounds = np.percentile(np.concatenate(drawn), [2.5, 97.5])
    # Sums in another order differ in the last bit: samples that all agree have an interval without width.
    low, high = np.where(np.isclose(bounds, value, rtol=0, atol=1e-12), value, bounds)
    return Interval(float(value), float(low), float(high))
