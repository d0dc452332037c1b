"""The benchmark's samples repeat, mix the kinds of query, and their truth is the objects that the query means."""

from collections import Counter

import numpy as np
import pytest

from benchmarks.samples import Sample, samples
from dtwinseger.twin import Mask
from training.scenes.export import KINDS


@pytest.fixture(scope="module")
def drawn() -> list[Sample]:
    return list(samples(12))


def test_the_kinds_of_query_have_their_turn(drawn: list[Sample]) -> None:
    kinds = Counter(sample.query.kind for sample in drawn)
    assert len(kinds) >= 6
    assert kinds["none"] == len(drawn) / 3
    assert set(kinds) <= set(KINDS)


def test_the_samples_repeat(drawn: list[Sample]) -> None:
    again = list(samples(3))
    assert [s.query for s in again] == [s.query for s in drawn[:3]]
    assert [s.png for s in again] == [s.png for s in drawn[:3]]


def test_the_true_twin_numbers_the_objects_as_the_scene_does(drawn: list[Sample]) -> None:
    for sample in drawn:
        boxes = [Mask.encode(found.mask).bbox for found in sample.scene.objects]
        assert [row.bbox for row in sample.rows] == boxes
        assert [row.semantic for row in sample.rows] == [found.semantic for found in sample.scene.objects]


def test_the_truth_is_empty_only_where_nothing_fits(drawn: list[Sample]) -> None:
    for sample in drawn:
        assert bool(sample.query.indices) == bool(np.any(sample.truth)) == (sample.query.kind != "none")
