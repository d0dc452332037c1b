"""gIoU and cIoU give what LISA's definition gives by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from dtwinseger.evaluation.metrics import (
    bootstrap,
    bootstrap_all,
    ciou,
    giou,
    ious,
    paired_bootstrap,
    pixel_counts,
    precision,
    rejection,
)


def _counts(*values: int) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def test_pixels_are_counted_in_intersection_and_union() -> None:
    prediction = np.array([[1, 1, 0], [0, 1, 0]], dtype=bool)
    truth = np.array([[1, 0, 0], [0, 1, 1]], dtype=bool)
    assert pixel_counts(prediction, truth) == (2, 4)


def test_ignored_pixels_leave_both_counts() -> None:
    prediction = np.array([[1, 1, 1, 0]], dtype=bool)
    truth = np.array([[1, 0, 0, 0]], dtype=bool)
    ignored = np.array([[0, 1, 0, 1]], dtype=bool)
    assert pixel_counts(prediction, truth, ignored) == (1, 2)


def test_masks_at_different_resolutions_are_refused() -> None:
    with pytest.raises(ValueError, match="at one resolution"):
        pixel_counts(np.zeros((2, 2), dtype=bool), np.zeros((4, 4), dtype=bool))


def test_giou_is_the_mean_and_ciou_the_ratio_of_sums() -> None:
    intersections, unions = _counts(10, 0, 90), _counts(20, 10, 100)
    assert giou(intersections, unions) == pytest.approx((0.5 + 0.0 + 0.9) / 3, abs=1e-6)
    assert ciou(intersections, unions) == pytest.approx(100 / 130)


def test_an_empty_answer_to_an_empty_truth_is_right() -> None:
    assert ious(_counts(0), _counts(0)).tolist() == [1.0]
    assert giou(_counts(0, 0), _counts(0, 50)) == pytest.approx(0.5)


def test_an_empty_truth_adds_a_false_positive_to_the_union_of_ciou() -> None:
    assert ciou(_counts(50, 0), _counts(50, 50)) == pytest.approx(0.5)


def test_ciou_of_nothing_at_all_is_zero_as_in_lisa() -> None:
    assert ciou(_counts(0), _counts(0)) == 0.0


def test_the_interval_holds_the_value_and_repeats_for_a_seed() -> None:
    rng = np.random.default_rng(4)
    intersections = rng.integers(0, 100, 200)
    unions = np.full(200, 100)
    first = bootstrap(giou, intersections, unions, seed=1)
    assert first.low < first.value < first.high
    assert first == bootstrap(giou, intersections, unions, seed=1)
    assert first != bootstrap(giou, intersections, unions, seed=2)
    # The standard error of a mean of uniform shares is 0.289 / sqrt(200); the interval spans 2 x 1.96 of it.
    assert first.high - first.low == pytest.approx(2 * 1.96 * 0.289 / 200**0.5, rel=0.15)


def test_the_bootstrap_is_what_resampling_one_by_one_gives() -> None:
    rng = np.random.default_rng(5)
    unions = rng.integers(0, 100, 37)
    intersections = rng.integers(0, unions + 1)
    for metric in (giou, ciou):
        drawer = np.random.default_rng(3)
        picks = [drawer.integers(0, 37, 37) for _ in range(500)]
        low, high = np.percentile([metric(intersections[pick], unions[pick]) for pick in picks], [2.5, 97.5])
        found = bootstrap(metric, intersections, unions, resamples=500, seed=3)
        assert (found.low, found.high) == (pytest.approx(low, abs=1e-12), pytest.approx(high, abs=1e-12))


def test_samples_of_one_image_are_drawn_together() -> None:
    rng = np.random.default_rng(8)
    images = np.repeat(np.arange(40), 10)
    unions = np.full(400, 100)
    intersections = rng.integers(0, 100, 40)[images]  # all ten queries of an image do alike
    (apart,) = bootstrap_all([giou], intersections, unions)
    (together,) = bootstrap_all([giou], intersections, unions, images)
    assert together.value == apart.value
    # Forty images say as much as forty samples, not as four hundred.
    assert together.high - together.low == pytest.approx(10**0.5 * (apart.high - apart.low), rel=0.15)


def test_the_interval_of_samples_that_agree_has_no_width_however_many() -> None:
    for n in (3, 7, 49, 1_000):
        found = bootstrap(giou, np.full(n, 41), np.full(n, 59))
        assert found.low == found.value == found.high


def test_a_paired_difference_is_sharper_than_the_intervals_of_both() -> None:
    rng = np.random.default_rng(6)
    unions = np.full(200, 100)
    worse = rng.integers(0, 90, 200)
    better = worse + 5  # hard samples are hard for both
    difference = paired_bootstrap(giou, (worse, unions), (better, unions))
    assert difference.value == pytest.approx(0.05, abs=1e-6)
    assert difference.low == pytest.approx(0.05, abs=1e-6)
    assert bootstrap(giou, worse, unions).high > bootstrap(giou, better, unions).low
    with pytest.raises(ValueError, match="cannot be paired"):
        paired_bootstrap(giou, (worse, unions), (better[:9], unions[:9]))


def test_precision_counts_samples_at_the_threshold_too() -> None:
    assert precision(_counts(10, 60, 90), _counts(100, 100, 100), [0.5, 0.59, 0.9, 0.95]) == [2 / 3, 2 / 3, 0.0, 0.0]


def test_rejections_are_judged_apart_for_samples_with_and_without_a_target() -> None:
    assert rejection(_counts(0, 0, 9, 9, 9), _counts(0, 5, 5, 0, 5)) == (0.5, pytest.approx(2 / 3))
    assert rejection(_counts(9), _counts(1)) == (None, 1.0)
    assert rejection(_counts(0), _counts(1)) == (0.0, None)


def test_the_interval_of_samples_that_agree_has_no_width() -> None:
    same = bootstrap(giou, _counts(5, 5, 5), _counts(10, 10, 10))
    assert same.low == same.high == same.value
    assert str(same) == "0.500 [0.500, 0.500]"
