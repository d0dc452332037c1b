"""Intervals of shares know how many samples there are, and which of them belong together."""

from benchmarks.shares import clustered_share, share


def test_a_share_has_wilsons_interval() -> None:
    assert share([True] * 8 + [False] * 2) == "0.800 [0.490, 0.943]"


def test_all_right_is_not_certainty() -> None:
    assert share([True] * 20) == "1.000 [0.839, 1.000]"


def test_none_of_none() -> None:
    assert share([]) == "none"


def test_samples_of_one_cluster_count_as_one() -> None:
    hits = [True] * 60 + [False] * 40
    alone = clustered_share(hits, range(100))
    together = clustered_share(hits, [number // 10 for number in range(100)])
    assert alone == share(hits)
    assert together.startswith("0.600")
    assert _width(together) > 1.5 * _width(alone)


def _width(told: str) -> float:
    low, high = told.partition("[")[2].rstrip("]").split(", ")
    return float(high) - float(low)
