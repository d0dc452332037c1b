"""A contact sheet to look at: each scene as rendered, then with its objects, its parts and its groups drawn over.

`python -m training.scenes.sheet OUT.png`
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from training.scenes.render import render_scene
from training.scenes.world import Mask, Scene

GAP = 8  # pixels between scenes
GOLDEN = 0.618  # steps through the color circle that keep neighbors apart
NAMED = 0.009  # share of the image that a mask covers at least if its name is written on it


def contact_sheet(seeds: Sequence[int], side: int, columns: int) -> Image.Image:
    """The scenes of the seeds, `side` x `side` pixels a panel, four panels a scene, `columns` scenes a row."""
    rows = -(-len(seeds) // columns)
    sheet = Image.new("RGB", (columns * (4 * side + GAP) - GAP, rows * (side + GAP) - GAP), "white")
    for index, seed in enumerate(seeds):
        scene = render_scene(seed, side, side)
        x, y = index % columns * (4 * side + GAP), index // columns * (side + GAP)
        for k, panel in enumerate(_panels(scene)):
            sheet.paste(panel, (x + k * side, y))
    return sheet


def _panels(scene: Scene) -> list[Image.Image]:
    objects = [(found.mask, found.semantic.removeprefix("a ")) for found in scene.objects]
    parts = [(part.mask, part.name) for found in scene.objects for part in found.parts]
    groups = [(group.mask, group.name) for group in scene.groups]
    return [Image.fromarray(scene.image), *(drawn(scene, each) for each in (objects, parts, groups))]


def drawn(scene: Scene, masks: Sequence[tuple[Mask, str]]) -> Image.Image:
    """The faded scene under the masks, each in its own color, and with its name where that has room."""
    pixels = scene.image * 0.45 + 115
    for index, (mask, _) in enumerate(masks):
        color = np.array(_color(index), np.float64)
        pixels[mask] = 0.45 * scene.image[mask] + 0.55 * color
        pixels[_rim(mask)] = 0.6 * color
    picture = Image.fromarray(pixels.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=max(8, picture.width // 32))
    for mask, name in masks:
        if mask.mean() < NAMED:
            continue
        rows, columns = np.nonzero(mask)
        center = (float(columns.mean()), float(rows.mean()))
        text = name.replace(" ", "\n") if len(name) > 12 else name
        draw.text(center, text, "white", font, "mm", 0, "center", stroke_width=1, stroke_fill=0)
    return picture


def _color(index: int) -> tuple[int, ...]:
    return ImageColor.getrgb(f"hsl({round(360 * GOLDEN * index) % 360}, 90%, 55%)")


def _rim(mask: Mask) -> Mask:
    """The pixels of a mask that have a 4-neighbor outside it."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m training.scenes.sheet", description=__doc__)
    parser.add_argument("output", type=Path, help="the picture's file; its ending says the format")
    parser.add_argument("--seed", type=int, default=0, help="of the first scene")
    parser.add_argument("--count", type=int, default=12, help="scenes")
    parser.add_argument("--side", type=int, default=320, help="pixels of a panel, at least 256")
    parser.add_argument("--columns", type=int, default=2, help="scenes a row")
    asked = parser.parse_args()
    contact_sheet(range(asked.seed, asked.seed + asked.count), asked.side, asked.columns).save(asked.output)
