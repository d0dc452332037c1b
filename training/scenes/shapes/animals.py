"""Shapes of animals, from the side but for the butterfly."""

from training.scenes.shapes.fills import Fill, Shape, Vary
from training.scenes.shapes.outlines import blob, curve, disc, poly, rotated, rounded, stroke


def fish(vary: Vary) -> list[Fill]:
    ry = vary(0.44, 0.52)
    body = blob(
        (-0.56, 0),
        (-0.2, -ry * 0.72),
        (0.3, -ry),
        (0.78, -ry * 0.62),
        (1.0, 0.02),
        (0.78, ry * 0.62),
        (0.3, ry),
        (-0.2, ry * 0.72),
    )
    return [
        Fill("tail", "dark", blob((-0.4, 0), (-0.8, -0.44), (-1.04, -0.5), (-0.9, 0), (-1.04, 0.5), (-0.8, 0.44))),
        Fill("fin", "dark", blob((-0.22, -ry * 0.6), (-0.12, -ry - 0.2), (0.2, -ry - 0.26), (0.46, -ry * 0.8))),
        Fill("body", "main", body),
        Fill(
            "body",
            "light",
            blob(
                (-0.3, ry * 0.56),
                (0.3, ry * 0.66),
                (0.84, ry * 0.44),
                (0.6, ry * 0.8),
                (0.3, ry * 0.97),
                (-0.1, ry * 0.78),
            ),
        ),
        Fill("fin", "dark", blob((0.3, 0.04), (0.02, 0), (-0.12, 0.16), (0.08, 0.24))),
        Fill("body", "paper", disc(0.66, -0.12, 0.13, 0.13)),
        Fill("body", "pupil", disc(0.69, -0.12, 0.075, 0.075)),
        Fill("body", "dark", stroke(curve((0.44, -0.24), (0.36, 0), (0.44, 0.22)), 0.045)),
    ]


def bird(vary: Vary) -> list[Fill]:
    lift = vary(-14, 8)
    body = blob(
        (-0.62, 0.1),
        (-0.2, -0.16),
        (0.16, -0.34),
        (0.36, -0.62),
        (0.62, -0.66),
        (0.8, -0.44),
        (0.74, -0.14),
        (0.62, 0.28),
        (0.2, 0.58),
        (-0.3, 0.46),
    )
    wing = blob((0.34, -0.02), (0.1, -0.18), (-0.3, 0), (-0.74, 0.1), (-0.34, 0.26), (0.02, 0.34), (0.26, 0.24))
    return [
        Fill("tail", "dark", poly((-0.4, 0.06), (-1.08, -0.2), (-1.14, 0.06), (-0.98, 0.22), (-0.4, 0.36))),
        Fill("beak", "flame", poly((0.7, -0.6), (1.2, -0.36), (0.68, -0.2))),
        Fill("body", "main", body),
        Fill("body", "light", blob((0.72, -0.06), (0.62, 0.26), (0.24, 0.53), (0.1, 0.5), (0.42, 0.24))),
        Fill("wing", "dark", rotated(wing, lift, 0.34, 0)),
        Fill("wing", "main", rotated(stroke(curve((0.1, 0.14), (-0.2, 0.16), (-0.5, 0.12)), 0.05), lift, 0.34, 0)),
        Fill("body", "paper", disc(0.56, -0.44, 0.1, 0.1)),
        Fill("body", "pupil", disc(0.58, -0.44, 0.065, 0.065)),
    ]


def cat(vary: Vary) -> list[Fill]:
    tip = vary(-0.72, -0.56)
    ears = [poly((x - 0.2, -0.5), (x + 0.03 * s, -0.96), (x + 0.2, -0.5)) for x, s in ((0.41, -1), (0.79, 1))]
    inner = [poly((x - 0.1, -0.56), (x + 0.03 * s, -0.82), (x + 0.1, -0.56)) for x, s in ((0.41, -1), (0.79, 1))]
    return [
        Fill("tail", "dark", stroke(curve((-0.56, 0.06), (-0.86, 0), (-1, -0.3), (-0.86, tip)), 0.24, 0.16)),
        *(Fill("legs", "dark", rounded(x - 0.11, 0.2, x + 0.11, 0.86, 0.07)) for x in (-0.56, -0.28, 0.2, 0.46)),
        Fill(
            "body",
            "main",
            blob(
                (-0.72, 0.06),
                (-0.5, -0.16),
                (0, -0.12),
                (0.46, -0.2),
                (0.66, 0.1),
                (0.5, 0.44),
                (0, 0.42),
                (-0.56, 0.46),
            ),
        ),
        *(Fill("head", "light", ear) for ear in ears),
        *(Fill("head", "rubber", ear) for ear in inner),
        Fill("head", "light", disc(0.6, -0.34, 0.44, 0.36)),
        *(Fill("head", "pupil", disc(x, -0.38, 0.055, 0.08)) for x in (0.44, 0.76)),
        Fill("head", "rubber", poly((0.53, -0.25), (0.67, -0.25), (0.6, -0.17))),
        Fill("head", "pupil", stroke(curve((0.48, -0.12), (0.6, -0.09), (0.72, -0.12)), 0.03)),
    ]


def butterfly(vary: Vary) -> list[Fill]:
    top, low = vary(-0.84, -0.72), vary(0.66, 0.78)
    upper = [(0, -0.1), (0.3, -0.6), (0.74, top), (1, -0.6), (0.9, -0.14), (0.5, 0.08)]
    lower = [(0, 0), (0.5, 0.06), (0.76, 0.34), (0.6, low), (0.3, 0.6)]
    fills = []
    for s in (-1.0, 1.0):
        fills += [
            Fill("wings", "dark", blob(*((s * x, y) for x, y in lower))),
            Fill("wings", "light", disc(s * 0.46, 0.38, 0.13, 0.17)),
            Fill("wings", "main", blob(*((s * x, y) for x, y in upper))),
        ]
        fills.append(Fill("body", "ink", stroke(curve((0.03 * s, -0.46), (0.1 * s, -0.76), (0.26 * s, -0.9)), 0.06)))
    return [
        *fills,
        Fill("body", "ink", disc(0, 0.06, 0.13, 0.56)),
        Fill("body", "ink", disc(0, -0.46, 0.15, 0.15)),
    ]


SHAPES: dict[str, Shape] = {
    "fish": fish,
    "bird": bird,
    "cat": cat,
    "butterfly": butterfly,
}
