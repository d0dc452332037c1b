"""Set-of-mark: the whole image with its masks outlined and numbered, some of them brought out among the others.

Pictures are [H, W, 3] uint8 RGB; masks are bool in the same frame, pixels, x right and y down, and may have a higher
resolution than the picture that is drawn.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from dtwinseger.prompts.views import OUTLINE, OUTLINE_SHARE, MaskArray, Picture, resized, rim, scaled

THIN_SHARE = 1 / 400  # of the side: the outlines of the others
FONT_SHARE = 1 / 30  # of the side
FONT = 11  # pixels, below which figures cannot be read
ROOM = 4  # a number stands inside a mask that has so many times its plate's area
# Hues that differ from magenta and from each other, so that a number goes with its outline.
COLORS = ((0, 200, 255), (255, 190, 0), (60, 220, 60), (255, 110, 60), (140, 150, 255), (0, 210, 170))


@dataclass(frozen=True)
class Marked:
    """A picture with masks outlined thinly, and where each one's number stands: the center (x, y) of its plate."""

    picture: Picture
    centers: Mapping[int, tuple[int, int]]


def mark_all(image: Picture, masks: Iterable[tuple[int, MaskArray]], side: int) -> Marked:
    """`image` at `side` pixels with all `masks` (index, mask) outlined thinly, and places for their numbers.

    masks: smallest first, each taken once. A number stands where its mask is widest: outside the smaller masks in it
    where there is room, else outside their numbers, else beside the mask. Raises ValueError for an empty mask.
    """
    picture = scaled(image, side)
    pixels = np.array(picture)
    size = pixels.shape[1], pixels.shape[0]
    taken, plates, drawn = np.zeros((3, *pixels.shape[:2]), dtype=np.bool_)
    centers: dict[int, tuple[int, int]] = {}
    for index, mask in masks:
        inside = resized(mask, size)
        width, height = _plate(index, side)
        x, y = centers[index] = _center(inside, (inside & ~taken, inside & ~plates), (width, height))
        outline = rim(inside, max(1, round(side * THIN_SHARE)))
        pixels[outline & ~drawn] = _color(index)  # a smaller mask is not crossed by a larger one
        taken |= inside
        plates[max(0, y - height) : y + height, max(0, x - width) : x + width] = True
        drawn |= outline
    return Marked(pixels, dict(reversed(centers.items())))


def bring_out(marked: Marked, masks: Sequence[tuple[int, MaskArray]]) -> Picture:
    """The picture of `marked` with all its numbers, and `masks`, some of its own, outlined and numbered in magenta."""
    pixels = marked.picture.copy()
    side = max(pixels.shape[:2])
    for _, mask in masks:
        pixels[rim(resized(mask, (pixels.shape[1], pixels.shape[0])), round(side * OUTLINE_SHARE))] = OUTLINE
    return _numbered(pixels, marked.centers, [index for index, _ in masks], side)


def _center(inside: MaskArray, roomy: Sequence[MaskArray], plate: tuple[int, int]) -> tuple[int, int]:
    """Where a plate of that (width, height) stands: its center (x, y). roomy: parts of the mask, the best first."""
    width, height = plate
    rows, columns = inside.shape
    for part in roomy:
        if part.sum() >= ROOM * width * height:
            # A frame of a pixel, so that the picture's edge is an edge of the mask too.
            depth = ndimage.distance_transform_cdt(np.pad(part, 1))[1:-1, 1:-1]
            y, x = np.unravel_index(int(depth.argmax()), depth.shape)
            break
    else:
        across, down = np.flatnonzero(inside.any(axis=0)), np.flatnonzero(inside.any(axis=1))
        x = (across[0] + across[-1]) // 2
        above, below = down[0] - height // 2 - 3, down[-1] + height // 2 + 3
        y = above if above >= height // 2 else below
    return (
        int(np.clip(x, width // 2, max(width // 2, columns - 1 - width // 2))),
        int(np.clip(y, height // 2, max(height // 2, rows - 1 - height // 2))),
    )


def _plate(index: int, side: int) -> tuple[int, int]:
    """Width and height of the plate of a number, in pixels."""
    font = _font(side)
    return round(0.6 * font * len(str(index))) + 6, font + 2


def _numbered(pixels: Picture, centers: Mapping[int, tuple[int, int]], chosen: Sequence[int], side: int) -> Picture:
    """`pixels` with each number on its plate: in black on the mask's color; last the chosen, in white on magenta."""
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    others = [index for index in centers if index not in chosen]
    for index in [*others, *chosen]:
        (x, y), (width, height) = centers[index], _plate(index, side)
        box = (x - width // 2, y - height // 2, x + width // 2, y + height // 2)
        plate, figures = (_color(index), "black") if index in others else (OUTLINE, "white")
        draw.rectangle(box, fill=plate, outline=figures)
        draw.text((x, y), str(index), fill=figures, font_size=_font(side), anchor="mm")
    return np.asarray(picture)


def _font(side: int) -> int:
    return max(FONT, round(side * FONT_SHARE))


def _color(index: int) -> tuple[int, int, int]:
    return COLORS[index % len(COLORS)]
