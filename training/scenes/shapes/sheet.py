"""A contact sheet of the shapes, flatly painted: each kind at 200 pixels, and as varied in ten colors at about 60."""

import argparse

import numpy as np
from PIL import Image, ImageDraw

from training.scenes.shapes import HOLE, NEUTRALS, SHAPES
from training.scenes.vocabulary import COLORS

GROUND = (150, 170, 160)
SAMPLES = 4  # a side, for each pixel
MARGIN = 0.04  # of the side
COLUMNS = 4


def draw_shape(kind: str, color: str, seed: int, side: int) -> Image.Image:
    """A shape on a square of `side` pixels, in one of COLORS."""
    rng = np.random.default_rng(seed)
    fills = SHAPES[kind](lambda low, high: float(rng.uniform(low, high)))
    solid = np.concatenate([fill.polygon for fill in fills if fill.part != HOLE])
    middle, extent = (solid.min(axis=0) + solid.max(axis=0)) / 2, np.ptp(solid, axis=0).max()
    canvas = Image.new("RGB", (side * SAMPLES, side * SAMPLES), GROUND)
    draw = ImageDraw.Draw(canvas)
    tones = _tones(color)
    for fill in fills:
        corners = ((fill.polygon - middle) / extent * (1 - 2 * MARGIN) + 0.5) * side * SAMPLES
        draw.polygon(corners.ravel().tolist(), fill=GROUND if fill.part == HOLE else tones[fill.tone])
    return canvas.reduce(SAMPLES)


def _tones(color: str) -> dict[str, tuple[int, int, int]]:
    main = np.array(COLORS[color])
    dark, light = {"white": (0.76 * main, 0.88 * main), "black": (0.8 * main + 55, 0.65 * main + 90)}.get(
        color, (0.7 * main, 0.6 * main + 102)
    )
    ink = np.full(3, 30 if main @ (0.3, 0.59, 0.11) > 90 else 235)
    mixed = {"main": main, "dark": dark, "light": light, "ink": ink}
    return {name: (int(r), int(g), int(b)) for name, (r, g, b) in mixed.items()} | NEUTRALS


def contact_sheet(seed: int) -> Image.Image:
    """All kinds, in the order of the vocabulary."""
    sheet = Image.new("RGB", (COLUMNS * 500, -(-len(SHAPES) // COLUMNS) * 200), GROUND)
    for index, kind in enumerate(SHAPES):
        x, y = index % COLUMNS * 500, index // COLUMNS * 200
        colors = list(COLORS)
        sheet.paste(draw_shape(kind, colors[index % len(colors)], seed, 200), (x, y))
        for i, color in enumerate(colors):
            sheet.paste(draw_shape(kind, color, seed + 1 + i, 58), (x + 204 + i % 5 * 58, y + 40 + i // 5 * 60))
        ImageDraw.Draw(sheet).text((x + 208, y + 8), kind, fill=0, font_size=18)
    return sheet


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", default="shapes.png")
    options = parser.parse_args()
    contact_sheet(options.seed).save(options.output)
