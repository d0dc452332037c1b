"""The two pictures of a mask that a VLM sees (Eq. 4): the whole image with the mask outlined, and its crop.

Pictures are [H, W, 3] uint8 RGB. A mask is bool in the same frame as its image (pixels, x right, y down) and of the
same aspect; it may have a higher resolution than an image that was scaled down before.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Picture = NDArray[np.uint8]

OUTLINE = (255, 0, 255)  # magenta: hardly an object's own color
OUTLINE_SHARE = 1 / 160  # of the side
LABEL_SHARE = 1 / 22  # of the side
LEGIBLE_SIDE = 256  # of a picture in which an outline and a number are seen
MARGIN = 0.15  # around the box, of its longest side
KEPT = 0.35  # of the surroundings; the rest is GRAY, in which neither a black nor a white object drowns
GRAY = 112


def scaled(image: Picture, side: int) -> Picture:
    """`image` with its longest side at `side` pixels, [h, w, 3]. For many masks of one image, scale it once."""
    height, width = image.shape[:2]
    if max(height, width) == side:
        return image
    factor = side / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def marked(image: Picture, mask: NDArray[np.bool_], index: int, side: int) -> Picture:
    """The whole image at `side` pixels with `mask` outlined and numbered: [h, w, 3].

    The outline runs outside the mask, so that it hides nothing of a small object, and inside along the image's edge.
    Below LEGIBLE_SIDE, where line and number would be lost, the mask is filled and its surroundings are darkened.
    Raises ValueError for an empty mask.
    """
    _require(mask)
    picture = Image.fromarray(scaled(image, side))
    inside = _resized(mask, picture.size)
    pixels = np.array(picture)
    if side < LEGIBLE_SIDE:
        pixels = (pixels * np.float32(KEPT)).astype(np.uint8)
        pixels[inside] = OUTLINE
        return pixels
    thickness = round(side * OUTLINE_SHARE)
    grown = np.asarray(Image.fromarray(inside).filter(ImageFilter.MaxFilter(2 * thickness + 1)))
    edge = np.ones(inside.shape, dtype=np.bool_)
    edge[thickness:-thickness, thickness:-thickness] = False
    pixels[(grown & ~inside) | (edge & inside)] = OUTLINE
    return _numbered(pixels, inside, index, side)


def crop(image: Picture, mask: NDArray[np.bool_], side: int) -> Picture:
    """A square around the mask's box with a margin, what is outside the mask dimmed: [side, side, 3].

    `mask` has the resolution of `image`. Where the square leaves the image it is gray. Raises ValueError for an
    empty mask.
    """
    _require(mask)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    extent = max(4, round(max(bottom - top, right - left) * (1 + 2 * MARGIN)))
    y, x = (top + bottom - extent) // 2, (left + right - extent) // 2
    height, width = mask.shape
    source = slice(max(0, y), min(height, y + extent)), slice(max(0, x), min(width, x + extent))
    target = tuple(slice(part.start - start, part.stop - start) for part, start in zip(source, (y, x), strict=True))
    pixels = np.full((extent, extent, 3), GRAY, dtype=np.uint8)
    cut = image[source]
    dimmed = (cut * np.float32(KEPT) + np.float32(GRAY * (1 - KEPT))).astype(np.uint8)
    pixels[target] = np.where(mask[source][..., None], cut, dimmed)
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC))


def png(picture: Picture) -> bytes:
    """`picture` as a PNG, compressed lightly: it is read once, nearby."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _require(mask: NDArray[np.bool_]) -> None:
    if not mask.any():
        raise ValueError("the mask is empty: there is nothing to show")


def _resized(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """`mask` at `size` (width, height): set where most of a pixel is, and somewhere in any case."""
    share = np.asarray(Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BOX))
    return share >= min(128, max(1, int(share.max())))


def _numbered(pixels: Picture, inside: NDArray[np.bool_], index: int, side: int) -> Picture:
    """The index on a plate at the top left of the mask's box, moved into the picture."""
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    font = round(side * LABEL_SHARE)
    left, top, right, bottom = draw.textbbox((0, 0), str(index), font_size=font)
    pad = max(1, font // 6)
    width, height = round(right - left) + 2 * pad, round(bottom - top) + 2 * pad
    x = int(np.flatnonzero(inside.any(axis=0))[0])
    y = int(np.flatnonzero(inside.any(axis=1))[0]) - height
    x, y = max(0, min(x, picture.width - width)), max(0, min(y, picture.height - height))
    draw.rectangle((x, y, x + width, y + height), fill=OUTLINE)
    draw.text((x + pad - left, y + pad - top), str(index), fill="white", font_size=font)
    return np.asarray(picture)
