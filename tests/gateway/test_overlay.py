"""The overlay: every object outlined on any ground, the answer filled, at any size of the image."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from dtwinseger.twin import Mask
from gateway.overlay import ANSWER, COLORS, DARK, MAX_SIDE, MIN_SIDE, overlay_png, scaled
from gateway.result import encode_image
from tests.dtwinseger.twin.twins import twin_of

masks = arrays(np.bool_, st.tuples(st.integers(1, 30), st.integers(1, 30)))


def drawn(found: list[np.ndarray], answer: tuple[int, ...] = (), ground: int = 128) -> np.ndarray:
    """[H, W, 3] the overlay over an image of one gray."""
    image = np.full((*found[0].shape, 3), ground, dtype=np.uint8)
    with Image.open(BytesIO(overlay_png(twin_of(found, answer=answer), encode_image(image)))) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def box(size: tuple[int, int], x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
    mask = np.zeros(size, dtype=bool)
    mask[y1:y2, x1:x2] = True
    return mask


def places(picture: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    return (picture == color).all(axis=2)


@pytest.mark.parametrize("size", [(1, 1), (48, 48), (56, 64), (480, 640), (30, 2000), (2000, 3), (2500, 4000)])
def test_every_image_has_a_picture_of_a_size_to_look_at(size: tuple[int, int]) -> None:
    whole = np.ones(size, dtype=bool)
    picture = drawn([whole], answer=(1,))
    longest = max(picture.shape)
    assert MIN_SIDE <= longest <= MAX_SIDE
    assert longest == max(size) or not MIN_SIDE <= max(size) <= MAX_SIDE
    assert places(picture, ANSWER).any()


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_an_outline_runs_between_dark_lines_on_any_ground(ground: int) -> None:
    picture = drawn([box((480, 640), 100, 100, 300, 250)], ground=ground)
    row = picture[130]  # away from the number
    assert tuple(row[100]) == tuple(row[101]) == COLORS[1]
    assert tuple(row[99]) == tuple(row[102]) == DARK
    assert abs(int(row[110][0]) - ground) < 3, "an object that does not answer is not filled"


def test_touching_objects_are_told_apart_by_a_dark_line_between_two_colors() -> None:
    picture = drawn([box((480, 640), 100, 100, 300, 250), box((480, 640), 300, 100, 480, 250)])
    colors = [tuple(pixel) for pixel in picture[130, 297:303]]
    assert {COLORS[1], DARK, COLORS[2]} <= set(colors)


def test_the_answer_is_filled_but_for_its_hole() -> None:
    ring = box((480, 640), 100, 100, 400, 400) & ~box((480, 640), 200, 200, 300, 300)
    picture = drawn([ring], answer=(1,)).astype(int)
    assert picture[150, 350, 0] - picture[150, 350, 1] > 30
    assert np.ptp(picture[250, 250]) < 6


def test_a_tiny_object_in_a_large_image_is_still_seen() -> None:
    picture = drawn([box((2500, 4000), 1000, 1000, 3000, 2000), box((2500, 4000), 500, 300, 501, 301)])
    assert places(picture, COLORS[2])[100:140, 180:220].any()


def test_a_hundred_objects_each_have_their_color_in_the_picture() -> None:
    found = [box((200, 200), x, y, x + 14, y + 14) for y in range(2, 200, 20) for x in range(2, 200, 20)]
    picture = drawn(found)
    assert picture.shape[0] >= 600, "a small image is scaled up for so many numbers"
    side = picture.shape[0] / 200
    for index, mask in enumerate(found, start=1):
        rows, columns = np.nonzero(mask)
        top, left = int(rows.min() * side), int(columns.min() * side)
        part = picture[top : top + int(14 * side), left : left + int(14 * side)]
        assert places(part, COLORS[index % len(COLORS)]).any()


def test_a_twin_without_objects_is_the_image() -> None:
    empty = twin_of([np.ones((480, 640), dtype=bool)]).model_copy(update={"objects": ()})
    image = np.full((480, 640, 3), 77, dtype=np.uint8)
    with Image.open(BytesIO(overlay_png(empty, encode_image(image)))) as picture:
        assert np.abs(np.asarray(picture).astype(int) - 77).max() < 3


@given(masks, st.integers(1, 30), st.integers(1, 30))
def test_a_mask_made_smaller_is_set_wherever_a_pixel_of_it_falls(mask: np.ndarray, width: int, height: int) -> None:
    size = min(width, mask.shape[1]), min(height, mask.shape[0])
    expected = np.zeros((size[1], size[0]), dtype=bool)
    rows, columns = np.nonzero(mask)
    down, across = size[1] / mask.shape[0], size[0] / mask.shape[1]
    expected[(rows * down).astype(int), (columns * across).astype(int)] = True
    assert (whole(mask, size) == expected).all()


@given(masks, st.integers(0, 40), st.integers(0, 40))
def test_a_mask_made_larger_is_the_nearest_pixel(mask: np.ndarray, more: int, higher: int) -> None:
    size = mask.shape[1] + more, mask.shape[0] + higher
    rows = [(2 * row + 1) * mask.shape[0] // (2 * size[1]) for row in range(size[1])]
    columns = [(2 * column + 1) * mask.shape[1] // (2 * size[0]) for column in range(size[0])]
    expected = mask[np.ix_(rows, columns)]
    assert (whole(mask, size) == expected).all()


def whole(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """[H, W] the scaled mask in its picture."""
    picture = np.zeros((size[1], size[0]), dtype=bool)
    region = scaled(Mask.encode(mask), size)
    if region is not None:
        picture[region.window] = region.inside
    return picture
