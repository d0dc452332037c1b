"""Shapes of furniture, each on a level floor."""

from training.scenes.shapes.fills import HOLE, Fill, Shape, Vary
from training.scenes.shapes.outlines import box, disc, poly, rounded


def chair(vary: Vary) -> list[Fill]:
    top, seat = vary(-1.05, -0.9), 0.12
    board = poly((-0.55, seat - 0.12), (0.27, seat - 0.12), (0.64, seat + 0.24), (-0.27, seat + 0.24))
    edge = poly((-0.27, seat + 0.24), (0.64, seat + 0.24), (0.64, seat + 0.34), (-0.27, seat + 0.34))
    feet = ((-0.48, 0.8), (0.2, 0.8), (-0.2, 1), (0.55, 1))
    return [
        *(Fill("legs", "dark", box(x - 0.075, seat, x + 0.075, y)) for x, y in feet),
        Fill("back", "main", rounded(-0.57, top, 0.29, seat, 0.1)),
        Fill(HOLE, "", box(-0.4, top + 0.6, 0.12, seat - 0.12)),
        Fill("back", "main", box(-0.22, top + 0.5, -0.06, seat)),
        Fill("seat", "light", board),
        Fill("seat", "main", edge),
    ]


def table(vary: Vary) -> list[Fill]:
    inset, thick, floor = vary(0.12, 0.2), vary(0.12, 0.16), vary(0.7, 0.95)
    return [
        *(Fill("legs", "dark", box(x - 0.07, -0.2, x + 0.07, floor - 0.22)) for x in (-0.62, 0.62)),
        *(Fill("legs", "dark", box(x - 0.09, -0.1, x + 0.09, floor)) for x in (-1 + inset, 1 - inset)),
        Fill("top", "main", poly((-0.76, -0.62), (0.76, -0.62), (1, -0.1), (-1, -0.1))),
        Fill("top", "light", box(-1, -0.1, 1, -0.1 + thick)),
    ]


def sofa(vary: Vary) -> list[Fill]:
    top, gap = vary(-0.6, -0.5), 0.015
    cushions = [rounded(a + gap, 0.02, b - gap, 0.34, 0.08) for a, b in ((-0.72, 0), (0, 0.72))]
    return [
        *(
            Fill("legs", "bark", poly((x - 0.14, 0.5), (x + 0.14, 0.5), (x + 0.1, 0.82), (x - 0.1, 0.82)))
            for x in (-0.8, 0.8)
        ),
        Fill("back", "main", rounded(-0.86, top, 0.86, 0.3, 0.16)),
        Fill("back", "dark", box(-gap, top + 0.1, gap, 0.1)),
        Fill("seat", "dark", box(-0.8, 0.06, 0.8, 0.56)),
        *(Fill("seat", "light", cushion) for cushion in cushions),
        *(Fill("arms", "dark", rounded(x - 0.17, -0.18, x + 0.17, 0.58, 0.15)) for x in (-0.83, 0.83)),
        *(Fill("arms", "main", disc(x, -0.02, 0.1, 0.1)) for x in (-0.83, 0.83)),
    ]


def bed(vary: Vary) -> list[Fill]:
    top = vary(-0.86, -0.74)
    blanket = poly((-0.72, -0.06), (0.72, -0.06), (0.96, 0.38), (-0.96, 0.38))
    return [
        *(Fill("legs", "bark", box(x - 0.14, 0.4, x + 0.14, 0.9)) for x in (-0.8, 0.8)),
        Fill("headboard", "main", rounded(-0.86, top, 0.86, 0.4, 0.2)),
        Fill("mattress", "paper", poly((-0.68, -0.22), (0.68, -0.22), (0.96, 0.4), (-0.96, 0.4))),
        *(Fill("pillow", "dark", rounded(x - 0.31, -0.38, x + 0.31, -0.05, 0.1)) for x in (-0.34, 0.34)),
        *(Fill("pillow", "cream", rounded(x - 0.31, -0.4, x + 0.31, -0.09, 0.1)) for x in (-0.34, 0.34)),
        Fill("mattress", "light", blanket),
        Fill("mattress", "dark", rounded(-0.98, 0.36, 0.98, 0.66, 0.06)),
    ]


SHAPES: dict[str, Shape] = {
    "chair": chair,
    "table": table,
    "sofa": sofa,
    "bed": bed,
}
