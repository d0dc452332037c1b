"""Relations on hand-made masks with known answers, and the laws that they obey."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtwinseger.twin import PREDICATES, Mask, relate
from dtwinseger.twin.relations import RELATIONS_PER_OBJECT, pairwise

SIDE = 100
Box = tuple[int, int, int, int]


def filled(*boxes: Box) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    for x1, y1, x2, y2 in boxes:
        mask[y1:y2, x1:x2] = True
    return mask


def table(*masks: np.ndarray) -> dict[str, np.ndarray]:
    return dict(pairwise([Mask.encode(mask) for mask in masks], centroids(*masks)))


def centroids(*masks: np.ndarray) -> np.ndarray:
    return np.array([[np.nonzero(mask)[1].mean(), np.nonzero(mask)[0].mean()] for mask in masks])


def holding(relations: dict[str, np.ndarray], a: int, b: int) -> set[str]:
    return {predicate for predicate in PREDICATES if relations[predicate][a, b]}


def test_a_disc_in_the_hole_of_a_ring_is_inside_it() -> None:
    ring = filled((10, 10, 90, 90)) & ~filled((20, 20, 80, 80))
    found = table(ring, filled((45, 45, 55, 55)))
    assert "inside" in holding(found, 1, 0)
    assert "surrounding" in holding(found, 0, 1)


def test_nine_tenths_inside_is_inside_and_less_is_overlapping() -> None:
    large = filled((0, 0, 60, 60))
    nine = holding(table(large, filled((51, 10, 61, 20))), 1, 0)
    assert "inside" in nine
    eight = holding(table(filled((0, 0, 20, 20)), filled((12, 5, 22, 15))), 1, 0)
    assert "inside" not in eight
    assert "overlapping" in eight


def test_equal_masks_are_not_inside_each_other() -> None:
    same = filled((10, 10, 30, 30))
    assert holding(table(same, same), 0, 1) == {"overlapping"}


@pytest.mark.parametrize(
    ("other", "predicate"),
    [
        ((60, 45, 70, 55), "left_of"),
        ((10, 45, 20, 55), "right_of"),
        ((45, 80, 55, 90), "above"),
        ((45, 5, 55, 15), "below"),
    ],
)
def test_directions_are_those_of_the_picture(other: Box, predicate: str) -> None:
    assert predicate in holding(table(filled((35, 45, 45, 55)), filled(other)), 0, 1)


def test_centroids_within_the_margin_have_no_direction() -> None:
    wide, tall = filled((40, 48, 60, 52)), filled((49, 40, 53, 60))
    assert not holding(table(wide, tall), 0, 1) & {"left_of", "right_of", "above", "below"}


def test_neighbors_are_next_to_each_other_unless_something_stands_between() -> None:
    left, right = filled((10, 40, 20, 60)), filled((26, 40, 36, 60))
    assert "next_to" in holding(table(left, right), 0, 1)
    assert "next_to" not in holding(table(left, right, filled((22, 45, 24, 55))), 0, 1)
    far = filled((60, 40, 70, 60))
    assert "next_to" not in holding(table(left, far), 0, 1)


def test_the_smaller_object_is_placed_by_the_larger_one() -> None:
    large, small = filled((10, 10, 50, 50)), filled((70, 20, 80, 30))
    told = relate([Mask.encode(large), Mask.encode(small)], centroids(large, small))
    assert told[0] == ()
    assert [(r.predicate, r.target) for r in told[1]] == [("right_of", 1)]


def test_containment_is_told_first_and_no_more_than_four_relations() -> None:
    boxes: list[Box] = [
        (2, 2, 98, 98),
        (5, 5, 30, 30),
        (40, 5, 64, 28),
        (70, 5, 92, 27),
        (5, 40, 26, 60),
        (60, 60, 66, 66),
    ]
    parts = [filled(box) for box in boxes]
    told = relate([Mask.encode(mask) for mask in parts], centroids(*parts))
    assert all(len(relations) <= RELATIONS_PER_OBJECT for relations in told)
    assert all(relations[0].predicate == "inside" for relations in told[1:])


def test_no_objects_have_no_relations() -> None:
    assert relate([], np.zeros((0, 2))) == []


@st.composite
def boxes(draw: st.DrawFn) -> list[Box]:
    def box() -> Box:
        x, y = draw(st.integers(0, 80)), draw(st.integers(0, 80))
        return x, y, x + draw(st.integers(3, 19)), y + draw(st.integers(3, 19))

    return [box() for _ in range(draw(st.integers(1, 6)))]


@settings(max_examples=40)
@given(boxes())
def test_inverse_predicates_mirror_each_other_and_symmetric_ones_themselves(some: list[Box]) -> None:
    found = table(*(filled(box) for box in some))
    for one, inverse in (("inside", "surrounding"), ("left_of", "right_of"), ("above", "below")):
        assert (found[one] == found[inverse].T).all()
    for symmetric in ("overlapping", "next_to"):
        assert (found[symmetric] == found[symmetric].T).all()
    assert not any(matrix.diagonal().any() for matrix in found.values())


@settings(max_examples=40)
@given(boxes())
def test_a_mirrored_picture_swaps_left_and_right(some: list[Box]) -> None:
    masks = [filled(box) for box in some]
    found = table(*masks)
    # Measured centroids would lie a pixel further left of the mirrored boxes, which lines between them feel.
    places = np.array([SIDE, 0]) + np.array([-1, 1]) * centroids(*masks)
    mirrored = pairwise([Mask.encode(mask[:, ::-1]) for mask in masks], places)
    for one, other in (("left_of", "right_of"), ("right_of", "left_of")):
        assert (found[one] == mirrored[other]).all()
    for kept in ("above", "below", "inside", "surrounding", "overlapping", "next_to"):
        assert (found[kept] == mirrored[kept]).all()


@settings(max_examples=40)
@given(boxes(), st.integers(-20, 20), st.integers(-20, 20))
def test_relations_do_not_depend_on_where_in_the_picture_they_are(some: list[Box], right: int, down: int) -> None:
    masks = [np.pad(filled(box), 20) for box in some]
    found, moved = table(*masks), table(*(np.roll(mask, (down, right), (0, 1)) for mask in masks))
    assert all((found[predicate] == moved[predicate]).all() for predicate in PREDICATES)


@settings(max_examples=40)
@given(boxes())
def test_relations_do_not_depend_on_the_resolution(some: list[Box]) -> None:
    masks = [filled(box) for box in some]
    doubled = [mask.repeat(2, axis=0).repeat(2, axis=1) for mask in masks]
    doubled_centroids = 2 * centroids(*masks)  # measured ones lie half a pixel further, which lines between them feel
    found = table(*masks)
    larger = pairwise([Mask.encode(mask) for mask in doubled], doubled_centroids)
    assert all((found[predicate] == larger[predicate]).all() for predicate in PREDICATES)


def scene(count: int) -> list[np.ndarray]:
    """Boxes, frames, frames with a gap, and pairs of boxes, drawn at random, by area."""
    rng = np.random.default_rng(7)
    masks = []
    for number in range(count):
        x, y = rng.integers(0, SIDE - 8, 2).tolist()
        width, height = rng.integers(5, 12 if number % 2 else 36, 2).tolist()
        mask = filled((x, y, x + width, y + height))
        kind = rng.integers(4)
        if kind in (1, 2):
            mask &= ~filled((x + 2, y + 2, x + width - 2, y + height - 2))
        if kind == 2:
            mask &= ~filled((x, y + 2, x + 3, y + 4))
        if kind == 3:
            mask |= mask[::-1, ::-1]
        masks.append(mask)
    return sorted(masks, key=lambda mask: -int(mask.sum()))


def test_what_the_bundled_model_was_taught_stays_as_it_was() -> None:
    masks = scene(40)
    golden = json.loads((Path(__file__).parent / "golden" / "relations.json").read_text("utf-8"))
    told = relate([Mask.encode(mask) for mask in masks], centroids(*masks))
    assert [[[r.predicate, r.target] for r in relations] for relations in told] == golden["told"]
    found = table(*masks)
    assert {predicate: np.argwhere(found[predicate]).tolist() for predicate in PREDICATES} == golden["pairs"]


def test_inside_a_ring_with_a_gap_is_not_inside() -> None:
    ring = filled((10, 10, 90, 90)) & ~filled((20, 20, 80, 80)) & ~filled((10, 50, 20, 52))
    assert "inside" not in holding(table(ring, filled((45, 45, 55, 55))), 1, 0)


def test_a_ring_at_the_edge_of_the_picture_encloses_only_what_it_goes_around() -> None:
    open_at_edge = filled((0, 10, 60, 90)) & ~filled((0, 20, 50, 80))
    assert "inside" not in holding(table(open_at_edge, filled((10, 45, 20, 55))), 1, 0)


def test_a_ring_in_the_hole_of_a_ring_surrounds_in_turn() -> None:
    outer = filled((5, 5, 95, 95)) & ~filled((10, 10, 90, 90))
    middle = filled((30, 30, 70, 70)) & ~filled((35, 35, 65, 65))
    disc = filled((45, 45, 55, 55))
    found = table(outer, middle, disc)
    assert found["surrounding"].tolist() == [[False, True, True], [False, False, True], [False, False, False]]
    assert not found["overlapping"].any()


def test_masks_that_touch_are_next_to_each_other_and_do_not_overlap() -> None:
    found = table(filled((10, 10, 40, 40)), filled((40, 10, 60, 40)))
    assert holding(found, 0, 1) == {"left_of", "next_to"}
    assert holding(table(filled((10, 10, 40, 40)), filled((40, 40, 60, 60))), 0, 1) >= {"next_to"}


def test_overlap_begins_above_a_twentieth() -> None:
    strip = [filled((0, 0, 21, 10)), filled((19, 0, 40, 10))]  # 2 of 40 columns: exactly 0.05
    assert "overlapping" not in holding(table(*strip), 0, 1)
    strip[1] = filled((18, 0, 40, 10))
    assert "overlapping" in holding(table(*strip), 0, 1)
