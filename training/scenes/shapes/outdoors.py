"""Shapes of plants and buildings."""

from training.scenes.shapes.fills import Fill, Shape, Vary
from training.scenes.shapes.outlines import blob, box, curve, disc, poly, rotated, rounded, stroke


def tree(vary: Vary) -> list[Fill]:
    lobes = [(-0.46, -0.12), (0.46, -0.12), (0, -0.02), (-0.28, -0.56), (0.28, -0.56), (0, -0.4)]
    radii = [vary(0.38, 0.46) for _ in lobes]
    return [
        Fill("trunk", "bark", poly((-0.15, 0.1), (0.15, 0.1), (0.18, 0.8), (0.28, 1), (-0.28, 1), (-0.18, 0.8))),
        *(Fill("foliage", "dark", disc(x, y + 0.06, r, r)) for (x, y), r in zip(lobes[:3], radii, strict=False)),
        *(Fill("foliage", "main", disc(x, y - 0.02, r, r * 0.96)) for (x, y), r in zip(lobes, radii, strict=True)),
        Fill("foliage", "light", blob((-0.52, -0.6), (-0.36, -0.86), (-0.12, -0.88), (-0.3, -0.72))),
        Fill("foliage", "dark", blob((0.1, 0.02), (0.34, 0.12), (0.58, 0), (0.36, 0.2))),
    ]


def flower(vary: Vary) -> list[Fill]:
    turn, count = vary(0, 60), round(vary(5.6, 8.4))
    petals = [
        (tone, rotated(disc(0, -0.78, rx, ry), turn + 360 * i / count, 0, -0.42))
        for i in range(count)
        for tone, rx, ry in (("dark", 0.24, 0.32), ("main", 0.2, 0.28))
    ]
    left = blob((0, 0.9), (-0.16, 0.62), (-0.58, 0.4), (-0.66, 0.56), (-0.4, 0.8))
    right = blob((0, 0.96), (0.16, 0.7), (0.58, 0.5), (0.66, 0.66), (0.4, 0.88))
    return [
        Fill("stem", "leaf", stroke(curve((0, -0.4), (0.03, 0.3), (0, 1.06)), 0.14)),
        Fill("leaves", "shade", left),
        Fill("leaves", "shade", right),
        *(Fill("petals", *petal) for petal in petals),
        Fill("middle", "brown", disc(0, -0.42, 0.25, 0.25)),
        Fill("middle", "gold", disc(0, -0.42, 0.19, 0.19)),
    ]


def cactus(vary: Vary) -> list[Fill]:
    left, right = vary(-0.2, -0.06), vary(-0.36, -0.2)
    arms = [
        curve((-0.1, left + 0.3), (-0.48, left + 0.26), (-0.54, left), (-0.54, left - 0.26)),
        curve((0.1, right + 0.44), (0.48, right + 0.4), (0.54, right + 0.1), (0.54, right - 0.16)),
    ]
    tips = [disc(-0.54, left - 0.26, 0.135, 0.14), disc(0.54, right - 0.16, 0.135, 0.14)]
    return [
        *(Fill("stem", "main", stroke(arm, 0.27)) for arm in arms),
        *(Fill("stem", "main", tip) for tip in tips),
        Fill("stem", "main", rounded(-0.27, -1, 0.27, 0.6, 0.26)),
        *(Fill("stem", "dark", rounded(x - 0.02, -0.8, x + 0.02, 0.36, 0.02)) for x in (-0.11, 0.11)),
        *(Fill("stem", "light", disc(x, y, 0.03, 0.03)) for x, y in ((0, -0.5), (0, 0.1), (-0.19, -0.3), (0.19, -0.1))),
        Fill("pot", "clay", poly((-0.44, 0.44), (0.44, 0.44), (0.33, 1), (-0.33, 1))),
        Fill("pot", "brick", rounded(-0.5, 0.38, 0.5, 0.58, 0.04)),
    ]


def house(vary: Vary) -> list[Fill]:
    eave, door = vary(-0.18, -0.08), vary(-0.48, -0.32)
    return [
        Fill("roof", "gray", box(0.36, -0.86, 0.6, eave)),
        Fill("walls", "main", box(-0.8, eave - 0.05, 0.8, 0.95)),
        Fill("roof", "dark", poly((-1, eave), (-0.12, -0.95), (0.12, -0.95), (1, eave))),
        Fill("roof", "gray", box(-1, eave - 0.03, 1, eave + 0.04)),
        Fill("door", "cork", rounded(door - 0.21, 0.26, door + 0.21, 0.95, 0.06)),
        Fill("door", "gold", disc(door + 0.13, 0.64, 0.04, 0.04)),
        Fill("window", "cork", box(0.07, 0.13, 0.63, 0.61)),
        Fill("window", "glass", box(0.12, 0.18, 0.58, 0.56)),
        Fill("window", "cork", box(0.32, 0.18, 0.38, 0.56)),
        Fill("window", "cork", box(0.12, 0.34, 0.58, 0.4)),
    ]


SHAPES: dict[str, Shape] = {
    "tree": tree,
    "flower": flower,
    "cactus": cactus,
    "house": house,
}
