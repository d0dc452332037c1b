"""Filtering rules on hand-made masks whose answers are known, and against naive versions of themselves."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from segment_anything.utils.amg import batched_mask_to_box, build_point_grid, calculate_stability_score
from torch import Tensor
from torchvision.ops.boxes import batched_nms

from services.perception import overlap
from services.perception.proposals import (
    MARGIN,
    centroids,
    grid,
    largest_passing,
    of_fitting_area,
    stability,
    suppress,
    suppress_boxes,
    uncontained,
)

CUDA = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"))


@pytest.fixture(params=["cpu", CUDA])
def device(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def box(x1: int, y1: int, x2: int, y2: int, size: int = 40) -> Tensor:
    mask = torch.zeros(size, size, dtype=torch.bool)
    mask[y1:y2, x1:x2] = True
    return mask


NOTHING = box(0, 0, 0, 0)
WHOLE_IMAGE = box(0, 0, 40, 40)
OUTER = box(5, 5, 25, 25)  # 400 pixels
INNER = box(10, 10, 15, 15)  # 25 pixels, in OUTER
NEXT_TO_OUTER = box(25, 5, 35, 25)  # 200 pixels, touches OUTER
RING = OUTER & ~box(8, 8, 22, 22)  # 204 pixels
NARROW_RING = box(9, 9, 21, 21) & ~box(10, 10, 20, 20)  # 44 pixels, in the hole of RING
PIXEL = box(39, 0, 40, 1)


def ious(*masks: Tensor) -> NDArray[np.float64]:
    areas, shared = overlap.areas_and_intersections(torch.stack(masks))
    return overlap.iou(shared, areas)


def left_of(masks: list[Tensor], scores: list[float], threshold: float) -> list[int]:
    """What suppression leaves."""
    return suppress(ious(*masks), np.array(scores), threshold)


def outermost(masks: list[Tensor], threshold: float, rounds: int | None) -> list[int]:
    """What Eq. 3 leaves."""
    areas, shared = overlap.areas_and_intersections(torch.stack(masks))
    return uncontained(overlap.containment(shared, areas), areas, threshold, rounds)


class Exactly:
    """Settles every question with one value, and remembers the questions."""

    def __init__(self, value: float) -> None:
        self.value = value
        self.asked: list[tuple[int, int]] = []

    def __call__(self, i: int, k: int) -> float:
        self.asked.append((i, k))
        return self.value


@pytest.mark.parametrize(("width", "height"), [(1, 1), (333, 97), (2048, 1365)])
def test_the_grid_is_that_of_sams_own_generator(width: int, height: int) -> None:
    for side in range(1, 65):
        assert (grid(side, width, height) == build_point_grid(side) * np.array([width, height])).all()


def test_the_grid_has_its_points_at_the_middles_of_equal_cells() -> None:
    assert grid(2, 40, 20).tolist() == [[10, 5], [30, 5], [10, 15], [30, 15]]


def test_a_centroid_is_the_mean_pixel(device: str) -> None:
    masks = torch.stack([OUTER, INNER, WHOLE_IMAGE, PIXEL, box(3, 0, 5, 1) | PIXEL]).to(device)
    assert centroids(masks).tolist() == [[14.5, 14.5], [12, 12], [19.5, 19.5], [39, 0], [46 / 3, 0]]


def test_the_centroid_of_a_ring_lies_in_its_hole() -> None:
    x, y = centroids(RING[None])[0]
    assert not RING[round(y), round(x)]


def test_an_empty_mask_has_no_centroid(device: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        centroids(torch.stack([OUTER, NOTHING]).to(device))


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 300), st.integers(1, 300))
def test_centroids_are_the_means_of_the_indices_of_pixels(seed: int, height: int, width: int) -> None:
    random = np.random.default_rng(seed)
    pixels = random.random((3, height, width)) < random.random((3, 1, 1))
    pixels[:, random.integers(height), random.integers(width)] = True
    places = [np.nonzero(mask) for mask in pixels]
    assert centroids(torch.from_numpy(pixels)).tolist() == [[x.mean(), y.mean()] for y, x in places]


def test_of_identical_masks_the_one_with_the_higher_predicted_iou_stays() -> None:
    assert left_of([OUTER, OUTER, OUTER], [0.8, 0.95, 0.9], 0.7) == [1]


def test_of_two_equally_good_identical_masks_the_first_stays() -> None:
    assert left_of([OUTER, OUTER], [0.9, 0.9], 0.7) == [0]


def test_masks_that_overlap_by_exactly_the_threshold_both_stay() -> None:
    half = box(5, 5, 25, 15)  # IoU 0.5 with OUTER
    assert left_of([OUTER, half], [0.9, 0.8], 0.5) == [0, 1]
    assert left_of([OUTER, half], [0.9, 0.8], 0.49) == [0]


def test_a_part_inside_its_object_is_no_duplicate_of_it() -> None:
    assert left_of([OUTER, INNER], [0.9, 0.95], 0.7) == [1, 0]


def test_masks_are_compared_and_not_their_boxes() -> None:
    upper = torch.ones(40, 40).triu().bool()
    assert left_of([upper, ~upper], [0.9, 0.8], 0.7) == [0, 1]
    assert suppress_boxes(overlap.boxes(torch.stack([upper, ~upper])), np.array([0.9, 0.8]), 0.7) == [0]


def test_what_a_suppressed_mask_overlaps_may_stay() -> None:
    best, middle, last = box(0, 0, 20, 10), box(3, 0, 23, 10), box(6, 0, 26, 10)
    assert left_of([best, middle, last], [0.9, 0.8, 0.7], 0.7) == [0, 2]


def test_no_masks_leave_no_masks() -> None:
    none, nothing = np.empty((0, 0)), np.empty(0)
    assert suppress(none, nothing, 0.7) == []
    assert uncontained(none, np.empty(0, np.int64), 0.8, None) == []
    assert suppress_boxes(np.empty((0, 4), np.int64), nothing, 0.7) == []
    assert of_fitting_area(np.empty(0, np.int64), 1600, 95, 1) == []
    assert largest_passing(np.empty((0, 3), np.int64), np.empty((0, 3)), 0.88).tolist() == []
    assert centroids(torch.zeros(0, 40, 40, dtype=torch.bool)).shape == (0, 2)


def test_a_mask_inside_a_larger_one_goes() -> None:
    assert outermost([INNER, OUTER], 0.8, None) == [1]


def test_masks_that_touch_both_stay() -> None:
    assert outermost([NEXT_TO_OUTER, OUTER], 0.8, None) == [1, 0]


def test_of_identical_masks_the_first_is_kept() -> None:
    assert outermost([OUTER, OUTER, OUTER], 0.8, None) == [0]


def test_a_mask_with_exactly_the_threshold_inside_stays() -> None:
    mostly = box(17, 5, 27, 15)  # 80 of its 100 pixels lie in OUTER
    assert outermost([OUTER, mostly], 0.8, None) == [0, 1]
    assert outermost([OUTER, mostly], 0.79, None) == [0]


def test_what_fills_a_hole_is_not_contained_in_the_ring() -> None:
    assert outermost([RING, INNER], 0.8, None) == [0, 1]


def test_a_ring_in_the_hole_of_another_stays_and_in_a_disc_goes() -> None:
    assert outermost([RING, NARROW_RING], 0.8, None) == [0, 1]
    assert outermost([RING, NARROW_RING, OUTER], 0.8, None) == [2]


def test_the_whole_image_contains_everything() -> None:
    assert outermost([OUTER, WHOLE_IMAGE, RING, PIXEL], 0.8, None) == [1]


def test_an_empty_mask_lies_in_nothing() -> None:
    assert outermost([WHOLE_IMAGE, NOTHING], 0.8, None) == [0, 1]


def test_one_round_drops_only_what_the_overall_largest_mask_contains() -> None:
    other = box(26, 26, 40, 40)  # 196 pixels
    inside_other = box(30, 30, 35, 35)
    masks = [INNER, inside_other, OUTER, other]
    assert outermost(masks, 0.8, rounds=1) == [2, 3, 1]
    assert outermost(masks, 0.8, rounds=2) == [2, 3]
    assert outermost(masks, 0.8, rounds=None) == [2, 3]


def test_a_dropped_mask_drops_nothing_itself() -> None:
    chain = [box(0, 0, 20, 10), box(3, 0, 21, 10), box(18, 0, 22, 10)]
    assert outermost(chain, 0.8, None) == [0, 2]


def pairwise(value: float) -> NDArray[np.float64]:
    """What two masks share, as seen at low resolution."""
    return np.array([[1.0, value], [value, 1.0]])


RULES: list[Callable[[NDArray[np.float64], float, Exactly], list[int]]] = [
    lambda share, threshold, settle: suppress(share, np.array([0.9, 0.8]), threshold, settle),
    lambda share, threshold, settle: uncontained(share, np.array([20, 10]), threshold, None, settle),
]
BOTH_RULES = pytest.mark.parametrize("rule", RULES, ids=["suppress", "uncontained"])


@BOTH_RULES
def test_away_from_the_threshold_nothing_is_compared_again(rule: Callable[..., list[int]]) -> None:
    settle = Exactly(0.0)
    assert rule(pairwise(0.7 + 1.1 * MARGIN), 0.7, settle) == [0]
    assert rule(pairwise(0.7 - 1.1 * MARGIN), 0.7, settle) == [0, 1]
    assert settle.asked == []


@BOTH_RULES
@pytest.mark.parametrize("seen", [0.7 - 0.9 * MARGIN, 0.7, 0.7 + 0.9 * MARGIN])
def test_near_the_threshold_the_exact_value_decides_either_way(rule: Callable[..., list[int]], seen: float) -> None:
    for exact, kept in ((0.7 + 1e-9, [0]), (0.7, [0, 1])):
        settle = Exactly(exact)
        assert rule(pairwise(seen), 0.7, settle) == kept
        assert settle.asked == [(1, 0)]


def test_a_mask_that_clearly_goes_is_not_compared_with_what_it_nearly_overlaps() -> None:
    share = np.array([[1.0, 0.1, 0.71], [0.1, 1.0, 0.9], [0.71, 0.9, 1.0]])
    settle = Exactly(0.0)
    assert suppress(share, np.array([0.9, 0.8, 0.7]), 0.7, settle) == [0, 1]
    assert settle.asked == []


def test_the_first_exact_value_that_decides_is_the_last_one_asked_for() -> None:
    share = np.full((4, 4), 0.69)
    share[:3, :3] = 0
    settle = Exactly(0.8)
    assert suppress(share, np.array([0.9, 0.8, 0.7, 0.6]), 0.7, settle) == [0, 1, 2]
    assert settle.asked == [(3, 0)]


def test_only_the_masks_of_the_first_rounds_are_compared_again() -> None:
    share = np.full((3, 3), 0.79)
    settle = Exactly(0.7)
    assert uncontained(share, np.array([30, 20, 10]), 0.8, 1, settle) == [0, 1, 2]
    assert settle.asked == [(1, 0), (2, 0)]


@st.composite
def small_masks(draw: st.DrawFn) -> tuple[Tensor, NDArray[np.float64]]:
    """Up to 9 boxes with holes on 8 x 8 pixels, so that many overlap, with scores, some of them equal."""
    count = draw(st.integers(1, 9))
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    masks = torch.zeros(count, 8, 8, dtype=torch.bool)
    for mask in masks:
        (top, bottom), (left, right) = (np.sort(random.integers(0, 9, 2)) for _ in range(2))
        mask[top:bottom, left:right] = True
        mask &= torch.from_numpy(random.random((8, 8)) < 0.9)
    return masks, random.choice([0.88, 0.9, 0.95, 0.99], count)


@settings(max_examples=200)
@given(small_masks(), st.floats(0.1, 1))
def test_suppression_is_what_comparing_all_pixels_gives(drawn: tuple[Tensor, NDArray[np.float64]], most: float) -> None:
    masks, scores = drawn
    pixels = masks.numpy()
    kept: list[int] = []
    for i in sorted(range(len(masks)), key=lambda i: -scores[i]):
        if all((pixels[i] & pixels[k]).sum() / max((pixels[i] | pixels[k]).sum(), 1) <= most for k in kept):
            kept.append(i)
    assert left_of(list(masks), scores.tolist(), most) == kept


@settings(max_examples=200)
@given(small_masks(), st.floats(0.1, 1), st.sampled_from([1, 2, 3, None]))
def test_containment_is_what_taking_the_largest_in_turn_gives(
    drawn: tuple[Tensor, NDArray[np.float64]], most: float, rounds: int | None
) -> None:
    masks, _ = drawn
    pixels = masks.numpy()
    left = sorted(range(len(masks)), key=lambda i: -pixels[i].sum())
    kept: list[int] = []
    while left and (rounds is None or len(kept) < rounds):
        largest, *rest = left
        kept.append(largest)
        left = [i for i in rest if (pixels[i] & pixels[largest]).sum() / max(pixels[i].sum(), 1) <= most]
    assert outermost(list(masks), most, rounds) == kept + left


@settings(max_examples=200)
@given(small_masks(), st.floats(0.1, 1), st.integers(0, 10**6))
def test_a_low_resolution_error_within_the_margin_changes_nothing(
    drawn: tuple[Tensor, NDArray[np.float64]], most: float, seed: int
) -> None:
    masks, scores = drawn
    exact = ious(*masks)
    seen = exact + np.random.default_rng(seed).uniform(-0.99 * MARGIN, 0.99 * MARGIN, exact.shape)
    assert suppress(seen, scores, most, lambda i, k: float(exact[i, k])) == suppress(exact, scores, most)


@settings(max_examples=200, deadline=None)
@given(small_masks(), st.floats(0.1, 1))
def test_boxes_are_suppressed_as_in_sams_own_generator(drawn: tuple[Tensor, NDArray[np.float64]], most: float) -> None:
    masks, scores = drawn
    boxes = batched_mask_to_box(masks)
    expected = batched_nms(boxes.float(), torch.from_numpy(scores).float(), torch.zeros(len(masks)), most)
    assert suppress_boxes(boxes.numpy(), scores, most) == expected.tolist()


def test_the_largest_of_the_passing_masks_is_the_whole_object() -> None:
    areas = np.array([[25, 400, 200], [25, 1600, 400], [25, 1600, 400], [0, 0, 0]])
    scores = np.array([[0.95, 0.9, 0.99], [0.95, 0.4, 0.88], [0.1, 0.2, 0.3], [0.95, 0.9, 0.99]])
    assert largest_passing(areas, scores, 0.88).tolist() == [1, 2, -1, -1]


def test_of_equally_large_passing_masks_the_better_one_is_taken_and_of_equals_the_first() -> None:
    areas = np.array([[400, 400, 400], [400, 400, 25]])
    scores = np.array([[0.9, 0.95, 0.5], [0.9, 0.9, 0.99]])
    assert largest_passing(areas, scores, 0.88).tolist() == [1, 0]


def test_background_specks_and_empty_masks_are_no_proposals() -> None:
    areas = overlap.areas(torch.stack([WHOLE_IMAGE, OUTER, INNER, NOTHING]))
    assert of_fitting_area(areas, 1600, 95, 26) == [1]
    assert of_fitting_area(areas, 1600, 100, 25) == [0, 1, 2]
    assert of_fitting_area(areas, 1600, 100, 0) == [0, 1, 2]


def test_stability_is_the_share_that_stays_when_the_threshold_rises() -> None:
    found = stability(np.array([400, 19, 0, 0]), np.array([400, 20, 5, 0]))
    assert (found >= 0.95).tolist() == [True, True, False, False]
    assert found[3] == 0


def test_stability_is_that_of_sams_own_generator() -> None:
    logits = torch.randn(50, 33, 35, generator=torch.Generator().manual_seed(0))
    inner, outer = (overlap.areas(logits > threshold) for threshold in (0.3, -0.3))
    assert (stability(inner, outer) == calculate_stability_score(logits, 0.0, 0.3).numpy()).all()
