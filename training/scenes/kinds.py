"""The shapes of the sixteen kinds: fills in paint order, in unit coordinates (y down, about 2 wide)."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from training.scenes.outlines import Polygon, box, disc, poly, rounded, stroke, wave

Vary = Callable[[float, float], float]  # draws a number between two bounds
HOLE = ""  # part name of a polygon that cuts through all that was painted before it


class Fill(NamedTuple):
    """A polygon painted in a tone of the object's color (main, dark, light, ink) or in a fixed neutral."""

    part: str
    tone: str
    polygon: Polygon


def ball(vary: Vary) -> list[Fill]:
    tilt, half = vary(-35, 35), vary(14, 20)
    return [
        Fill("ball", "light", disc(0, 0, 1, 1)),
        Fill("ball", "main", disc(0, 0, 1, 1, tilt + half, tilt + 180 - half)),
        Fill("ball", "main", disc(0, 0, 1, 1, tilt + 180 + half, tilt + 360 - half)),
    ]


def balloon(vary: Vary) -> list[Fill]:
    r = vary(0.52, 0.62)
    return [
        Fill("string", "gray", wave(0, 0.35, 1.15, vary(0.07, 0.12), 0.09)),
        Fill("envelope", "dark", poly((-0.14, 0.48), (0, 0.25), (0.14, 0.48))),
        Fill("envelope", "main", disc(0, -0.35, r, 0.7)),
        Fill("envelope", "light", disc(-r * 0.4, -0.65, 0.1, 0.2)),
    ]


def boat(vary: Vary) -> list[Fill]:
    top, boom = vary(-1.1, -0.9), 0.32
    return [
        Fill("mast", "gray", box(-0.1, top, 0.02, 0.6)),
        Fill("sail", "main", poly((0.04, top + 0.05), (vary(0.75, 0.9), boom), (0.04, boom))),
        Fill("sail", "main", poly((-0.13, top + 0.2), (-0.13, boom), (vary(-0.75, -0.6), boom))),
        Fill("hull", "dark", poly((-1, 0.45), (1, 0.45), (0.68, 0.9), (-0.62, 0.9))),
        Fill("hull", "light", poly((-0.94, 0.52), (0.95, 0.52), (0.9, 0.6), (-0.88, 0.6))),
    ]


def book(vary: Vary) -> list[Fill]:
    w = vary(0.62, 0.72)
    block = poly((-w, 0.82), (-w + 0.14, 1.02), (w + 0.14, 1.02), (w + 0.14, -0.7), (w, -0.9))
    return [
        Fill("pages", "paper", block),
        Fill("cover", "main", box(-w, -0.9, w, 0.82)),
        Fill("cover", "light", box(-w + 0.45, -0.6, w - 0.2, -0.42)),
        Fill("cover", "light", box(-w + 0.45, -0.28, w - 0.4, -0.16)),
        Fill("spine", "dark", box(-w, -0.9, -w + 0.24, 0.82)),
    ]


def bottle(vary: Vary) -> list[Fill]:
    w, neck = vary(0.34, 0.42), vary(-0.25, -0.1)
    return [
        Fill("neck", "dark", box(-0.14, -0.85, 0.14, neck + 0.1)),
        Fill("body", "main", poly((-0.14, neck), (0.14, neck), (w, neck + 0.35), (-w, neck + 0.35))),
        Fill("body", "main", rounded(-w, neck + 0.28, w, 1, 0.12)),
        Fill("body", "light", box(-w, neck + 0.5, w, neck + 0.78)),
        Fill("lid", "gray", box(-0.2, -1, 0.2, -0.76)),
    ]


def car(vary: Vary) -> list[Fill]:
    roof, back, front = vary(-0.62, -0.52), vary(-0.62, -0.5), vary(0.3, 0.42)
    rear = poly((back - 0.06, -0.1), (back + 0.08, roof + 0.11), (-0.12, roof + 0.11), (-0.12, -0.1))
    door = poly((0, -0.1), (0, roof + 0.11), (front - 0.06, roof + 0.11), (front + 0.16, -0.1))
    tires = [Fill("wheels", "gray", disc(x, 0.42, 0.24, 0.24)) for x in (-0.55, 0.55)]
    hubs = [Fill("wheels", "steel", disc(x, 0.42, 0.1, 0.1)) for x in (-0.55, 0.55)]
    return [
        Fill("body", "main", poly((back - 0.2, 0), (back, roof), (front, roof), (front + 0.32, 0))),
        Fill("body", "main", rounded(-1, -0.12, 1, 0.42, 0.16)),
        Fill("body", "dark", box(-0.95, 0.2, 0.95, 0.28)),
        Fill("window", "glass", rear),
        Fill("window", "glass", door),
        *tires,
        *hubs,
    ]


def chair(vary: Vary) -> list[Fill]:
    top, seat = vary(-1.05, -0.9), vary(0.1, 0.2)
    board = poly((-0.55, seat - 0.1), (0.27, seat - 0.1), (0.64, seat + 0.24), (-0.27, seat + 0.24))
    edge = poly((-0.27, seat + 0.24), (0.64, seat + 0.24), (0.64, seat + 0.34), (-0.27, seat + 0.34))
    legs = [
        Fill("legs", "dark", box(x - 0.07, seat, x + 0.07, y))
        for x, y in ((-0.48, 0.8), (0.2, 0.8), (-0.2, 1), (0.55, 1))
    ]
    return [
        *legs,
        Fill("back", "main", poly((-0.55, top), (0.27, top), (0.27, seat), (-0.55, seat))),
        Fill(HOLE, "", box(-0.4, top + 0.62, 0.12, seat - 0.1)),
        Fill("back", "main", box(-0.2, top + 0.5, -0.08, seat)),
        Fill("seat", "light", board),
        Fill("seat", "dark", edge),
    ]


def clock(vary: Vary) -> list[Fill]:
    hour = np.radians(vary(0, 360))
    minute = hour + np.radians(vary(50, 310))
    hands = [
        Fill("hands", "ink", stroke(poly((0, 0.1), (r * np.cos(a), 0.1 + r * np.sin(a))), 0.12))
        for a, r in ((hour, 0.38), (minute, 0.58))
    ]
    return [
        Fill("bells", "dark", disc(-0.5, -0.68, 0.32, 0.26)),
        Fill("bells", "dark", disc(0.5, -0.68, 0.32, 0.26)),
        Fill("rim", "gray", stroke(poly((-0.4, 0.7), (-0.65, 1.1)), 0.16)),
        Fill("rim", "gray", stroke(poly((0.4, 0.7), (0.65, 1.1)), 0.16)),
        Fill("rim", "gray", disc(0, 0.1, 0.95, 0.95)),
        Fill("face", "main", disc(0, 0.1, 0.8, 0.8)),
        *hands,
    ]


def fish(vary: Vary) -> list[Fill]:
    ry = vary(0.42, 0.52)
    fin = poly((-0.25, -ry * 0.8), (-0.1, -ry - 0.28), (0.35, -ry - 0.12), (0.4, -ry * 0.7))
    band = poly((-0.05, -ry * 0.75), (0.1, -ry * 0.85), (0.1, ry * 0.85), (-0.05, ry * 0.75))
    return [
        Fill("tail", "dark", poly((-0.4, 0), (-1, -0.45), (-0.84, 0), (-1, 0.45))),
        Fill("fin", "dark", fin),
        Fill("body", "main", disc(0.25, 0, 0.75, ry)),
        Fill("body", "light", band),
        Fill("body", "paper", disc(0.65, -0.12, 0.13, 0.13)),
        Fill("body", "pupil", disc(0.68, -0.12, 0.07, 0.07)),
    ]


def hat(vary: Vary) -> list[Fill]:
    w, top = vary(0.5, 0.58), vary(-0.75, -0.6)
    band = poly((-w, 0.0), (w, 0.0), (w, 0.24), (w * 0.5, 0.36), (-w * 0.5, 0.36), (-w, 0.24))
    return [
        Fill("brim", "main", disc(0, 0.3, 1, 0.26)),
        Fill("crown", "main", rounded(-w, top, w, 0.3, 0.2)),
        Fill("crown", "main", disc(0, 0.2, w, 0.2)),
        Fill("crown", "dark", band),
    ]


def house(vary: Vary) -> list[Fill]:
    eave, door = vary(-0.2, -0.08), vary(-0.5, -0.3)
    return [
        Fill("roof", "gray", box(0.35, -0.85, 0.58, eave)),
        Fill("walls", "main", box(-0.78, eave - 0.05, 0.78, 0.95)),
        Fill("roof", "dark", poly((-1, eave), (-0.1, -0.95), (0.1, -0.95), (1, eave))),
        Fill("door", "ink", box(door - 0.2, 0.32, door + 0.2, 0.95)),
        Fill("window", "glass", box(0.12, 0.12, 0.6, 0.55)),
        Fill("window", "gray", box(0.33, 0.12, 0.39, 0.55)),
    ]


def kite(vary: Vary) -> list[Fill]:
    w, mid = vary(0.55, 0.66), vary(-0.5, -0.38)
    bow = poly((-0.16, -0.1), (0.16, 0.1), (0.16, -0.1), (-0.16, 0.1))
    return [
        Fill("tail", "gray", wave(0, 0.4, 1.15, 0.1, 0.08)),
        Fill("tail", "dark", np.add(bow, (0.1, 0.72))),
        Fill("tail", "dark", np.add(bow, (-0.1, 1))),
        Fill("sail", "main", poly((0, -1.1), (w, mid), (0, 0.48), (-w, mid))),
        Fill("sail", "light", poly((0, -1.1), (w, mid), (0, mid))),
        Fill("sail", "light", poly((0, 0.48), (-w, mid), (0, mid))),
    ]


def lamp(vary: Vary) -> list[Fill]:
    top, bottom = vary(0.28, 0.4), vary(0.7, 0.8)
    hem = poly((-bottom + 0.03, -0.02), (bottom - 0.03, -0.02), (bottom, 0.1), (-bottom, 0.1))
    return [
        Fill("base", "gray", box(-0.08, -0.2, 0.08, 0.9)),
        Fill("base", "gray", disc(0, 0.98, 0.5, 0.26, 180, 360)),
        Fill("shade", "main", poly((-top, -1), (top, -1), (bottom, 0.1), (-bottom, 0.1))),
        Fill("shade", "light", hem),
    ]


def mug(vary: Vary) -> list[Fill]:
    w, top = vary(0.55, 0.65), vary(-0.8, -0.65)
    return [
        Fill("handle", "dark", disc(w, 0.05, 0.44, 0.46)),
        Fill(HOLE, "", disc(w, 0.05, 0.25, 0.27)),
        Fill("body", "main", rounded(-w, top, w, 0.8, 0.14)),
        Fill("body", "dark", disc(0, top + 0.04, w, 0.15)),
        Fill("body", "light", disc(0, top + 0.07, w - 0.1, 0.09)),
    ]


def tree(vary: Vary) -> list[Fill]:
    lobes = [(-0.42, -0.15), (0.42, -0.15), (0.0, -0.05), (-0.25, -0.6), (0.25, -0.6)]
    crown = [Fill("foliage", "main", disc(x, y, r, r)) for x, y in lobes for r in [vary(0.4, 0.48)]]
    return [
        Fill("trunk", "brown", poly((-0.13, 0.1), (0.13, 0.1), (0.22, 1), (-0.22, 1))),
        *crown,
        Fill("foliage", "light", disc(-0.3, -0.65, 0.14, 0.1)),
        Fill("foliage", "dark", disc(0.35, -0.02, 0.2, 0.12)),
    ]


def umbrella(vary: Vary) -> list[Fill]:
    rise = vary(0.8, 0.95)
    hook = disc(0.14, 0.8, 0.14, 0.16, 180, 0)
    scallops = [Fill(HOLE, "", disc(x, 0.02, 0.25, 0.13)) for x in (-0.75, -0.25, 0.25, 0.75)]
    return [
        Fill("canopy", "main", disc(0, 0, 1, rise, 180, 360)),
        Fill("canopy", "light", disc(0, 0, 0.5, rise, 180, 360)),
        Fill("canopy", "main", disc(0, 0, 0.17, rise, 180, 360)),
        *scallops,
        Fill("shaft", "gray", box(-0.05, -0.12, 0.05, 0.8)),
        Fill("shaft", "gray", stroke(hook, 0.1)),
        Fill("shaft", "gray", box(-0.04, -rise - 0.12, 0.04, -rise + 0.02)),
    ]


SHAPES: dict[str, Callable[[Vary], list[Fill]]] = {
    shape.__name__: shape
    for shape in (
        ball,
        balloon,
        boat,
        book,
        bottle,
        car,
        chair,
        clock,
        fish,
        hat,
        house,
        kite,
        lamp,
        mug,
        tree,
        umbrella,
    )
}
