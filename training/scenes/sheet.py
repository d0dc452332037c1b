"""A contact sheet to look at: each scene as rendered, and beside it with objects and parts outlined."""

import argparse

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from training.scenes.render import render_scene
from training.scenes.world import Mask, Scene

OBJECT, PART = (0, 255, 255), (255, 0, 255)  # outline colors that no object has


def contact_sheet(seed: int, count: int, width: int = 256, height: int = 256) -> Image.Image:
    """The scenes of `count` seeds from `seed` on, each of `width` x `height` pixels, three to a row."""
    columns = 3
    sheet = Image.new("RGB", (2 * columns * width, -(-count // columns) * height))
    for index in range(count):
        scene = render_scene(seed + index, width, height)
        x, y = index % columns * 2 * width, index // columns * height
        sheet.paste(Image.fromarray(scene.image), (x, y))
        sheet.paste(_annotated(scene), (x + width, y))
    return sheet


def _annotated(scene: Scene) -> Image.Image:
    pixels = scene.image.copy()
    for found in scene.objects:
        for part in found.parts:
            pixels[_rim(part.mask)] = PART
        pixels[_rim(found.mask)] = OBJECT
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    for found in scene.objects:
        rows, columns = np.nonzero(found.mask)
        label = found.semantic.removeprefix("a ").replace(" ", "\n")
        center = (float(columns.mean()), float(rows.mean()))
        draw.text(center, label, anchor="mm", align="center", stroke_width=1, stroke_fill=0, font_size=9)
    return picture


def _rim(mask: Mask) -> npt.NDArray[np.bool_]:
    """The pixels of a mask that have a 4-neighbor outside it."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("-o", "--output", default="sheet.png")
    options = parser.parse_args()
    contact_sheet(options.seed, options.count).save(options.output)
