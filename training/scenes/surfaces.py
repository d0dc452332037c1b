"""What an object's surface looks like: its pattern in a second tone of its color, or its material."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

GLASS = 0.5  # share of the ground that a pane of glass hides


def pattern(rng: np.random.Generator, name: str, x: Floats, y: Floats) -> Floats:
    """How much of the second tone each pixel has, 0 to 1, softened over a pixel.

    x, y: [h, w] in the object's own axes, in pixels from its center.
    """
    extent = float(max(np.ptp(x), np.ptp(y)))
    if name == "dotted":
        step = max(9.0, extent * rng.uniform(0.13, 0.17))
        row = np.floor(y / np.float32(0.87 * step))
        dx = _fold(x / np.float32(step) + np.float32(0.5) * (row % 2)) * np.float32(step)
        dy = (y / np.float32(0.87 * step) - row - np.float32(0.5)) * np.float32(0.87 * step)
        return np.asarray(np.clip(np.float32(0.3 * step + 0.5) - np.hypot(dx, dy), 0, 1), np.float32)
    period = max(9.0, extent * rng.uniform(0.15, 0.2))
    angle = np.float32(rng.choice((0.0, 0.5, 0.25, -0.25)) * np.pi)
    across = x * np.cos(angle) + y * np.sin(angle)
    if name == "striped":
        return _bars(across, period)
    along = y * np.cos(angle) - x * np.sin(angle)
    one, other = _bars(across, 1.3 * period), _bars(along, 1.3 * period)
    return one + other - 2 * one * other


def wood(rng: np.random.Generator, x: Floats, y: Floats) -> Floats:
    """Grain along the longer axis: about 0, less in the dark lines between the years."""
    if np.ptp(x) < np.ptp(y):
        x, y = y, x
    extent = float(np.ptp(x)) + 1
    bend = np.sin(x * np.float32(rng.uniform(3, 6) / extent) + np.float32(rng.uniform(0, 6))) * np.float32(
        0.03 * extent
    )
    years = (y + bend) / np.float32(max(4.5, 0.06 * extent))
    wide = years + np.float32(0.3) * np.sin(years * np.float32(1.7) + np.float32(rng.uniform(0, 6)))
    strength = 0.5 + 0.25 * np.sin(years * np.float32(2.3) + x * np.float32(9 / extent))  # lines that come and go
    lines = strength * (np.abs(_fold(wide)) * 2) ** 3  # thin, with a soft flank
    return np.asarray(0.12 - lines + 0.06 * np.sin(years * np.float32(0.9)), np.float32)


def metal(rng: np.random.Generator, x: Floats, y: Floats) -> Floats:
    """Bands of reflected light down the object: from -0.35 where dark to 0.75 where the light itself is seen."""
    half = np.float32(np.ptp(x) / 2 + 1)
    across = x / half + np.float32(rng.uniform(-0.12, 0.12)) + np.float32(0.08) * y / half
    shine = np.zeros_like(across)
    for center, width, strength in ((-0.45, 0.16, 0.75), (0.05, 0.3, -0.35), (0.4, 0.1, 0.5), (0.8, 0.22, -0.3)):
        shine += np.float32(strength) * np.exp(-(((across - np.float32(center)) / np.float32(width)) ** 2))
    return shine


def highlights(rng: np.random.Generator, x: Floats, y: Floats) -> Floats:
    """Two bright streaks on glass, 0 to 1."""
    half = np.float32(np.ptp(x) / 2 + 1)
    across = x / half + np.float32(0.25) * y / half + np.float32(rng.uniform(-0.1, 0.1))
    first = np.exp(-(((across + np.float32(0.42)) / np.float32(0.08)) ** 2))
    second = np.exp(-(((across + np.float32(0.2)) / np.float32(0.04)) ** 2))
    return np.asarray(0.75 * first + 0.5 * second, np.float32)


def _fold(phase: Floats) -> Floats:
    """The distance to the nearest whole number, -0.5 to 0.5."""
    return phase - np.rint(phase)


def _bars(across: Floats, period: float) -> Floats:
    edge: Floats = (np.abs(_fold(across / np.float32(period))) - np.float32(0.25)) * np.float32(period)
    return np.asarray(np.clip(edge + np.float32(0.5), 0, 1))
