"""Numbers stand apart, in the picture, on what they number or beside it with a line, and hide little."""

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.labels import Label, Region, place

SIZE = (400, 300)
PLATE = (24, 18)
boxes = st.tuples(st.integers(0, 390), st.integers(0, 290), st.integers(1, 200), st.integers(1, 200))


def rectangle(x: int, y: int, width: int, height: int) -> Region:
    return Region(x, y, np.ones((min(height, SIZE[1] - y), min(width, SIZE[0] - x)), dtype=bool))


def placed(*regions: Region, first: tuple[int, ...] = ()) -> list[Label]:
    keys = range(1, len(regions) + 1)
    labels = place(dict(zip(keys, regions, strict=True)), dict.fromkeys(keys, PLATE), first, SIZE)
    return [labels[key] for key in keys]


def apart(one: Label, other: Label) -> bool:
    return abs(one.x - other.x) > PLATE[0] or abs(one.y - other.y) > PLATE[1]


def on_plate(label: Label, region: Region) -> int:
    """Pixels of the region that the plate hides."""
    picture = np.zeros((SIZE[1], SIZE[0]), dtype=bool)
    picture[region.window] = region.inside
    half, rise = label.width // 2, label.height // 2
    return int(picture[label.y - rise : label.y + rise, label.x - half : label.x + half].sum())


@given(st.lists(boxes, min_size=1, max_size=40))
def test_no_two_numbers_overlap_and_all_lie_in_the_picture(found: list[tuple[int, int, int, int]]) -> None:
    labels = placed(*(rectangle(*box) for box in found))
    assert all(apart(one, other) for one, other in combinations(labels, 2))
    for label in labels:
        assert PLATE[0] // 2 <= label.x <= SIZE[0] - PLATE[0] // 2
        assert PLATE[1] // 2 <= label.y <= SIZE[1] - PLATE[1] // 2


def test_a_hundred_numbers_in_one_place_stand_apart() -> None:
    labels = placed(*[rectangle(200, 150, 3, 3)] * 100)
    assert all(apart(one, other) for one, other in combinations(labels, 2))


def test_the_number_of_a_large_object_stands_in_its_middle() -> None:
    [label] = placed(rectangle(50, 60, 200, 120))
    assert 100 < label.x < 200
    assert 90 < label.y < 150
    assert label.points_at is None


def test_the_number_of_a_ring_stands_on_the_ring() -> None:
    y, x = np.indices((200, 200)) - 100
    ring = Region(80, 40, (np.hypot(x, y) < 100) & (np.hypot(x, y) > 60))
    [label] = placed(ring)
    assert ring.holds(np.array([label.x]), np.array([label.y])).all()


def test_a_tiny_object_is_not_hidden_and_a_line_leads_to_it() -> None:
    tiny = rectangle(200, 150, 4, 4)
    [label] = placed(tiny)
    assert on_plate(label, tiny) == 0
    assert label.points_at is not None
    assert 200 <= label.points_at[0] < 204
    assert 150 <= label.points_at[1] < 154
    assert np.hypot(label.x - 202, label.y - 152) < 3 * PLATE[1]


def test_the_number_of_a_large_object_leaves_the_small_one_in_its_middle_free() -> None:
    large, small = rectangle(100, 50, 200, 200), rectangle(195, 145, 10, 10)
    for label in placed(large, small):
        assert on_plate(label, small) == 0


def test_the_answer_chooses_its_place_first() -> None:
    same = rectangle(150, 100, 60, 60)
    assert placed(same, same, first=(1,)) == placed(same, same, first=(2,))[::-1]


def test_a_picture_smaller_than_a_plate_has_its_number_all_the_same() -> None:
    labels = place({1: Region(0, 0, np.ones((2, 3), dtype=bool))}, {1: PLATE}, (), (3, 2))
    assert set(labels) == {1}
