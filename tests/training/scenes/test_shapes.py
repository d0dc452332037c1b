"""The shapes of all kinds, flatly rasterized: parts, bounds, and what lies in or on them."""

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

from training.scenes.shapes import CONTENTS_BEFORE, HOLE, NEUTRALS, OPENINGS, SHAPES, TONES, TOPS, Fill
from training.scenes.shapes.sheet import draw_shape
from training.scenes.vocabulary import COLORS, KINDS

SIDE, UNIT = 130, 50  # pixels, of the raster and of a unit

# Kinds that rest on a level ground.
LEVEL = (
    *("mug", "bottle", "bowl", "plate", "teapot", "goblet", "pan", "mushroom", "chair", "table", "sofa", "bed", "lamp"),
    *("vase", "basket", "box", "candle", "clock", "book", "shoe", "backpack", "car", "truck", "bicycle", "boat", "cat"),
    *("tree", "cactus", "house"),
)


def _draw(kind: str, seed: int) -> list[Fill]:
    rng = np.random.default_rng(seed)
    return SHAPES[kind](lambda low, high: float(rng.uniform(low, high)))


def _raster(fills: list[Fill], parts: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    """[SIDE, SIDE], 1 + index into parts, 0 where there is nothing."""
    canvas = Image.new("L", (SIDE, SIDE))
    draw = ImageDraw.Draw(canvas)
    for fill in fills:
        value = 0 if fill.part == HOLE else 1 + parts.index(fill.part)
        draw.polygon((fill.polygon * UNIT + SIDE / 2).ravel().tolist(), fill=value)
    return np.asarray(canvas)


def test_every_kind_has_a_shape_and_no_other_has() -> None:
    assert list(SHAPES) == list(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_is_large_enough_to_be_found_in_all_variations(kind: str) -> None:
    parts = KINDS[kind].parts
    for seed in range(5):
        counts = np.bincount(_raster(_draw(kind, seed), parts).ravel(), minlength=1 + len(parts))[1:]
        assert (counts / counts.sum()).min() >= 0.03, dict(zip(parts, counts, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_a_shape_keeps_to_the_tones_and_to_its_box(kind: str) -> None:
    for seed in range(5):
        solid = [fill for fill in _draw(kind, seed) if fill.part != HOLE]
        assert {fill.tone for fill in solid} <= {*TONES, *NEUTRALS}
        assert "main" in {fill.tone for fill in solid}
        points = np.concatenate([fill.polygon for fill in solid])
        assert np.abs(points).max() < SIDE / 2 / UNIT
        assert 1.6 <= np.ptp(points, axis=0).max() <= 2.45


def test_a_seed_draws_the_same_shape_and_another_seed_another() -> None:
    for kind in KINDS:
        first, again, other = (np.concatenate([f.polygon for f in _draw(kind, seed)]) for seed in (1, 1, 2))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other), kind


def test_what_rests_on_the_ground_does_so_on_both_sides_of_its_middle() -> None:
    for kind in LEVEL:
        filled = _raster(_draw(kind, 0), KINDS[kind].parts) > 0
        lowest = np.flatnonzero(filled.any(axis=1))[-1]
        feet, body = (np.flatnonzero(rows.any(axis=0)) for rows in (filled[lowest - 2 : lowest + 1], filled))
        assert np.ptp(feet) >= 0.2 * np.ptp(body), kind
        assert feet[0] < body.mean() < feet[-1], kind


def test_contents_are_painted_over_the_back_of_their_container_and_end_within_it() -> None:
    assert OPENINGS.keys() == CONTENTS_BEFORE.keys()
    for kind, (left, top, right, bottom) in OPENINGS.items():
        for seed in range(5):
            fills = _draw(kind, seed)
            assert 0 < CONTENTS_BEFORE[kind] <= len(fills)
            raster = _raster(fills, KINDS[kind].parts)
            columns, rows = (np.rint(np.array(s) * UNIT + SIDE / 2).astype(int) for s in ((left, right), (top, bottom)))
            assert raster[rows[0] : rows[1] + 1, columns[0] : columns[1] + 1].all(), kind


def test_what_stands_on_a_thing_touches_it_all_along_its_top() -> None:
    for kind, (left, y, right) in TOPS.items():
        for seed in range(5):
            raster = _raster(_draw(kind, seed), KINDS[kind].parts)
            columns, row = np.rint(np.array((left, right)) * UNIT + SIDE / 2).astype(int), round(y * UNIT + SIDE / 2)
            assert raster[row + 1, columns[0] : columns[1] + 1].all(), kind


def test_the_sheet_shows_a_shape_in_its_color() -> None:
    pixels = np.asarray(draw_shape("ball", "red", 0, 60))
    assert pixels.shape == (60, 60, 3)
    assert (pixels == COLORS["red"]).all(axis=2).mean() > 0.4
