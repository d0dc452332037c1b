"""The two pictures of a mask that a VLM sees (Eq. 4): the whole image with the mask outlined, and its crop.

`marks` draws the whole image with several masks numbered.

Pictures are [H, W, 3] uint8 RGB. A mask is bool in the same frame as its image (pixels, x right, y down) and of the
same aspect; it may have a higher resolution than an image that was scaled down before.
"""

import io
from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

Picture = NDArray[np.uint8]
MaskArray = NDArray[np.bool_]
Surroundings = Literal["plain", "dimmed", "cut"]  # of a crop: as they are, toward gray, gray

OUTLINE = (255, 0, 255)  # magenta: hardly an object's own color
OUTLINE_SHARE = 1 / 160  # of the side
LABEL_SHARE = 1 / 22  # of the side
LEGIBLE_SIDE = 256  # of a picture in which an outline and a number are seen
MARGIN = 0.15  # around the box, of its longest side
KEPT = 0.35  # of the surroundings; the rest is GRAY, in which neither a black nor a white object drowns
GRAY = 112
LARGE = 2048  # pixels of a crop's side; what is many times larger is reduced before it is worked on
FEW = 1 / 8  # of a picture's pixels: so many colors at most are worth trying as a PNG
JPEG_QUALITY = 90  # with full color resolution: a thin outline keeps its hue


def scaled(image: Picture, side: int) -> Picture:
    """`image` with its longest side at `side` pixels, [h, w, 3]. For many masks of one image, scale it once."""
    height, width = image.shape[:2]
    if max(height, width) == side:
        return image
    factor = side / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def marked(image: Picture, mask: MaskArray, index: int, side: int) -> Picture:
    """The whole image at `side` pixels with `mask` outlined and numbered: [h, w, 3].

    The outline runs outside the mask, so that it hides nothing of a small object, and inside along the image's edge.
    Below LEGIBLE_SIDE, where line and number would be lost, the mask is filled and its surroundings are darkened.
    Raises ValueError for an empty mask.
    """
    pixels = np.array(scaled(image, side))
    inside = resized(mask, (pixels.shape[1], pixels.shape[0]))
    if side < LEGIBLE_SIDE:
        pixels = (pixels * np.float32(KEPT)).astype(np.uint8)
        pixels[inside] = OUTLINE
        return pixels
    pixels[rim(inside, round(side * OUTLINE_SHARE))] = OUTLINE
    return _numbered(pixels, inside, index, side)


def crop(image: Picture, mask: MaskArray, side: int, surroundings: Surroundings = "dimmed") -> Picture:
    """A square around the mask's box with a margin, and what is outside the mask as asked for: [side, side, 3].

    `mask` has the resolution of `image`. Where the square leaves the image it is gray. Raises ValueError for an
    empty mask.
    """
    _require(mask)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    extent = max(4, round(max(bottom - top, right - left) * (1 + 2 * MARGIN)))
    if (factor := extent // max(side, LARGE)) > 1:
        reduced = np.asarray(Image.fromarray(image).reduce(factor))
        return crop(reduced, resized(mask, reduced.shape[1::-1]), side, surroundings)
    y, x = (top + bottom - extent) // 2, (left + right - extent) // 2
    height, width = mask.shape
    source = slice(max(0, y), min(height, y + extent)), slice(max(0, x), min(width, x + extent))
    target = tuple(slice(part.start - start, part.stop - start) for part, start in zip(source, (y, x), strict=True))
    pixels = np.full((extent, extent, 3), GRAY, dtype=np.uint8)
    cut = image[source]
    if surroundings == "plain":
        pixels[target] = cut
    else:
        faded = _faded(KEPT if surroundings == "dimmed" else 0.0)
        pixels[target] = np.where(mask[source][..., None], cut, faded[cut])
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC))


def png(picture: Picture) -> bytes:
    """`picture` as a PNG, compressed lightly: it is read once, nearby."""
    return _png(Image.fromarray(picture), io.BytesIO())


def encoded(picture: Picture) -> bytes:
    """`picture` as it is sent: a PNG below LEGIBLE_SIDE, else a PNG or a JPEG, whichever is smaller."""
    if max(picture.shape[:2]) < LEGIBLE_SIDE:
        return png(picture)
    buffer = io.BytesIO()
    image = Image.fromarray(picture)
    image.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    jpeg = buffer.getvalue()
    sample = picture[::4, ::4]
    most = int(sample.shape[0] * sample.shape[1] * FEW)
    if Image.fromarray(sample).getcolors(most) is None:  # a photograph, whose PNG takes long only to be larger
        return jpeg
    try:
        return _png(image, _Shorter(len(jpeg)))
    except _TooLongError:
        return jpeg


class _TooLongError(Exception):
    """A file has become longer than it may."""


class _Shorter(io.BytesIO):
    """A file of at most `most` bytes: the encoder is stopped where it writes more. Raises _TooLongError."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def write(self, data: "Buffer") -> int:
        written = super().write(data)
        if self.tell() > self._most:
            raise _TooLongError
        return written


def _png(image: Image.Image, file: io.BytesIO) -> bytes:
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


@cache
def _faded(kept: float) -> NDArray[np.uint8]:
    """For each value of a channel the one that is left of it, [256]: `kept` of its own, the rest of GRAY."""
    return (np.arange(256, dtype=np.float32) * np.float32(kept) + np.float32(GRAY * (1 - kept))).astype(np.uint8)


def _require(mask: MaskArray) -> None:
    if not mask.any():
        raise ValueError("the mask is empty: there is nothing to show")


def rim(inside: MaskArray, thickness: int) -> MaskArray:
    """The pixels around `inside`, so that nothing of it is hidden; at the picture's edge those within."""
    around = np.zeros_like(inside)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    window = tuple(
        slice(max(0, at[0] - thickness), at[-1] + thickness + 1) for at in (rows, columns)
    )  # alone is worked on
    around[window] = _grown(inside[window], thickness) & ~inside[window]
    edge = np.ones_like(inside)
    edge[thickness:-thickness, thickness:-thickness] = False
    return around | (edge & inside)


def _grown(inside: MaskArray, reach: int) -> MaskArray:
    """The pixels within `reach` of `inside`, in each of both directions."""
    grown = inside
    for axis in (0, 1):
        lines = np.moveaxis(np.pad(grown, [(reach, reach) if at == axis else (0, 0) for at in (0, 1)]), axis, 0)
        wide = 1  # how many of the padded lines each line stands for by now; twice as many with each step
        while wide < 2 * reach + 1:
            step = min(wide, 2 * reach + 1 - wide)
            lines = lines[:-step] | lines[step:]
            wide += step
        grown = np.moveaxis(lines, 0, axis)
    return grown


def resized(mask: MaskArray, size: tuple[int, int]) -> MaskArray:
    """`mask` at `size` (width, height): set where most of a pixel is, and somewhere in any case.

    Raises ValueError for an empty mask.
    """
    _require(mask)
    share = np.asarray(Image.fromarray(mask.view(np.uint8) * np.uint8(255)).resize(size, Image.Resampling.BOX))
    return share >= min(128, max(1, int(share.max())))


def _numbered(pixels: Picture, inside: MaskArray, index: int, side: int) -> Picture:
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
