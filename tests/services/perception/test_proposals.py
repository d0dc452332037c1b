"""Filtering rules on hand-made masks whose answers are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from dtwinseger.twin import Mask
from services.perception.proposals import (
    centroid,
    grid,
    largest_passing,
    of_fitting_area,
    suppress,
    suppress_boxes,
    uncontained,
)

Pixels = NDArray[np.bool_]


def box(x1: int, y1: int, x2: int, y2: int, size: int = 40) -> Pixels:
    mask = np.zeros((size, size), dtype=np.bool_)
    mask[y1:y2, x1:x2] = True
    return mask


def encoded(*masks: Pixels) -> list[Mask]:
    return [Mask.encode(mask) for mask in masks]


NOTHING = box(0, 0, 0, 0)
WHOLE_IMAGE = box(0, 0, 40, 40)
OUTER = box(5, 5, 25, 25)  # 400 pixels
INNER = box(10, 10, 15, 15)  # 25 pixels, in OUTER
NEXT_TO_OUTER = box(25, 5, 35, 25)  # 200 pixels, touches OUTER
RING = box(5, 5, 25, 25) & ~box(8, 8, 22, 22)


def test_the_grid_has_its_points_at_the_middles_of_equal_cells() -> None:
    assert grid(2, 40, 20).tolist() == [[10, 5], [30, 5], [10, 15], [30, 15]]


def test_a_grid_of_32_gives_1024_points_inside_the_image() -> None:
    points = grid(32, 640, 480)
    assert points.shape == (1024, 2)
    assert (points > 0).all()
    assert (points < [640, 480]).all()


def test_the_centroid_is_the_mean_pixel() -> None:
    assert centroid(OUTER) == (14.5, 14.5)


def test_the_centroid_of_a_ring_lies_in_its_hole() -> None:
    x, y = centroid(RING)
    assert not RING[round(y), round(x)]


def test_an_empty_mask_has_no_centroid() -> None:
    with pytest.raises(ValueError, match="empty"):
        centroid(NOTHING)


def test_of_identical_masks_the_one_with_the_higher_predicted_iou_stays() -> None:
    assert suppress(encoded(OUTER, OUTER, OUTER), [0.8, 0.95, 0.9], 0.7) == [1]


def test_of_two_equally_good_identical_masks_the_first_stays() -> None:
    assert suppress(encoded(OUTER, OUTER), [0.9, 0.9], 0.7) == [0]


def test_masks_that_overlap_by_exactly_the_threshold_both_stay() -> None:
    half = box(5, 5, 25, 15)  # IoU 0.5 with OUTER
    assert suppress(encoded(OUTER, half), [0.9, 0.8], 0.5) == [0, 1]
    assert suppress(encoded(OUTER, half), [0.9, 0.8], 0.49) == [0]


def test_a_part_inside_its_object_is_no_duplicate_of_it() -> None:
    assert suppress(encoded(OUTER, INNER), [0.9, 0.95], 0.7) == [1, 0]


def test_masks_are_compared_and_not_their_boxes() -> None:
    upper = np.tri(40, dtype=np.bool_)
    assert suppress(encoded(upper, ~upper), [0.9, 0.8], 0.7) == [0, 1]
    boxes = [mask.bbox for mask in encoded(upper, ~upper)]
    assert suppress_boxes(boxes, [0.9, 0.8], 0.7) == [0]


def test_what_a_suppressed_mask_overlaps_may_stay() -> None:
    best, middle, last = box(0, 0, 20, 10), box(3, 0, 23, 10), box(6, 0, 26, 10)
    assert suppress(encoded(best, middle, last), [0.9, 0.8, 0.7], 0.7) == [0, 2]


def test_no_masks_leave_no_masks() -> None:
    assert suppress([], [], 0.7) == []
    assert uncontained([], 0.8, None) == []
    assert suppress_boxes([], [], 0.7) == []


def test_the_largest_of_the_passing_masks_is_the_whole_object() -> None:
    assert largest_passing([25, 400, 200], [0.95, 0.9, 0.99], 0.88) == 1


def test_a_larger_mask_that_fails_the_iou_filter_is_not_taken() -> None:
    assert largest_passing([25, 1600, 400], [0.95, 0.4, 0.88], 0.88) == 2


def test_where_no_mask_passes_there_is_no_object() -> None:
    assert largest_passing([25, 1600, 400], [0.1, 0.2, 0.3], 0.88) is None


def test_an_empty_mask_is_never_taken() -> None:
    assert largest_passing([0, 0, 0], [0.95, 0.9, 0.99], 0.88) is None


def test_a_mask_inside_a_larger_one_goes() -> None:
    assert uncontained(encoded(INNER, OUTER), 0.8, None) == [1]


def test_masks_that_touch_both_stay() -> None:
    assert uncontained(encoded(NEXT_TO_OUTER, OUTER), 0.8, None) == [1, 0]


def test_of_identical_masks_one_stays() -> None:
    assert uncontained(encoded(OUTER, OUTER, OUTER), 0.8, None) == [0]


def test_a_mask_with_exactly_the_threshold_inside_stays() -> None:
    mostly = box(17, 5, 27, 15)  # 80 of its 100 pixels lie in OUTER
    assert uncontained(encoded(OUTER, mostly), 0.8, None) == [0, 1]
    assert uncontained(encoded(OUTER, mostly), 0.79, None) == [0]


def test_what_fills_a_hole_is_not_contained_in_the_ring() -> None:
    assert uncontained(encoded(RING, INNER), 0.8, None) == [0, 1]


def test_one_round_drops_only_what_the_overall_largest_mask_contains() -> None:
    other = box(26, 26, 40, 40)  # 196 pixels
    inside_other = box(30, 30, 35, 35)
    masks = encoded(INNER, inside_other, OUTER, other)
    assert uncontained(masks, 0.8, rounds=1) == [2, 3, 1]
    assert uncontained(masks, 0.8, rounds=2) == [2, 3]
    assert uncontained(masks, 0.8, rounds=None) == [2, 3]


def test_a_dropped_mask_drops_nothing_itself() -> None:
    chain = encoded(box(0, 0, 20, 10), box(3, 0, 21, 10), box(18, 0, 22, 10))
    assert uncontained(chain, 0.8, None) == [0, 2]


def test_background_specks_and_empty_masks_are_no_proposals() -> None:
    masks = encoded(WHOLE_IMAGE, OUTER, INNER, NOTHING)
    assert of_fitting_area(masks, 95, 26) == [1]
    assert of_fitting_area(masks, 100, 25) == [0, 1, 2]
    assert of_fitting_area(masks, 100, 0) == [0, 1, 2]
