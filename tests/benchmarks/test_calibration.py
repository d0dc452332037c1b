"""The reliability table and the calibration error are those of the literature's definition."""

import pytest

from benchmarks.calibration import Claim, calibration_error, reliability


def claims(confidence: float, right: int, wrong: int) -> list[Claim]:
    return [Claim(confidence, True)] * right + [Claim(confidence, False)] * wrong


def test_claims_that_are_right_as_often_as_they_say_have_no_error() -> None:
    assert calibration_error(claims(0.75, 3, 1) + claims(0.25, 1, 3)) == pytest.approx(0)


def test_the_error_is_the_gap_weighted_by_the_claims_of_each_bin() -> None:
    assert calibration_error(claims(1.0, 1, 1) + claims(0.3, 3, 3)) == pytest.approx((2 * 0.5 + 6 * 0.2) / 8)


def test_gaps_in_opposite_directions_do_not_cancel_across_bins() -> None:
    assert calibration_error(claims(0.95, 0, 1) + claims(0.05, 1, 0)) == pytest.approx(0.95)


def test_the_table_has_the_bins_that_have_claims_and_the_highest_holds_certainty() -> None:
    table = reliability(claims(0.0, 0, 1) + claims(0.1, 1, 0) + claims(0.95, 1, 0) + claims(1.0, 1, 1))
    assert [(one.low, one.high, one.count) for one in table] == [(0.0, 0.1, 1), (0.1, 0.2, 1), (0.9, 1.0, 3)]
    assert table[-1].confidence == pytest.approx((0.95 + 2) / 3)
    assert table[-1].right == pytest.approx(2 / 3)


def test_no_claims_have_no_bins() -> None:
    assert reliability([]) == []
