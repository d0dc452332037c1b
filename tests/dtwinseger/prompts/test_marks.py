"""Set-of-mark, on small images with known pixels."""

import numpy as np
import pytest

from dtwinseger.prompts import marks, views

MAGENTA = list(views.OUTLINE)
GRAY_IMAGE = np.full((256, 320, 3), 90, dtype=np.uint8)


def box(top: int, left: int, bottom: int, right: int, height: int = 256, width: int = 320) -> np.ndarray:
    mask = np.zeros((height, width), dtype=np.bool_)
    mask[top:bottom, left:right] = True
    return mask


BIG, INNER, APART = box(20, 20, 200, 180), box(60, 60, 130, 130), box(100, 220, 180, 300)


def magenta(picture: views.Picture) -> np.ndarray:
    return (picture == MAGENTA).all(axis=2)


def drawn(picture: views.Picture) -> np.ndarray:
    return (picture != 90).any(axis=2)


def test_one_mask_is_magenta_and_the_others_are_thin_in_other_colors() -> None:
    marked = marks.mark_all(GRAY_IMAGE, [(3, INNER), (2, APART), (1, BIG)], 320)
    picture = marks.bring_out(marked, [(2, APART)])
    around = magenta(picture)
    assert around[97:103, 260].sum() == 2
    assert not around[:, :200].any()
    assert drawn(picture)[110, 15:25].sum() == 1  # the largest one's left edge, a pixel wide


def test_each_number_stands_inside_its_own_mask() -> None:
    marked = marks.mark_all(GRAY_IMAGE, [(3, INNER), (2, APART), (1, BIG)], 320)
    for index, mask in ((2, APART), (3, INNER), (1, BIG & ~INNER)):
        x, y = marked.centers[index]
        assert mask[y, x]


def test_the_numbers_of_two_masks_that_are_nearly_one_stand_apart() -> None:
    almost = BIG.copy()
    almost[20] = False
    marked = marks.mark_all(GRAY_IMAGE, [(2, almost), (1, BIG)], 320)
    (x, y), (other_x, other_y) = marked.centers[1], marked.centers[2]
    assert BIG[y, x]
    assert max(abs(x - other_x), abs(y - other_y)) > 12


@pytest.mark.parametrize("place", [(4, 4), (4, 300), (240, 4), (240, 300), (120, 160)])
def test_a_number_that_finds_no_room_in_its_mask_stands_beside_it_inside_the_picture(place: tuple[int, int]) -> None:
    top, left = place
    mask = box(top, left, top + 6, left + 6)
    picture = marks.bring_out(marks.mark_all(GRAY_IMAGE, [(7, mask)], 320), [(7, mask)])
    assert not drawn(picture)[mask].any()
    assert (picture == 255).all(axis=2).sum() > 10  # white figures


def test_no_outline_hides_what_is_inside() -> None:
    masks = [(3, INNER), (2, APART), (1, BIG)]
    marked = marks.mark_all(GRAY_IMAGE, masks, 320)
    assert not drawn(marked.picture)[INNER | APART].any()


def test_no_number_is_hidden_by_an_outline() -> None:
    narrow = box(0, 150, 256, 156)  # its outline crosses the number of the mask below
    below = box(100, 140, 104, 166)
    picture = marks.bring_out(marks.mark_all(GRAY_IMAGE, [(2, below), (1, narrow)], 320), [(1, narrow)])
    alone = marks.bring_out(marks.mark_all(GRAY_IMAGE, [(2, below)], 320), [])
    x, y = marks.mark_all(GRAY_IMAGE, [(2, below)], 320).centers[2]
    assert (picture[y - 6 : y + 7, x - 5 : x + 6] == alone[y - 6 : y + 7, x - 5 : x + 6]).all()


def test_several_masks_can_be_brought_out_at_once() -> None:
    picture = marks.bring_out(
        marks.mark_all(GRAY_IMAGE, [(3, INNER), (2, APART), (1, BIG)], 320), [(2, APART), (3, INNER)]
    )
    around = magenta(picture)
    assert around[57:63, 95].sum() == around[97:103, 260].sum() == 2
    assert not around[17:23, 100].any()


def test_bringing_out_leaves_what_was_prepared_as_it_is() -> None:
    marked = marks.mark_all(GRAY_IMAGE, [(1, BIG)], 320)
    before = marked.picture.copy()
    marks.bring_out(marked, [(1, BIG)])
    assert (marked.picture == before).all()


def test_masks_of_the_whole_image_are_drawn_in_its_scaled_picture() -> None:
    fine = BIG.repeat(4, axis=0).repeat(4, axis=1)
    coarse = marks.mark_all(GRAY_IMAGE, [(1, BIG)], 320)
    scaled = marks.mark_all(np.full((1024, 1280, 3), 90, dtype=np.uint8), [(1, fine)], 320)
    assert (coarse.picture == scaled.picture).all()
    assert coarse.centers == scaled.centers


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        marks.mark_all(GRAY_IMAGE, [(1, np.zeros((256, 320), dtype=np.bool_))], 320)
