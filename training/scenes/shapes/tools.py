"""Shapes of tools."""

from training.scenes.shapes.fills import HOLE, Fill, Shape, Vary
from training.scenes.shapes.outlines import blob, box, disc, poly, rotated, rounded, stroke, turned


def hammer(vary: Vary) -> list[Fill]:
    w = vary(0.13, 0.16)
    claw = blob((0.1, -0.86), (-0.3, -0.88), (-0.66, -0.7), (-0.84, -0.4), (-0.56, -0.5), (-0.26, -0.54), (0.1, -0.5))
    return [
        Fill(
            "handle",
            "main",
            turned((w - 0.02, -0.9), (w, -0.3), (w + 0.05, 0.3), (w + 0.07, 0.9), (0.1, 1.02), (0, 1.03)),
        ),
        Fill("handle", "dark", box(-w - 0.06, 0.7, w + 0.06, 0.78)),
        Fill("head", "steel", claw),
        Fill("head", "steel", box(0, -0.86, 0.42, -0.5)),
        Fill("head", "gray", rounded(0.38, -0.94, 0.68, -0.42, 0.05)),
        Fill("head", "shine", rounded(-0.2, -0.82, 0.36, -0.74, 0.03)),
    ]


def scissors(vary: Vary) -> list[Fill]:
    spread = vary(16, 24)
    rings = [disc(0.4 * s, 0.68, 0.38, 0.36) for s in (-1, 1)]
    holes = [disc(0.42 * s, 0.7, 0.2, 0.19) for s in (-1, 1)]
    arms = [stroke(poly((0.34 * s, 0.5), (-0.02 * s, 0.06)), 0.22) for s in (-1, 1)]
    blade = poly((-0.1, 0.26), (-0.12, -0.6), (0.02, -1.08), (0.1, -0.6), (0.1, 0.26))
    return [
        *(Fill("grips", "main", arm) for arm in arms),
        *(Fill("grips", "main", ring) for ring in rings),
        *(Fill(HOLE, "", hole) for hole in holes),
        Fill("blades", "gray", rotated(blade, -spread)),
        Fill("blades", "steel", rotated(blade * (-1, 1), spread)),
        Fill("blades", "pupil", disc(0, 0, 0.07, 0.07)),
    ]


def saw(vary: Vary) -> list[Fill]:
    deep = vary(0.34, 0.42)
    n = 11
    teeth = [p for i in range(n) for p in ((0.34 - 1.36 * i / n, deep), (0.34 - 1.36 * (i + 0.5) / n, deep - 0.09))]
    return [
        Fill("blade", "steel", poly((0.5, -0.3), (-1.08, 0.08), (-1.08, deep - 0.04), *teeth[::-1], (0.5, deep))),
        Fill("blade", "shine", poly((0.5, -0.18), (-1, 0.12), (-1, 0.18), (0.5, -0.08))),
        Fill(
            "handle",
            "main",
            blob((0.32, -0.4), (0.7, -0.5), (1.02, -0.36), (0.98, 0.1), (1.04, 0.48), (0.66, 0.54), (0.34, 0.4)),
        ),
        Fill(HOLE, "", rotated(rounded(0.58, -0.2, 0.8, 0.28, 0.1), 6, 0.7, 0)),
        Fill("handle", "dark", disc(0.45, -0.16, 0.05, 0.05)),
        Fill("handle", "dark", disc(0.45, 0.2, 0.05, 0.05)),
    ]


def pencil(vary: Vary) -> list[Fill]:
    w = vary(0.2, 0.25)
    third = w / 3
    return [
        Fill("tip", "tan", poly((-w, 0.5), (w, 0.5), (0, 1.1))),
        Fill("tip", "pupil", poly((-w * 0.36, 0.88), (w * 0.36, 0.88), (0, 1.1))),
        Fill("eraser", "rubber", rounded(-w, -1.06, w, -0.66, 0.1)),
        Fill("eraser", "steel", box(-w - 0.01, -0.84, w + 0.01, -0.66)),
        Fill(
            "shaft",
            "main",
            poly((-w, -0.66), (w, -0.66), (w, 0.52), (third * 2, 0.56), (0, 0.46), (-third * 2, 0.56), (-w, 0.52)),
        ),
        Fill("shaft", "dark", box(third, -0.66, w, 0.53)),
    ]


def key(vary: Vary) -> list[Fill]:
    r, long = vary(0.46, 0.52), vary(0.8, 0.92)
    bits = [box(0.06, long - 0.2, 0.42, long), box(0.06, long - 0.48, 0.34, long - 0.3)]
    return [
        Fill("bit", "dark", box(-0.11, -0.3, 0.11, long + 0.06)),
        *(Fill("bit", "dark", bit) for bit in bits),
        Fill("bow", "light", rounded(-0.2, -0.16, 0.2, -0.02, 0.05)),
        Fill("bow", "main", disc(0, -0.55, r + 0.06, r)),
        Fill(HOLE, "", disc(0, -0.6, r * 0.5, r * 0.42)),
    ]


SHAPES: dict[str, Shape] = {
    "hammer": hammer,
    "scissors": scissors,
    "saw": saw,
    "pencil": pencil,
    "key": key,
}
