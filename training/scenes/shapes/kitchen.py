"""Shapes of what one cooks, eats and drinks with."""

from training.scenes.shapes.fills import HOLE, Fill, Shape, Vary
from training.scenes.shapes.outlines import box, curve, disc, lip, poly, rounded, stroke, turned, wall


def mug(vary: Vary) -> list[Fill]:
    w, drop, low = 0.6, vary(0, 0.1), vary(0.66, 0.86)
    side = ((w, 0.2), (w, low - 0.2), (w - 0.02, low - 0.09), (w - 0.07, low - 0.02), (w - 0.16, low))
    return [
        Fill("handle", "dark", disc(w, 0.08 + drop, 0.46, 0.46)),
        Fill(HOLE, "", disc(w, 0.08 + drop, 0.26, 0.27)),
        Fill("body", "light", disc(0, -0.62, w, 0.17)),
        Fill("body", "dark", disc(0, -0.62, w - 0.08, 0.12)),
        Fill("body", "main", wall(-0.62, w, 0.17, *side)),
        Fill("body", "light", lip(-0.62, w, 0.17, 0.08)),
    ]


def bottle(vary: Vary) -> list[Fill]:
    w, shoulder = vary(0.35, 0.42), vary(-0.3, -0.18)
    side = ((0.19, shoulder + 0.08), (w - 0.05, shoulder + 0.26), (w, shoulder + 0.42), (w, 0.8))
    return [
        Fill("body", "main", turned((0.15, shoulder), *side)),
        Fill("body", "main", rounded(-w, 0.6, w, 1, 0.1)),
        Fill("body", "light", box(-w, 0.22, w, 0.62)),
        Fill("neck", "dark", poly((-0.15, -0.78), (0.15, -0.78), (0.17, shoulder + 0.06), (-0.17, shoulder + 0.06))),
        Fill("lid", "gray", rounded(-0.21, -1, 0.21, -0.72, 0.05)),
        Fill("lid", "steel", box(-0.21, -0.8, 0.21, -0.72)),
    ]


def bowl(vary: Vary) -> list[Fill]:
    foot = vary(0.32, 0.42)
    side = ((1.0, -0.3), (0.97, -0.12), (0.86, 0.12), (0.66, 0.34), (foot + 0.06, 0.48), (foot, 0.52))
    return [
        Fill("rim", "light", disc(0, -0.3, 1, 0.26)),
        Fill("body", "dark", disc(0, -0.3, 0.85, 0.185)),
        Fill("body", "dark", box(-foot, 0.45, foot, 0.62)),
        Fill("body", "main", wall(-0.3, 1, 0.26, *side)),
        Fill("rim", "light", lip(-0.3, 1, 0.26, 0.15)),
    ]


def plate(vary: Vary) -> list[Fill]:
    r = vary(0.6, 0.68)
    return [
        Fill("rim", "dark", disc(0, 0.07, 0.99, 0.44)),
        Fill("rim", "dark", rounded(-0.5, 0.3, 0.5, 0.56, 0.05)),
        Fill("rim", "main", disc(0, 0, 1, 0.44)),
        Fill("rim", "dark", disc(0, 0, r + 0.05, 0.29)),
        Fill("middle", "light", disc(0, 0.01, r, 0.26)),
    ]


def teapot(vary: Vary) -> list[Fill]:
    w, reach = vary(0.58, 0.64), vary(0.96, 1.05)
    body = turned((0.28, -0.38), (0.48, -0.22), (w, 0.18), (0.52, 0.55), (0.36, 0.76), (0.36, 0.78))
    spout = curve((0.35, 0.42), (0.68, 0.22), (0.76, -0.12), (reach, -0.36))
    return [
        Fill("handle", "dark", disc(-0.62, 0.08, 0.44, 0.42)),
        Fill(HOLE, "", disc(-0.64, 0.08, 0.26, 0.25)),
        Fill("spout", "dark", stroke(spout, 0.38, 0.18)),
        Fill("body", "main", body),
        Fill("body", "light", disc(-0.3, 0, 0.08, 0.16)),
        Fill("lid", "light", disc(0, -0.32, 0.38, 0.28, 180, 360)),
        Fill("lid", "light", rounded(-0.42, -0.38, 0.42, -0.27, 0.05)),
        Fill("lid", "ink", disc(0, -0.64, 0.12, 0.1)),
    ]


def goblet(vary: Vary) -> list[Fill]:
    w, deep = vary(0.5, 0.58), vary(0.1, 0.2)
    side = ((w, -0.8), (w + 0.03, -0.52), (w - 0.06, -0.22), (w - 0.26, 0), (0.09, deep))
    return [
        Fill("stem", "dark", poly((-0.1, 0), (0.1, 0), (0.1, 0.84), (-0.1, 0.84))),
        Fill("stem", "dark", disc(0, deep + 0.22, 0.17, 0.1)),
        Fill("foot", "light", disc(0, 1, 0.52, 0.22, 180, 360)),
        Fill("foot", "light", box(-0.52, 0.98, 0.52, 1.05)),
        Fill("cup", "light", disc(0, -0.8, w, 0.15)),
        Fill("cup", "dark", disc(0, -0.8, w - 0.07, 0.1)),
        Fill("cup", "main", wall(-0.8, w, 0.15, *side)),
        Fill("cup", "light", lip(-0.8, w, 0.15, 0.07)),
    ]


def pan(vary: Vary) -> list[Fill]:
    rise = vary(-0.2, -0.08)
    grip = poly((0.55, -0.03), (1.26, rise))
    side = ((0.72, 0), (0.71, 0.14), (0.66, 0.27), (0.58, 0.35), (0.46, 0.38))
    return [
        Fill("handle", "steel", stroke(poly((0.5, -0.02), (0.85, rise * 0.4)), 0.14)),
        Fill("handle", "gray", stroke(grip, 0.16, 0.24)),
        Fill("body", "light", disc(0, 0, 0.72, 0.26)),
        Fill("body", "dark", disc(0, 0.01, 0.62, 0.2)),
        Fill("body", "main", wall(0, 0.72, 0.26, *side)),
        Fill("body", "light", lip(0, 0.72, 0.26, 0.1)),
    ]


SHAPES: dict[str, Shape] = {
    "mug": mug,
    "bottle": bottle,
    "bowl": bowl,
    "plate": plate,
    "teapot": teapot,
    "goblet": goblet,
    "pan": pan,
}
