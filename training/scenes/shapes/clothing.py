"""Shapes of what one wears and carries."""

from training.scenes.shapes.fills import HOLE, Fill, Shape, Vary
from training.scenes.shapes.outlines import blob, box, curve, disc, poly, rounded, stroke, turned


def hat(vary: Vary) -> list[Fill]:
    w, top = vary(0.5, 0.58), vary(-0.72, -0.6)
    band = blob((-w - 0.02, 0.02), (0, 0.14), (w + 0.02, 0.02), (w + 0.03, 0.2), (0, 0.36), (-w - 0.03, 0.2))
    return [
        Fill("brim", "dark", disc(0, 0.26, 1, 0.3)),
        Fill(
            "crown",
            "main",
            turned((0, top + 0.06), (0.3, top), (w - 0.08, top + 0.12), (w, 0.1), (w * 0.7, 0.28), (0, 0.34)),
        ),
        Fill("crown", "light", band),
    ]


def shoe(vary: Vary) -> list[Fill]:
    top = vary(-0.62, -0.5)
    upper = blob(
        (-0.9, top), (-0.62, top - 0.02), (-0.36, top + 0.12), (-0.06, top + 0.06), (0.22, -0.14), (0.62, 0.02),
        (0.94, 0.16), (1.0, 0.4), (0.4, 0.46), (-0.4, 0.46), (-0.92, 0.4), (-0.94, 0),
    )  # fmt: skip
    laces = [poly((-0.26 + 0.2 * i, -0.16 + 0.1 * i), (0.0 + 0.2 * i, -0.42 + 0.15 * i)) for i in range(3)]
    return [
        Fill("upper", "main", upper),
        Fill("upper", "dark", blob((0.6, 0.04), (0.94, 0.16), (1.0, 0.4), (0.6, 0.42))),
        Fill("upper", "dark", rounded(-0.96, 0.28, 1.02, 0.42, 0.05)),
        Fill("sole", "cream", rounded(-1, 0.36, 1.06, 0.62, 0.12)),
        Fill("sole", "gray", box(-0.94, 0.54, 1, 0.62)),
        *(Fill("laces", "ink", stroke(lace, 0.11)) for lace in laces),
    ]


def umbrella(vary: Vary) -> list[Fill]:
    rise = vary(0.84, 0.98)
    hook = disc(0.17, 0.8, 0.17, 0.18, 180, 0)
    ribs = [curve((0, -rise), (x * 0.62, -rise * 0.7), (x, 0)) for x in (-0.5, 0.5)]
    return [
        Fill("canopy", "main", disc(0, 0, 1, rise, 180, 360)),
        *(Fill("canopy", "dark", stroke(rib, 0.05)) for rib in ribs),
        *(Fill(HOLE, "", disc(x, 0.02, 0.25, 0.13)) for x in (-0.75, -0.25, 0.25, 0.75)),
        Fill("shaft", "gray", box(-0.06, -0.11, 0.06, 0.82)),
        Fill("shaft", "gray", stroke(hook, 0.13)),
        Fill("shaft", "gray", box(-0.05, -rise - 0.12, 0.05, -rise + 0.02)),
    ]


def backpack(vary: Vary) -> list[Fill]:
    strap = stroke(curve((0.4, -0.5), (0.84, -0.2), (0.82, 0.5), (0.5, 0.8)), 0.17)
    w, top = vary(0.6, 0.66), vary(-0.78, -0.7)
    return [
        Fill("straps", "gray", disc(0, top, 0.24, 0.22)),
        Fill(HOLE, "", disc(0, top, 0.12, 0.11)),
        *(Fill("straps", "gray", strap * (s, 1)) for s in (-1, 1)),
        Fill(
            "body",
            "main",
            turned((0, top - 0.06), (0.34, top), (w, -0.3), (w + 0.02, 0.4), (w, 0.86), (w - 0.06, 0.92)),
        ),
        Fill("body", "dark", stroke(curve((-w + 0.06, -0.02), (-0.3, -0.42), (0.3, -0.42), (w - 0.06, -0.02)), 0.05)),
        Fill("pocket", "light", rounded(-0.42, 0.14, 0.42, 0.76, 0.14)),
        Fill("pocket", "dark", rounded(-0.42, 0.14, 0.42, 0.36, 0.1)),
        Fill("pocket", "steel", rounded(-0.07, 0.28, 0.07, 0.46, 0.03)),
    ]


SHAPES: dict[str, Shape] = {
    "hat": hat,
    "shoe": shoe,
    "umbrella": umbrella,
    "backpack": backpack,
}
