"""Shapes of vehicles, from the side."""

from itertools import pairwise

from training.scenes.shapes.fills import HOLE, Fill, Shape, Vary
from training.scenes.shapes.outlines import blob, box, curve, disc, poly, rounded, stroke


def _wheels(y: float, r: float, *xs: float) -> list[Fill]:
    tires = [Fill("wheels", "gray", disc(x, y, r, r)) for x in xs]
    return tires + [Fill("wheels", "steel", disc(x, y, r * 0.45, r * 0.45)) for x in xs]


def car(vary: Vary) -> list[Fill]:
    roof, back, front = vary(-0.64, -0.56), vary(-0.62, -0.52), vary(0.28, 0.38)
    cabin = blob(
        (back - 0.26, 0),
        (back - 0.02, roof + 0.08),
        (back + 0.2, roof),
        (front - 0.1, roof),
        (front + 0.1, roof + 0.1),
        (front + 0.4, 0),
    )
    rear = poly((back - 0.08, -0.1), (back + 0.08, roof + 0.13), (-0.13, roof + 0.13), (-0.13, -0.1))
    door = poly((-0.03, -0.1), (-0.03, roof + 0.13), (front - 0.06, roof + 0.13), (front + 0.16, -0.1))
    return [
        Fill("body", "main", cabin),
        Fill(
            "body",
            "main",
            blob(
                (-1, 0.1),
                (-0.9, -0.1),
                (-0.4, -0.14),
                (0.5, -0.12),
                (0.92, 0),
                (1.02, 0.2),
                (0.96, 0.42),
                (0, 0.43),
                (-0.96, 0.42),
            ),
        ),
        Fill("body", "dark", rounded(-1, 0.28, 1.02, 0.42, 0.06)),
        Fill("body", "dark", rounded(0.04, 0, 0.2, 0.05, 0.02)),
        Fill("body", "glow", disc(0.92, 0.1, 0.07, 0.09)),
        Fill("window", "glass", rear),
        Fill("window", "glass", door),
        *(Fill("body", "main", disc(x, 0.4, 0.31, 0.31, 180, 360)) for x in (-0.56, 0.56)),
        *_wheels(0.42, 0.25, -0.56, 0.56),
    ]


def truck(vary: Vary) -> list[Fill]:
    top, cab = -0.7, vary(-0.52, -0.36)
    return [
        Fill("trailer", "steel", box(-1, 0.26, 0.98, 0.42)),
        Fill("trailer", "main", rounded(-1.04, top, 0.36, 0.3, 0.04)),
        Fill("trailer", "dark", box(-1.04, 0.2, 0.36, 0.3)),
        Fill("cab", "light", poly((0.44, 0.38), (0.44, cab), (0.78, cab), (0.98, -0.04), (1.06, 0), (1.06, 0.38))),
        Fill("cab", "steel", rounded(0.44, 0.26, 1.08, 0.4, 0.04)),
        Fill("cab", "glow", disc(1.0, 0.15, 0.05, 0.07)),
        Fill("window", "glass", poly((0.52, 0.02), (0.52, cab + 0.08), (0.75, cab + 0.08), (0.93, 0.02))),
        *_wheels(0.42, 0.21, -0.74, -0.26, 0.72),
    ]


def bicycle(vary: Vary) -> list[Fill]:
    r, seat = vary(0.44, 0.48), vary(-0.46, -0.4)
    hubs = (-0.62, 0.62)
    tubes = (
        ((-0.62, 0.36), (-0.3, -0.16), (0.38, -0.2), (-0.06, 0.36), (-0.62, 0.36)),
        ((-0.36, seat + 0.1), (-0.06, 0.36)),
    )
    return [
        *(Fill("wheels", "gray", disc(x, 0.36, r, r)) for x in hubs),
        *(Fill(HOLE, "", disc(x, 0.36, r - 0.12, r - 0.12)) for x in hubs),
        *(Fill("wheels", "gray", disc(x, 0.36, 0.08, 0.08)) for x in hubs),
        *(Fill("frame", "main", stroke(poly(a, b), 0.12)) for tube in tubes for a, b in pairwise(tube)),
        Fill("frame", "main", stroke(poly((0.3, -0.46), (0.62, 0.36)), 0.12)),
        Fill("frame", "dark", disc(-0.06, 0.36, 0.13, 0.13)),
        Fill(
            "saddle",
            "cork",
            blob(
                (-0.66, seat - 0.06), (-0.5, seat - 0.1), (-0.14, seat - 0.02), (-0.34, seat + 0.08), (-0.6, seat + 0.1)
            ),
        ),
        Fill(
            "handlebar",
            "steel",
            stroke(curve((0.18, -0.6), (0.36, -0.64), (0.56, -0.6), (0.62, -0.44), (0.48, -0.36)), 0.13),
        ),
    ]


def boat(vary: Vary) -> list[Fill]:
    top, boom = vary(-1.1, -0.96), 0.24
    return [
        Fill("mast", "brown", box(-0.11, top - 0.04, 0.03, 0.5)),
        Fill("sail", "cream", poly((0.06, top + 0.06), (vary(0.72, 0.82), boom), (0.06, boom))),
        Fill("sail", "paper", poly((-0.14, top + 0.24), (-0.14, boom), (vary(-0.68, -0.58), boom))),
        Fill("hull", "main", poly((-1, 0.36), (1.04, 0.36), (0.94, 0.6), (0.72, 0.86), (-0.66, 0.86), (-0.86, 0.66))),
        Fill("hull", "light", box(-1.02, 0.34, 1.06, 0.44)),
        Fill("hull", "dark", poly((-0.77, 0.74), (0.82, 0.74), (0.72, 0.86), (-0.66, 0.86))),
    ]


def airplane(vary: Vary) -> list[Fill]:
    nose, sweep = vary(0.98, 1.06), vary(-0.3, -0.2)
    fuselage = blob(
        (-0.98, -0.14),
        (-0.5, -0.2),
        (0.6, -0.22),
        (nose - 0.06, -0.06),
        (nose, 0.06),
        (nose - 0.2, 0.16),
        (0.3, 0.22),
        (-0.4, 0.18),
    )
    return [
        Fill("wings", "dark", poly((0.06, -0.1), (0.34, -0.1), (sweep + 0.26, -0.56), (sweep + 0.06, -0.56))),
        Fill("tail", "dark", poly((-0.98, -0.1), (-0.48, -0.1), (-0.86, -0.66), (-1.08, -0.66))),
        Fill("fuselage", "main", fuselage),
        *(Fill("fuselage", "glass", rounded(x - 0.05, -0.12, x + 0.05, 0, 0.03)) for x in (-0.3, -0.1, 0.1, 0.3)),
        Fill("fuselage", "glass", poly((0.66, -0.14), (0.84, -0.09), (0.92, 0.0), (0.66, 0.0))),
        Fill("tail", "light", poly((-0.96, -0.06), (-0.66, -0.06), (-0.92, 0.2), (-1.08, 0.2))),
        Fill("wings", "light", poly((0.02, 0.06), (0.42, 0.06), (sweep + 0.02, 0.64), (sweep - 0.24, 0.64))),
    ]


SHAPES: dict[str, Shape] = {
    "car": car,
    "truck": truck,
    "bicycle": bicycle,
    "boat": boat,
    "airplane": airplane,
}
