"""The picture of a twin: every object outlined and numbered in a color of its own, the answer filled."""

from io import BytesIO
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dtwinseger.twin import DigitalTwin, Mask
from dtwinseger.twin.mask import segments
from gateway.labels import Label, Region, place

ANSWER = (255, 45, 120)
# Bright, and unlike the answer's; neighbors in the list, which are of like size, are unlike each other.
COLORS = ((0, 205, 255), (255, 205, 0), (80, 230, 70), (255, 135, 50), (150, 160, 255), (0, 225, 180), (225, 150, 255))
DARK, WHITE = (16, 16, 20), (255, 255, 255)
FILL = 0.4  # share of the answer's color inside an answering object
MAX_SIDE = 1600  # pixels; a larger image is shown scaled down
MIN_SIDE = 480  # pixels; a smaller one is scaled up, for legible numbers
ROOM = 3600  # pixels for each object that a small image is scaled up to
FONT, SMALLEST_FONT = 15, 11  # pixels; with many objects, and below which figures cannot be read
PLATES = 0.1  # share of the picture that the numbers may cover, or they are drawn smaller

Pixels = NDArray[np.uint8]
Color = tuple[int, int, int]


def overlay_png(twin: DigitalTwin, jpeg: bytes) -> bytes:
    """Outlines and numbers over the image, as PNG; between MIN_SIDE and MAX_SIDE pixels on its longest side."""
    size = _size(twin)
    with Image.open(BytesIO(jpeg)) as image:
        image.draft("RGB", size)  # decodes a much larger JPEG at a fraction of its size
        pixels = np.asarray(image.convert("RGB").resize(size, Image.Resampling.LANCZOS)).copy()
    regions = {item.index: region for item in twin.objects if (region := scaled(item.mask, size)) is not None}
    chosen = [index for index in twin.answer.indices if index in regions]
    for index in chosen:
        part = pixels[regions[index].window]
        inside = regions[index].inside
        part[inside] = (part[inside] * (1 - FILL) + np.array(ANSWER) * FILL).astype(np.uint8)
    width = max(2, round(max(size) / 400))
    # Smaller objects over larger ones, and the answer over all.
    for index in sorted(regions, key=lambda index: index in chosen):
        _outline(pixels, regions[index], _color(index, chosen), width)
    picture = Image.fromarray(pixels)
    font = _font(len(regions), size)
    labels = place(regions, {index: _plate(index, font) for index in regions}, chosen, size)
    _number(picture, labels, chosen, font)
    out = BytesIO()
    picture.save(out, "PNG", compress_level=1)
    return out.getvalue()


def scaled(mask: Mask, size: tuple[int, int]) -> Region | None:
    """`mask` in a picture of `size` (width, height); None where it is empty. However small, it does not vanish."""
    x, top, bottom = segments(mask)
    if not len(x):
        return None
    height, width = mask.size
    across, down = min(1.0, size[0] / width), min(1.0, size[1] / height)
    column = (x * across).astype(np.int64)
    first, last = (top * down).astype(np.int64), ((bottom - 1) * down).astype(np.int64)
    left, above = int(column[0]), int(first.min())
    shape = (int(last.max()) + 2 - above, int(column[-1]) + 1 - left)
    edges = np.bincount((first - above) * shape[1] + column - left, minlength=shape[0] * shape[1])
    edges -= np.bincount((last + 1 - above) * shape[1] + column - left, minlength=shape[0] * shape[1])
    inside = edges.reshape(shape).cumsum(axis=0)[:-1] > 0
    if size[0] <= width and size[1] <= height:
        return Region(left, above, inside)
    rows, row = _spread(above, inside.shape[0], height, size[1])
    columns, at = _spread(left, inside.shape[1], width, size[0])
    return Region(columns, rows, inside[np.ix_(row, at)])


def _spread(start: int, count: int, whole: int, wanted: int) -> tuple[int, NDArray[np.int64]]:
    """`count` pixels from `start` on, drawn on a side where `whole` pixels become `wanted`, which are more.

    Where they begin there, and for each pixel there the one of the `count` that it shows.
    """
    source = (2 * np.arange(wanted) + 1) * whole // (2 * wanted)  # at the middle of each pixel
    at = np.flatnonzero((source >= start) & (source < start + count))
    return int(at[0]), source[at] - start


def _outline(pixels: Pixels, region: Region, color: Color, width: int) -> None:
    """Draw the border of a region into `pixels`, inside of it, between two dark lines that show it on any ground."""
    rim = max(1, width // 2)
    inside = np.pad(region.inside, rim)
    rows, columns = region.window
    seen = (
        slice(max(0, rim - rows.start), inside.shape[0] - max(0, rows.stop + rim - pixels.shape[0])),
        slice(max(0, rim - columns.start), inside.shape[1] - max(0, columns.stop + rim - pixels.shape[1])),
    )
    part = pixels[max(0, rows.start - rim) : rows.stop + rim, max(0, columns.start - rim) : columns.stop + rim]
    line = _shrunk(inside, width)
    core = _shrunk(line, 1)
    outer = ~_shrunk(~inside, rim) & ~inside
    part[(outer | (line & ~core))[seen]] = DARK
    part[(inside & ~line)[seen]] = color


def _shrunk(inside: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    """`inside` without what lies within `by` pixels of its border, by rows and columns; beyond the array it goes on."""
    return _shrunk_down(_shrunk_down(inside, by).T, by).T


def _shrunk_down(inside: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    result, done = inside, 0
    while done < by:
        step = min(done + 1, by - done)  # what has lost n pixels loses n more with one look n away
        shrunk = result.copy(order="K")
        shrunk[:-step] &= result[step:]
        shrunk[step:] &= result[:-step]
        result, done = shrunk, done + step
    return result


def _number(picture: Image.Image, labels: dict[int, Label], chosen: list[int], font: int) -> None:
    """Draw the labels, lines below plates."""
    draw = ImageDraw.Draw(picture)
    face = ImageFont.load_default(font)
    thick = max(1, font // 10)
    for index, label in labels.items():
        if label.points_at is not None:
            line = ((label.x, label.y), label.points_at)
            draw.line(line, fill=DARK, width=thick + 2)
            draw.line(line, fill=_color(index, chosen), width=thick)
    for index, label in labels.items():
        x, y, half, rise = label.x, label.y, label.width // 2, label.height // 2
        box = (x - half, y - rise, x + half, y + rise)
        draw.rounded_rectangle(box, radius=rise // 3, fill=_color(index, chosen), outline=DARK, width=thick)
        draw.text((x, y), str(index), font=face, anchor="mm", fill=WHITE if index in chosen else DARK)


def _size(twin: DigitalTwin) -> tuple[int, int]:
    """Width and height of the picture."""
    width, height = twin.image.width, twin.image.height
    longest = max(width, height)
    least = max(MIN_SIDE, sqrt(ROOM * len(twin.objects) * longest / min(width, height)))
    scale = min(max(longest, least), MAX_SIDE) / longest
    return max(1, round(width * scale)), max(1, round(height * scale))


def _font(count: int, size: tuple[int, int]) -> int:
    """Height of the figures for `count` numbers, in pixels."""
    fits = sqrt(PLATES * size[0] * size[1] / max(1, count)) / 1.5
    return max(SMALLEST_FONT, round(min(max(FONT, max(size) / 42), fits, min(size) / 2)))


def _plate(index: int, font: int) -> tuple[int, int]:
    """Width and height of the plate of a number."""
    return round(0.62 * font * len(str(index)) + 0.6 * font), round(1.3 * font)


def _color(index: int, chosen: list[int]) -> Color:
    return ANSWER if index in chosen else COLORS[index % len(COLORS)]
