"""Shapes of food."""

import numpy as np

from training.scenes.shapes.fills import Fill, Shape, Vary
from training.scenes.shapes.outlines import Polygon, curve, disc, moved, rotated, rounded, stroke, turned, wall


def _leaf(x: float, y: float, length: float, degrees: float) -> Polygon:
    """A pointed leaf that begins at a point and goes to the right, turned clockwise."""
    half = length * 0.26
    upper = curve((0, 0), (length * 0.4, -half), (length, 0))
    lower = curve((length, 0), (length * 0.5, half), (0, 0))
    return rotated(moved(np.concatenate([upper, lower]), x, y), degrees, x, y)


def _stalk(x: float, y: float, lean: float) -> list[Fill]:
    """A stem from a point up, and its leaf."""
    return [
        Fill("leaf", "leaf", _leaf(x + 0.02, y - 0.16, 0.66, -24 + 40 * lean)),
        Fill(
            "stem", "brown", stroke(curve((x, y + 0.1), (x + 0.01, y - 0.12), (x - lean - 0.05, y - 0.42)), 0.13, 0.19)
        ),
    ]


def apple(vary: Vary) -> list[Fill]:
    w, lean = vary(0.78, 0.86), vary(-0.12, 0.12)
    flesh = turned((0, -0.46), (0.3, -0.58), (0.66, -0.44), (w, 0), (0.66, 0.52), (0.34, 0.74), (0, 0.7))
    return [
        Fill("flesh", "main", flesh),
        Fill("flesh", "dark", disc(0, -0.46, 0.24, 0.07)),
        Fill("flesh", "light", rotated(disc(-0.46, -0.14, 0.1, 0.22), 18, -0.46, -0.14)),
        *_stalk(0, -0.46, lean),
    ]


def pear(vary: Vary) -> list[Fill]:
    w, neck = vary(0.62, 0.7), vary(0.25, 0.31)
    flesh = turned((0, -0.74), (0.2, -0.68), (neck, -0.4), (0.5, 0), (w, 0.4), (0.5, 0.84), (0.2, 0.96), (0, 0.95))
    return [
        Fill("flesh", "main", flesh),
        Fill("flesh", "light", rotated(disc(-0.32, 0.3, 0.1, 0.24), 12, -0.32, 0.3)),
        *_stalk(0, -0.7, vary(-0.12, 0.12)),
    ]


def carrot(vary: Vary) -> list[Fill]:
    w = vary(0.38, 0.44)
    root = turned((0, -0.42), (0.2, -0.4), (w, -0.24), (w * 0.86, 0.1), (w * 0.5, 0.6), (0.06, 1.04), (0, 1.06))
    marks = [(-w * 0.45, -0.08), (w * 0.4, 0.12), (-w * 0.3, 0.38), (w * 0.22, 0.58)]
    fronds = [_leaf(0.0, -0.34, length, -90 + turn) for turn, length in ((-52, 0.8), (52, 0.8))]
    return [
        *(Fill("leaves", "shade", frond) for frond in fronds),
        Fill("leaves", "leaf", _leaf(0, -0.32, vary(0.78, 0.9), -90)),
        Fill("leaves", "shade", disc(0, -0.44, 0.2, 0.12)),
        Fill("root", "main", root),
        *(Fill("root", "dark", rounded(x - w * 0.3, y - 0.025, x + w * 0.3, y + 0.025, 0.02)) for x, y in marks),
    ]


def mushroom(vary: Vary) -> list[Fill]:
    w, top = vary(0.88, 0.98), vary(-0.9, -0.76)
    stem = turned((0.26, -0.1), (0.24, 0.3), (0.34, 0.66), (0.32, 0.82), (0.3, 0.84))
    return [
        Fill("cap", "dark", disc(0, -0.02, w - 0.06, 0.2)),
        Fill("stem", "cream", stem),
        Fill("stem", "tan", disc(0, 0.06, 0.36, 0.09)),
        Fill("cap", "main", turned((0, top), (0.44, top + 0.1), (w - 0.12, -0.36), (w, -0.02), (0.5, 0.02), (0, 0.03))),
    ]


def cake(vary: Vary) -> list[Fill]:
    w, low, x, base = 0.92, vary(0.12, 0.24), vary(-0.14, 0.14), vary(0.48, 0.68)
    drips = wall(
        -0.4,
        w,
        0.24,
        (w, -0.1),
        (0.8, 0.06),
        (0.7, -0.02),
        (0.56, low),
        (0.4, low),
        (0.3, 0.06),
        (0.16, 0.04),
        (0, low),
    )
    return [
        Fill("sponge", "main", wall(-0.4, w, 0.24, (w, base - 0.08), *map(tuple, disc(0, base, w, 0.24, 0, 90)[::5]))),
        Fill("sponge", "dark", moved(drips, 0, 0.05)),
        Fill("icing", "cream", drips),
        Fill("icing", "cream", disc(0, -0.4, w, 0.26)),
        Fill("icing", "paper", disc(0, -0.4, w - 0.16, 0.15)),
        Fill("cherry", "cherry", disc(x, -0.58, 0.24, 0.23)),
        Fill("cherry", "rubber", disc(x - 0.09, -0.66, 0.05, 0.05)),
    ]


SHAPES: dict[str, Shape] = {
    "apple": apple,
    "pear": pear,
    "carrot": carrot,
    "mushroom": mushroom,
    "cake": cake,
}
