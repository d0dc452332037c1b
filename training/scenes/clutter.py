"""Clutter: pebbles, leaves and marks on the ground that belong to no object and have no name."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from training.scenes.light import Light, fall
from training.scenes.shapes.outlines import Polygon, disc, poly, wave

Floats = npt.NDArray[np.float32]
SAMPLES = 3


def strew(rng: np.random.Generator, canvas: Floats, light: Light, horizon: int) -> None:
    """Paint up to sixteen things onto the ground, [3, H, W] RGB, below the row of the horizon."""
    _, height, width = canvas.shape
    side = min(height, width)
    for _ in range(int(rng.integers(0, 17)) if rng.random() < 0.75 else 0):
        outline, tone, raised = SORTS[int(rng.integers(len(SORTS)))](rng)
        size = max(4.0, side * rng.uniform(0.016, 0.05))
        angle = rng.uniform(0, 2 * np.pi)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        points = outline @ turn * (1, 0.7 if horizon else 1) * size / 2
        low = points.min(axis=0) - 2
        wide, high = (int(n) for n in np.ceil(points.max(axis=0) + 2 - low))
        if wide >= width or high >= height - horizon:
            continue
        sampled = Image.new("L", (wide * SAMPLES, high * SAMPLES), 0)
        corners = np.round((points - low) * SAMPLES, 2)
        ImageDraw.Draw(sampled).polygon(corners.ravel().tolist(), fill=255)
        covered = sampled.reduce(SAMPLES)
        alpha = np.asarray(covered, np.float32) / 255
        left, top = int(rng.integers(0, width - wide)), int(rng.integers(horizon, height - high))
        crop = canvas[:, top : top + high, left : left + wide]
        if raised:
            shadow = np.roll(alpha, tuple(-int(np.sign(along)) for along in reversed(light.toward)), axis=(0, 1))
            crop *= 1 - np.float32(light.depth) * shadow
            color = np.asarray(tone, np.float32)[:, None, None] * (1 + 1.3 * fall(light, covered))
            crop += alpha * (color - crop)
        else:
            crop *= 1 + alpha * np.float32(tone[0])


Sort = Callable[[np.random.Generator], tuple[Polygon, tuple[float, ...], bool]]


def _pebble(rng: np.random.Generator) -> tuple[Polygon, tuple[float, ...], bool]:
    outline = disc(0, 0, 1, rng.uniform(0.6, 0.95))
    level = rng.uniform(105, 185)
    return outline, (level + 4, level, level - 6), True


def _leaf(rng: np.random.Generator) -> tuple[Polygon, tuple[float, ...], bool]:
    half = disc(0, rng.uniform(0.35, 0.6), 1, 1)
    lens = np.concatenate([half[17:], (half[17:] * (1, -1))[::-1]])
    tone = ((132, 134, 92), (158, 132, 92), (116, 122, 96))[int(rng.integers(3))]
    return lens, tone, True


def _mark(rng: np.random.Generator) -> tuple[Polygon, tuple[float, ...], bool]:
    """A stain or a scratch."""
    change = (float(rng.choice((-1, 1)) * rng.uniform(0.05, 0.12)),)
    if rng.random() < 0.5:
        return disc(0, 0, 1.3, rng.uniform(0.5, 1.2)), change, False
    return wave(0, -1.6, 1.6, rng.uniform(0.05, 0.3), 0.16), change, False


def _crumb(rng: np.random.Generator) -> tuple[Polygon, tuple[float, ...], bool]:
    corners = [(rng.uniform(0.3, 0.8) * np.cos(a), rng.uniform(0.3, 0.8) * np.sin(a)) for a in np.arange(0, 6.2, 1.05)]
    level = rng.uniform(110, 180)
    return poly(*corners), (level + 8, level, level - 12), True


SORTS: tuple[Sort, ...] = (_pebble, _leaf, _mark, _crumb)
