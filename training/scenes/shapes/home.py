"""Shapes of things of the house."""

import numpy as np

from training.scenes.shapes.fills import HOLE, Fill, Shape, Vary
from training.scenes.shapes.outlines import blob, box, disc, lip, poly, rounded, stroke, turned, wall


def lamp(vary: Vary) -> list[Fill]:
    top, bottom = vary(0.3, 0.42), vary(0.7, 0.8)
    hem = poly((-bottom + 0.03, -0.03), (bottom - 0.03, -0.03), (bottom, 0.1), (-bottom, 0.1))
    return [
        Fill("base", "gray", turned((0.1, 0), (0.09, 0.2), (0.24, 0.5), (0.1, 0.8), (0.1, 0.84))),
        Fill("base", "gray", disc(0, 1, 0.46, 0.24, 180, 360)),
        Fill("base", "steel", disc(-0.08, 0.48, 0.05, 0.14)),
        Fill("shade", "main", poly((-top, -1), (top, -1), (bottom, 0.1), (-bottom, 0.1))),
        Fill("shade", "light", hem),
    ]


def vase(vary: Vary) -> list[Fill]:
    w = vary(0.5, 0.6)
    body = turned((0.23, -0.44), (0.34, -0.32), (w - 0.06, -0.08), (w, 0.22), (w - 0.08, 0.58), (0.34, 0.92), (0.31, 1))
    side = ((0.38, -0.86), (0.28, -0.72), (0.23, -0.56), (0.25, -0.38))
    return [
        Fill("neck", "light", disc(0, -0.86, 0.38, 0.11)),
        Fill("neck", "gray", disc(0, -0.86, 0.3, 0.07)),
        Fill("neck", "dark", wall(-0.86, 0.38, 0.11, *side)),
        Fill("neck", "light", lip(-0.86, 0.38, 0.11, 0.08)),
        Fill("body", "main", body),
        Fill("body", "light", disc(-w * 0.55, 0.14, 0.06, 0.2)),
    ]


def basket(vary: Vary) -> list[Fill]:
    foot, arch = vary(0.58, 0.68), vary(0.86, 1)
    side = ((0.9, 0), (foot, 0.8))
    weave = [(x, y) for row, y in enumerate((0.3, 0.44, 0.58)) for x in np.arange(-0.6 + 0.15 * (row % 2), 0.61, 0.3)]
    return [
        Fill("handle", "dark", disc(0, 0, 0.84, arch, 180, 360)),
        Fill(HOLE, "", disc(0, 0.02, 0.68, arch - 0.16, 180, 360)),
        Fill("body", "light", disc(0, 0, 0.92, 0.2)),
        Fill("body", "dark", disc(0, 0, 0.82, 0.15)),
        Fill("body", "main", wall(0, 0.92, 0.2, *side)),
        *(Fill("body", "dark", rounded(x - 0.09, y - 0.02, x + 0.09, y + 0.02, 0.015)) for x, y in weave),
        Fill("body", "light", lip(0, 0.92, 0.2, 0.1)),
    ]


def chest(vary: Vary) -> list[Fill]:
    lean, low = vary(-0.06, 0.06), vary(0.6, 0.86)
    lid = poly((-0.7, -0.5), (0.7, -0.5), (0.86 + lean, -0.92), (-0.86 + lean, -0.92))
    return [
        Fill("lid", "light", lid),
        Fill(
            "lid",
            "dark",
            poly((-0.86 + lean, -0.92), (0.86 + lean, -0.92), (0.87 + lean, -0.98), (-0.87 + lean, -0.98)),
        ),
        Fill("side", "dark", poly((-0.7, -0.5), (0.7, -0.5), (0.86, -0.14), (-0.86, -0.14))),
        Fill("side", "gray", poly((-0.64, -0.46), (0.64, -0.46), (0.78, -0.18), (-0.78, -0.18))),
        Fill("side", "main", box(-0.86, -0.18, 0.86, low)),
        Fill("side", "dark", box(-0.86, -0.18, 0.86, -0.1)),
    ]


def candle(vary: Vary) -> list[Fill]:
    w, top = vary(0.24, 0.3), vary(-0.42, -0.3)
    flame = blob(
        (0, top - 0.62), (0.1, top - 0.36), (0.17, top - 0.2), (0, top - 0.02), (-0.17, top - 0.2), (-0.1, top - 0.36)
    )
    return [
        Fill("holder", "gold", disc(0.56, 0.68, 0.24, 0.2)),
        Fill(HOLE, "", disc(0.57, 0.68, 0.12, 0.09)),
        Fill("holder", "gold", wall(0.62, 0.62, 0.16, (0.5, 0.84), (0.34, 0.9))),
        Fill("holder", "brown", disc(0, 0.62, 0.62, 0.16)),
        Fill("holder", "gold", disc(0, 0.61, 0.54, 0.12)),
        Fill("flame", "flame", flame),
        Fill("flame", "glow", disc(0, top - 0.18, 0.08, 0.12)),
        Fill("wax", "main", wall(top, w, 0.07, (w, 0.6), (w * 0.7, 0.65), (0, 0.67))),
        Fill("wax", "light", disc(0, top, w, 0.07)),
        Fill("wax", "light", rounded(-w, top, -w + 0.13, top + vary(0.3, 0.5), 0.06)),
    ]


def clock(vary: Vary) -> list[Fill]:
    hour = np.radians(vary(0, 360))
    minute = hour + np.radians(vary(50, 310))
    ticks = [np.radians(a) for a in range(0, 360, 90)]
    feet = [poly((0.4 * s, 0.7), (0.62 * s, 1.08)) for s in (-1, 1)]
    return [
        *(Fill("bells", "steel", disc(0.48 * s, -0.7, 0.34, 0.27)) for s in (-1, 1)),
        *(Fill("bells", "gray", disc(0.48 * s, -0.7, 0.12, 0.1)) for s in (-1, 1)),
        *(Fill("rim", "dark", stroke(foot, 0.2)) for foot in feet),
        Fill("rim", "main", disc(0, 0.1, 0.94, 0.94)),
        Fill("rim", "dark", disc(0, 0.1, 0.69, 0.69)),
        Fill("face", "paper", disc(0, 0.1, 0.64, 0.64)),
        *(Fill("face", "gray", disc(0.54 * np.cos(a), 0.1 + 0.54 * np.sin(a), 0.05, 0.05)) for a in ticks),
        *(
            Fill("hands", "pupil", stroke(poly((0, 0.1), (r * np.cos(a), 0.1 + r * np.sin(a))), 0.15))
            for a, r in ((hour, 0.34), (minute, 0.54))
        ),
        Fill("hands", "pupil", disc(0, 0.1, 0.1, 0.1)),
    ]


def book(vary: Vary) -> list[Fill]:
    thick, back = vary(0.32, 0.4), vary(0.34, 0.46)
    front, right = 0.6, 0.1
    deep = poly((front, right), (1, -0.4), (1, -0.4 + thick), (front, right + thick))
    leaves = poly(
        (front + 0.03, right + 0.02), (0.97, -0.3), (0.97, -0.43 + thick), (front + 0.03, right + thick - 0.09)
    )
    return [
        Fill("cover", "dark", deep),
        Fill("pages", "paper", leaves),
        Fill("cover", "main", poly((-1, right), (front, right), (1, -0.4), (-1 + back, -0.4))),
        Fill("cover", "light", poly((-0.5, -0.06), (0.34, -0.06), (0.5, -0.24), (-0.34, -0.24))),
        Fill("spine", "dark", rounded(-1, right, front, right + thick, 0.04)),
        Fill("spine", "light", box(-0.74, right, -0.64, right + thick)),
        Fill("spine", "light", box(0.24, right, 0.34, right + thick)),
    ]


SHAPES: dict[str, Shape] = {
    "lamp": lamp,
    "vase": vase,
    "basket": basket,
    "box": chest,
    "candle": candle,
    "clock": clock,
    "book": book,
}
