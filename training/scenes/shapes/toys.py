"""Shapes of toys and instruments."""

import numpy as np

from training.scenes.shapes.fills import Fill, Shape, Vary
from training.scenes.shapes.outlines import box, curve, disc, poly, rotated, rounded, stroke, turned, wall, wave


def ball(vary: Vary) -> list[Fill]:
    tilt = vary(-40, 40)
    seams = [
        curve((-1, 0), (0, 0.06), (1, 0)),
        curve((-0.72, -0.7), (-0.36, 0), (-0.72, 0.7)),
        curve((0.72, -0.7), (0.36, 0), (0.72, 0.7)),
    ]
    return [
        Fill("ball", "main", disc(0, 0, 1, 1)),
        *(Fill("ball", "dark", rotated(stroke(seam, 0.07), tilt)) for seam in seams),
        Fill("ball", "light", rotated(disc(-0.16, -0.66, 0.24, 0.1), -14, -0.16, -0.66)),
    ]


def balloon(vary: Vary) -> list[Fill]:
    r = vary(0.56, 0.64)
    return [
        Fill("string", "gray", wave(0, 0.4, 1.15, vary(0.07, 0.12), 0.1)),
        Fill("envelope", "dark", poly((-0.14, 0.5), (0, 0.25), (0.14, 0.5))),
        Fill(
            "envelope",
            "main",
            turned((0, -1.05), (r * 0.6, -0.95), (r, -0.42), (r * 0.62, 0.12), (0.06, 0.38), (0, 0.38)),
        ),
        Fill("envelope", "light", rotated(disc(-r * 0.48, -0.66, 0.09, 0.2), 18, -r * 0.48, -0.66)),
    ]


def kite(vary: Vary) -> list[Fill]:
    w, mid = vary(0.62, 0.72), vary(-0.5, -0.38)
    bow = poly((-0.2, -0.12), (0.2, 0.12), (0.2, -0.12), (-0.2, 0.12))
    return [
        Fill("tail", "gray", wave(0, 0.4, 1.15, 0.1, 0.1)),
        Fill("tail", "dark", np.add(bow, (0.1, 0.68))),
        Fill("tail", "dark", np.add(bow, (-0.08, 1))),
        Fill("sail", "main", poly((0, -1.1), (w, mid), (0, 0.48), (-w, mid))),
        Fill("sail", "dark", box(-0.035, -1.06, 0.035, 0.44)),
        Fill("sail", "dark", box(-w + 0.06, mid - 0.035, w - 0.06, mid + 0.035)),
        Fill("sail", "light", poly((0.035, -1.02), (w - 0.08, mid - 0.035), (0.035, mid - 0.035))),
    ]


def drum(vary: Vary) -> list[Fill]:
    w, low = 0.86, vary(0.5, 0.6)
    n = 6
    xs = np.linspace(-w + 0.05, w - 0.05, n + 1)
    bulge = 0.22 * np.sqrt(1 - (xs / w) ** 2)
    cords = [
        poly((xs[i], (-0.26, low)[i % 2] + bulge[i]), (xs[i + 1], (low, -0.26)[i % 2] + bulge[i + 1])) for i in range(n)
    ]
    return [
        Fill("shell", "main", wall(-0.4, w, 0.25, (w, low), *disc(0, low, w, 0.24, 0, 90)[::5])),
        *(Fill("shell", "light", stroke(cord, 0.06)) for cord in cords),
        Fill("shell", "dark", np.concatenate([disc(0, low, w, 0.24, 180, 0), disc(0, low - 0.14, w, 0.24, 0, 180)])),
        Fill("shell", "dark", np.concatenate([disc(0, -0.26, w, 0.25, 180, 0), disc(0, -0.4, w, 0.25, 0, 180)])),
        Fill("shell", "dark", disc(0, -0.4, w + 0.02, 0.27)),
        Fill("skin", "cream", disc(0, -0.4, w - 0.06, 0.22)),
    ]


def guitar(vary: Vary) -> list[Fill]:
    w = vary(0.6, 0.68)
    body = turned((0, -0.06), (0.26, -0.06), (0.42, 0.12), (0.34, 0.36), (w, 0.66), (0.46, 0.98), (0, 1.08))
    head = poly((-0.22, -1.14), (0.22, -1.14), (0.18, -0.82), (-0.18, -0.82))
    return [
        Fill("body", "main", body),
        Fill("body", "pupil", disc(0, 0.34, 0.21, 0.19)),
        Fill("body", "dark", rounded(-0.26, 0.72, 0.26, 0.84, 0.04)),
        Fill("neck", "soil", box(-0.16, -0.9, 0.16, 0.2)),
        Fill("neck", "brown", head),
        *(Fill("neck", "steel", disc(0.25 * s, y, 0.06, 0.05)) for s in (-1, 1) for y in (-1.06, -0.92)),
        *(Fill("strings", "shine", box(x - 0.026, -0.86, x + 0.026, 0.76)) for x in (-0.09, 0, 0.09)),
    ]


SHAPES: dict[str, Shape] = {
    "ball": ball,
    "balloon": balloon,
    "kite": kite,
    "drum": drum,
    "guitar": guitar,
}
