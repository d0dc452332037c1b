"""Shapes of cutlery, upright."""

from training.scenes.shapes.fills import Fill, Shape, Vary
from training.scenes.shapes.outlines import Polygon, blob, disc, poly, rounded, turned


def _handle(vary: Vary) -> list[Fill]:
    w = vary(0.17, 0.21)
    grip = turned((0.11, 0), (0.13, 0.1), (w, 0.5), (w + 0.03, 0.86), (w - 0.04, 1), (0, 1.06))
    return [
        Fill("handle", "main", grip),
        Fill("handle", "dark", disc(0, 0.84, 0.06, 0.06)),
    ]


def knife(vary: Vary) -> list[Fill]:
    belly = vary(0.24, 0.32)
    blade = blob((-0.14, 0.05), (-0.15, -0.5), (-0.13, -0.98), (0.04, -0.9), (belly, -0.5), (0.2, 0.02))
    return [
        Fill("blade", "steel", blade),
        Fill("blade", "shine", blob((belly - 0.01, -0.5), (0.04, -0.88), (0.07, -0.5), (0.12, 0), (0.19, -0.02))),
        Fill("blade", "gray", rounded(-0.19, -0.06, 0.21, 0.06, 0.04)),
        *_handle(vary),
    ]


def fork(vary: Vary) -> list[Fill]:
    w = vary(0.31, 0.36)
    step = w * 2 / 3
    return [
        Fill("tines", "steel", turned((w + 0.05, -0.55), (w + 0.03, -0.35), (0.14, -0.12), (0.08, 0.1))),
        *(Fill("tines", "steel", _tine(-w + i * step)) for i in range(4)),
        *_handle(vary),
    ]


def _tine(x: float) -> Polygon:
    return poly((x - 0.06, -0.45), (x - 0.05, -0.98), (x, -1.04), (x + 0.05, -0.98), (x + 0.06, -0.45))


def spoon(vary: Vary) -> list[Fill]:
    w = vary(0.36, 0.42)
    return [
        Fill("scoop", "steel", poly((-0.07, -0.3), (0.07, -0.3), (0.08, 0.1), (-0.08, 0.1))),
        Fill("scoop", "steel", disc(0, -0.6, w, 0.44)),
        Fill("scoop", "shine", disc(0.02, -0.63, w - 0.09, 0.34)),
        *_handle(vary),
    ]


SHAPES: dict[str, Shape] = {
    "knife": knife,
    "fork": fork,
    "spoon": spoon,
}
