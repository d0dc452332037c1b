"""The two pictures of a mask, on small images with known pixels."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from dtwinseger.prompts import views

GREEN, MAGENTA = (20, 160, 40), list(views.OUTLINE)


def green(height: int, width: int) -> views.Picture:
    return np.full((height, width, 3), GREEN, dtype=np.uint8)


def box(height: int, width: int, top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros((height, width), dtype=np.bool_)
    mask[top:bottom, left:right] = True
    return mask


def outlined(picture: views.Picture) -> np.ndarray:
    return (picture == MAGENTA).all(axis=2)


def test_the_whole_image_keeps_its_aspect_at_the_side_that_is_asked_for() -> None:
    mask = box(40, 80, 10, 10, 20, 20)
    assert views.marked(green(40, 80), mask, 1, 160).shape == (80, 160, 3)
    assert views.marked(green(40, 80), mask, 1, 40).shape == (20, 40, 3)
    assert views.marked(green(80, 40), mask.T, 1, 160).shape == (160, 80, 3)


def test_an_image_that_has_the_side_is_not_touched() -> None:
    image = green(30, 64)
    assert views.scaled(image, 64) is image


def test_the_outline_runs_around_the_mask_and_hides_nothing_of_it() -> None:
    mask = box(256, 256, 120, 24, 180, 84)
    ring = outlined(views.marked(green(256, 256), mask, 1, 256))
    wide = box(256, 256, 118, 22, 182, 86)
    below = np.s_[121:, :]  # the number stands above
    assert (ring[below] == (wide & ~mask)[below]).all()


def test_the_outline_grows_with_the_picture() -> None:
    mask = box(64, 64, 20, 20, 44, 44)
    column = outlined(views.marked(green(64, 64), mask, 1, 960))[480]
    assert np.flatnonzero(np.diff(column.astype(int))).tolist() == [293, 299, 659, 665]


def test_a_mask_at_the_edge_of_the_image_is_outlined_there_too() -> None:
    ring = outlined(views.marked(green(256, 256), box(256, 256, 0, 0, 120, 256), 1, 256))
    assert ring[:122, :2].all()
    assert ring[:2, 40:].all()
    assert ring[120:122].all()
    assert not ring[122:].any()
    assert not ring[20:120, 2:254].any()


@pytest.mark.parametrize("thickness", [1, 2, 5])
def test_the_outline_is_as_thick_in_each_direction(thickness: int) -> None:
    mask = np.random.default_rng(0).random((60, 80)) > 0.995
    mask[:thickness] = mask[-thickness:] = mask[:, :thickness] = mask[:, -thickness:] = False
    grown = ndimage.maximum_filter(mask, 2 * thickness + 1)
    assert (views.rim(mask, thickness) == (grown & ~mask)).all()


def test_in_a_small_picture_the_mask_is_filled_and_the_rest_darkened() -> None:
    mask = box(64, 64, 20, 24, 40, 44)
    picture = views.marked(green(64, 64), mask, 1, 64)
    assert (outlined(picture) == mask).all()
    assert (picture[~mask] == [int(v * np.float32(views.KEPT)) for v in GREEN]).all()


def test_a_mask_smaller_than_a_pixel_of_the_picture_is_still_seen() -> None:
    assert outlined(views.marked(green(640, 640), box(640, 640, 300, 300, 303, 303), 1, 64)).sum() == 1


def test_a_mask_may_be_finer_than_an_image_that_was_scaled_before() -> None:
    image, mask = green(256, 128), box(256, 128, 64, 32, 128, 96)
    once = views.scaled(image, 64)
    assert (views.marked(once, mask, 1, 64) == views.marked(image, mask, 1, 64)).all()


def test_the_number_is_drawn_only_where_it_is_legible() -> None:
    mask = box(64, 64, 30, 30, 40, 40)
    small = [views.marked(green(64, 64), mask, index, 255) for index in (1, 2)]
    large = [views.marked(green(64, 64), mask, index, 256) for index in (1, 2)]
    assert (small[0] == small[1]).all()
    assert (large[0] != large[1]).any()
    assert (large[0] > 200).all(axis=2).any()  # white figures


@pytest.mark.parametrize("corner", [(0, 0), (0, 54), (54, 0), (54, 54)])
def test_the_number_stays_inside_the_picture(corner: tuple[int, int]) -> None:
    top, left = corner
    picture = views.marked(green(64, 64), box(64, 64, top, left, top + 10, left + 10), 100, 512)
    assert (picture > 200).all(axis=2).sum() > 50


def test_the_crop_is_a_square_around_the_mask_with_a_margin() -> None:
    mask = box(100, 100, 40, 30, 60, 50)  # 20 x 20, with the margin 26 x 26
    picture = views.crop(green(100, 100), mask, 26)
    assert picture.shape == (26, 26, 3)
    kept = (picture == GREEN).all(axis=2)
    assert (kept == box(26, 26, 3, 3, 23, 23)).all()


def test_what_surrounds_the_mask_is_dimmed_toward_gray() -> None:
    picture = views.crop(green(100, 100), box(100, 100, 40, 30, 60, 50), 26)
    dimmed = [int(v * views.KEPT + views.GRAY * (1 - views.KEPT)) for v in GREEN]
    assert picture[0, 0].tolist() == dimmed


@pytest.mark.parametrize(("surroundings", "color"), [("plain", GREEN), ("cut", (views.GRAY,) * 3)])
def test_what_surrounds_the_mask_is_left_or_cut_away(surroundings: views.Surroundings, color: object) -> None:
    image = green(100, 100)
    image[40:60, 30:50] = 250  # the object
    picture = views.crop(image, box(100, 100, 40, 30, 60, 50), 26, surroundings)
    inside = box(26, 26, 3, 3, 23, 23)
    assert (picture[inside] == 250).all()
    assert (picture[~inside] == color).all()


def test_a_huge_crop_is_the_same_picture_as_that_of_a_smaller_image() -> None:
    y, x = np.mgrid[:600, :800]
    small = np.stack([x // 4, y // 3, (x + y) // 8], axis=2).astype(np.uint8)
    mask = box(600, 800, 50, 100, 550, 700)
    large = small.repeat(8, axis=0).repeat(8, axis=1)
    wide = mask.repeat(8, axis=0).repeat(8, axis=1)
    apart = np.abs(views.crop(large, wide, 256).astype(int) - views.crop(small, mask, 256))
    assert apart.mean() < 1
    assert (apart > 30).mean() < 0.01  # along the outline


def test_a_crop_beyond_the_image_is_padded_with_gray() -> None:
    picture = views.crop(green(40, 40), box(40, 40, 0, 0, 20, 20), 26)
    assert (picture[:3] == views.GRAY).all()
    assert (picture[:, :3] == views.GRAY).all()
    assert (picture[3:23, 3:23] == GREEN).all()


def test_a_tall_thin_mask_is_cropped_whole() -> None:
    picture = views.crop(green(100, 100), box(100, 100, 5, 48, 95, 54), 234)  # 117 x 117, twice as large
    kept = (picture == GREEN).all(axis=2)
    assert kept.any(axis=1).sum() == pytest.approx(180, abs=8)


def test_the_image_and_the_mask_are_left_as_they_are() -> None:
    image, mask = green(64, 64), box(64, 64, 0, 0, 10, 10)
    views.marked(image, mask, 1, 64)
    views.crop(image, mask, 64)
    assert (image == GREEN).all()
    assert mask.sum() == 100


@pytest.mark.parametrize("view", [lambda i, m: views.marked(i, m, 1, 64), lambda i, m: views.crop(i, m, 64)])
def test_an_empty_mask_is_refused(view: object) -> None:
    with pytest.raises(ValueError, match="empty"):
        view(green(8, 8), np.zeros((8, 8), dtype=np.bool_))  # type: ignore[operator]


def test_a_picture_survives_png() -> None:
    picture = views.marked(green(64, 64), box(64, 64, 20, 24, 40, 44), 1, 64)
    assert (np.asarray(Image.open(io.BytesIO(views.png(picture)))) == picture).all()


def test_a_photograph_is_sent_as_a_jpeg_and_a_drawing_as_a_png() -> None:
    noise = np.random.default_rng(0).normal(128, 30, (300, 400, 3)).clip(0, 255).astype(np.uint8)
    assert views.encoded(noise).startswith(b"\xff\xd8")
    assert views.encoded(green(300, 400)).startswith(b"\x89PNG")


def test_a_drawing_whose_png_would_be_the_longer_file_is_sent_as_a_jpeg() -> None:
    picture = np.random.default_rng(0).normal(128, 30, (600, 800, 3)).clip(0, 255).astype(np.uint8)
    picture[::4, ::4] = GREEN  # the pixels by which a photograph is told
    assert len(views.png(picture)) > 2 * len(views.encoded(picture))
    assert views.encoded(picture).startswith(b"\xff\xd8")


def test_a_small_picture_is_sent_as_a_png_whatever_it_shows() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (255, 200, 3), dtype=np.uint8)
    assert (np.asarray(Image.open(io.BytesIO(views.encoded(noise)))) == noise).all()


def test_an_outline_keeps_its_hue_in_a_jpeg() -> None:
    noise = np.random.default_rng(0).normal(128, 30, (512, 512, 3)).clip(0, 255).astype(np.uint8)
    picture = views.marked(noise, box(512, 512, 100, 100, 400, 400), 1, 512)
    seen = np.asarray(Image.open(io.BytesIO(views.encoded(picture)))).astype(int)
    assert np.abs(seen[outlined(picture)] - MAGENTA).mean() < 20
