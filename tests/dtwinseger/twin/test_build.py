"""Objects of the twin from masks and what was said of them."""

import numpy as np
import pytest

from dtwinseger.api import Semantics
from dtwinseger.twin import Mask
from dtwinseger.twin.build import build_objects


def block(x1: int, y1: int, x2: int, y2: int) -> Mask:
    mask = np.zeros((100, 200), dtype=bool)
    mask[y1:y2, x1:x2] = True
    return Mask.encode(mask)


def test_objects_are_numbered_by_area_and_carry_their_geometry() -> None:
    mug = Semantics(semantic="a red mug", category="mug", attributes=("red",), relevance=1.0)
    desk = Semantics(semantic="a wide desk", category="desk")
    objects = build_objects([block(150, 10, 160, 20), block(0, 50, 100, 100)], [0.9, 0.8], [mug, desk])
    assert [item.semantic for item in objects] == ["a wide desk", "a red mug"]
    assert [item.index for item in objects] == [1, 2]
    assert objects[1].bbox == (150, 10, 160, 20)
    assert objects[1].centroid == (154.5, 14.5)
    assert objects[1].area_percent == 0.5
    assert objects[1].predicted_iou == 0.9
    assert objects[1].spatial == "at the top right; right of 1 (desk)"


def test_an_object_that_was_not_described_is_still_an_object() -> None:
    objects = build_objects([block(0, 0, 50, 50), block(80, 0, 90, 10)], [0.9, 0.9], [None, None])
    assert objects[0].semantic is None
    assert "1 (object)" in objects[1].spatial


def test_nothing_makes_no_objects_and_unequal_lists_are_refused() -> None:
    assert build_objects([], [], []) == ()
    with pytest.raises(ValueError, match="zip"):
        build_objects([block(0, 0, 5, 5)], [], [None])
