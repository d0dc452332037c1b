"""Textured grounds in muted mid tones, that no object's color is mistaken for."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def background(rng: np.random.Generator, width: int, height: int) -> Floats:
    """A ground of one texture, or of two that meet at a horizon: [3, H, W] float32 RGB, 0 to 255."""
    ground = _texture(rng, width, height)
    if rng.random() < 0.3:
        horizon = int(height * rng.uniform(0.3, 0.6))
        ground[:, :horizon] = _texture(rng, width, horizon)
    return ground


def light(rng: np.random.Generator, width: int, height: int) -> Floats:
    """A gradient of light across the image in a random direction: [H, W] float32, a factor about 1."""
    dx, dy = rng.uniform(-0.06, 0.06, 2)
    x, y = _grid(width, height)
    return np.asarray(1 + dx * (2 * x / width - 1) + dy * (2 * y / height - 1), np.float32)


def _texture(rng: np.random.Generator, width: int, height: int) -> Floats:
    """Two tones mixed by a pattern."""
    luminance = rng.uniform(115, 175)
    tones = [luminance + rng.uniform(-13, 13, 3) + sign * rng.uniform(4, 14) for sign in (-1, 1)]
    low, high = (np.asarray(tone, np.float32)[:, None, None] for tone in tones)
    pattern = PATTERNS[int(rng.integers(len(PATTERNS)))](rng, width, height)
    grain = 0.3 * (_noise(rng, width, height) - 0.5)
    return np.asarray(low + (pattern + grain) * (high - low), np.float32)


def _grid(width: int, height: int) -> tuple[Floats, Floats]:
    return np.arange(width, dtype=np.float32)[None], np.arange(height, dtype=np.float32)[:, None]


def _noise(rng: np.random.Generator, width: int, height: int) -> Floats:
    """Value noise: a coarse random lattice, bilinearly interpolated, with a finer octave."""
    total = np.zeros((height, width), np.float32)
    cell = max(width, height) * rng.uniform(0.06, 0.16)
    for share, step in ((0.65, cell), (0.35, cell / 3)):
        lattice = rng.random((int(height / step) + 2, int(width / step) + 2), dtype=np.float32)
        rows, columns = np.arange(height) / step, np.arange(width) / step
        i, j = rows.astype(int), columns.astype(int)
        u, v = (rows - i).astype(np.float32)[:, None], (columns - j).astype(np.float32)
        strips = lattice[i] * (1 - u) + lattice[i + 1] * u
        total += np.float32(share) * (strips[:, j] * (1 - v) + strips[:, j + 1] * v)
    return total


def _bands(rng: np.random.Generator, width: int, height: int, angle: float, period: float) -> Floats:
    """Bands of 0 and 1 across a direction, with edges softened over a pixel."""
    x, y = _grid(width, height)
    across = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
    phase = across / np.float32(period) + np.float32(rng.random())
    triangle = np.abs(2 * (phase - np.floor(phase)) - 1)
    return np.clip((triangle - 0.5) * np.float32(period / 2) + 0.5, 0, 1)


def _stripes(rng: np.random.Generator, width: int, height: int) -> Floats:
    return _bands(rng, width, height, rng.uniform(0, np.pi), rng.uniform(0.05, 0.15) * max(width, height))


def _checks(rng: np.random.Generator, width: int, height: int) -> Floats:
    angle, period = rng.uniform(0, np.pi / 2), rng.uniform(0.1, 0.22) * max(width, height)
    one, other = (_bands(rng, width, height, angle + quarter, period) for quarter in (0, np.pi / 2))
    return one + other - 2 * one * other


def _gradient(rng: np.random.Generator, width: int, height: int) -> Floats:
    x, y = _grid(width, height)
    share = np.float32(rng.random())
    return np.asarray(share * x / width + (1 - share) * y / height, np.float32)


Pattern = Callable[[np.random.Generator, int, int], Floats]
PATTERNS: tuple[Pattern, ...] = (_noise, _stripes, _checks, _gradient)
