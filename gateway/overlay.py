"""The picture of a twin: every object outlined and numbered, the answer filled."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_dilation, binary_erosion, distance_transform_edt

from dtwinseger.twin import DigitalTwin

ANSWER = (255, 45, 120)
OTHER = (255, 255, 255)
SHADOW = (20, 20, 20)
FILL = 0.45  # share of the answer's color inside an answering object
MAX_SIDE = 1600  # pixels; a larger image is shown scaled down
MIN_SIDE = 480  # pixels; a smaller one is scaled up, for legible numbers


def overlay_png(twin: DigitalTwin, jpeg: bytes) -> bytes:
    """Outlines and numbers over the image, as PNG; between MIN_SIDE and MAX_SIDE pixels on its longest side."""
    with Image.open(BytesIO(jpeg)) as image:
        longest = max(image.size)
        scale = min(1.0, MAX_SIDE / longest) if longest >= MIN_SIDE else MIN_SIDE / longest
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        pixels = np.asarray(image.convert("RGB").resize(size, Image.Resampling.LANCZOS)).copy()
    width = max(1, round(max(size) / 400))
    labels: list[tuple[int, tuple[float, float], bool]] = []
    chosen = set(twin.answer.indices)
    # Answers last: their outlines lie on top.
    for item in sorted(twin.objects, key=lambda item: item.index in chosen):
        mask = _scaled(item.mask.decode(), size)
        if mask.any():
            _outline(pixels, mask, width, answer=item.index in chosen)
            labels.append((item.index, _anchor(mask), item.index in chosen))
    picture = Image.fromarray(pixels)
    _number(picture, labels)
    out = BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _scaled(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """`mask` at `size` (width, height)."""
    if (mask.shape[1], mask.shape[0]) == size:
        return mask
    return np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST), dtype=np.bool_)


def _outline(pixels: NDArray[np.uint8], mask: NDArray[np.bool_], width: int, *, answer: bool) -> None:
    """Draw the border of `mask` into `pixels`, with a dark rim that shows on any ground; fill it if it answers."""
    ys, xs = np.nonzero(mask)
    grown = width + 1
    window = (
        slice(max(0, ys.min() - grown), ys.max() + grown + 1),
        slice(max(0, xs.min() - grown), xs.max() + grown + 1),
    )
    inside, region = mask[window], pixels[window]
    if answer:
        blended = region[inside] * (1 - FILL) + np.array(ANSWER) * FILL
        region[inside] = blended.astype(np.uint8)
    region[binary_dilation(inside, iterations=1) & ~inside] = SHADOW
    region[inside & ~binary_erosion(inside, iterations=width)] = ANSWER if answer else OTHER


def _anchor(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """x, y of the pixel deepest inside the mask: a ring is numbered on the ring, not in its hole."""
    depth = distance_transform_edt(np.pad(mask, 1))
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(x) - 1, float(y) - 1


def _number(picture: Image.Image, labels: list[tuple[int, tuple[float, float], bool]]) -> None:
    height = max(14, round(max(picture.size) / 34))
    font = ImageFont.load_default(height)
    draw = ImageDraw.Draw(picture)
    for index, (x, y), answer in labels:
        left, top, right, bottom = draw.textbbox((x, y), str(index), font=font, anchor="mm")
        pad = height // 5
        # Kept inside the picture, whole.
        dx = max(0, pad - left) - max(0, right + pad - picture.width)
        dy = max(0, pad - top) - max(0, bottom + pad - picture.height)
        box = (left - pad + dx, top - pad + dy, right + pad + dx, bottom + pad + dy)
        draw.rounded_rectangle(box, radius=pad, fill=ANSWER if answer else SHADOW)
        draw.text((x + dx, y + dy), str(index), font=font, anchor="mm", fill=OTHER)
