"""Pictures of a report, inline: overlays as JPEG in data URLs, the histogram as SVG."""

import base64
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from dtwinseger.evaluation.metrics import Pixels
from dtwinseger.evaluation.samples import Truth

SIDE = 400  # pixels of the longer side
# The color-blind tell them apart.
HIT, MISSED, EXTRA, IGNORED = (
    (0, 158, 115),
    (0, 114, 178),
    (213, 94, 0),
    (128, 128, 128),
)
OPACITY = 0.55
BINS = 20
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 640, 200, 44, 24  # of the histogram, pixels


def truth_overlay(image: Path, truth: Truth) -> str:
    """A data URL of the image with its target and ignored pixels tinted."""
    return _picture(image, [(truth.target, MISSED), (truth.ignore, IGNORED)])


def answer_overlay(image: Path, truth: Truth, answer: Pixels) -> str:
    """A data URL of the image with what the answer hit, missed and added; answer: [H, W] bool, as the truth."""
    extra = answer & ~truth.target & ~truth.ignore
    return _picture(image, [(answer & truth.target, HIT), (truth.target & ~answer, MISSED), (extra, EXTRA)])


def _picture(path: Path, tints: list[tuple[Pixels, tuple[int, int, int]]]) -> str:
    with Image.open(path) as image:
        pixels = np.array(ImageOps.exif_transpose(image).convert("RGB"), dtype=np.float32)
    gray = pixels.mean(axis=2, keepdims=True)
    pixels = 0.35 * gray + 0.65 * pixels  # paler, so that tints stand out
    for mask, color in tints:
        pixels[mask] = (1 - OPACITY) * pixels[mask] + OPACITY * np.array(color, dtype=np.float32)
    small = Image.fromarray(pixels.astype(np.uint8))
    small.thumbnail((SIDE, SIDE))
    out = BytesIO()
    small.save(out, "JPEG", quality=72)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"


def histogram(values: NDArray[np.float64]) -> str:
    """An SVG of how many samples have which IoU, in BINS steps of equal width."""
    counts = np.histogram(np.clip(values, 0, 1), bins=BINS, range=(0, 1))[0]
    top = max(1, int(counts.max()))
    step = (_WIDTH - _LEFT) / BINS
    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="Histogram of IoU">']
    for number, count in enumerate(counts.tolist()):
        height = (_HEIGHT - _BOTTOM - 16) * count / top
        x, y = _LEFT + number * step, _HEIGHT - _BOTTOM - height
        title = f"<title>IoU {number / BINS:.2f} to {(number + 1) / BINS:.2f}: {count}</title>"
        parts.append(f'<rect x="{x + 1:.1f}" y="{y:.1f}" width="{step - 2:.1f}" height="{height:.1f}">{title}</rect>')
        if count:
            parts.append(f'<text x="{x + step / 2:.1f}" y="{y - 3:.1f}" text-anchor="middle">{count}</text>')
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = _LEFT + share * (_WIDTH - _LEFT)
        anchor = "end" if share == 1 else "middle"
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - 6}" text-anchor="{anchor}">{share:g}</text>')
    return "".join([*parts, "</svg>"])
