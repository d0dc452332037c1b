"""What a shape is made of: polygons, each a part's, painted in order in a tone of the object's color or a neutral."""

from collections.abc import Callable
from typing import NamedTuple

from training.scenes.shapes.outlines import Polygon

Vary = Callable[[float, float], float]  # draws a number between two bounds
HOLE = ""  # part name of a polygon that cuts through all that was painted before it

# Tones that the object's color gives; "main" is the surface that bears its pattern or material.
TONES = ("main", "dark", "light", "ink")

# Tones that do not follow the object's color, RGB.
NEUTRALS: dict[str, tuple[int, int, int]] = {
    "gray": (70, 72, 76),
    "steel": (186, 188, 192),
    "shine": (214, 217, 221),
    "brown": (104, 74, 50),
    "bark": (150, 110, 76),
    "tan": (226, 190, 142),
    "glass": (176, 206, 218),
    "paper": (238, 232, 216),
    "cream": (250, 240, 222),
    "cork": (172, 128, 84),
    "pupil": (24, 24, 26),
    "leaf": (74, 138, 58),
    "shade": (52, 104, 48),
    "flame": (250, 170, 40),
    "glow": (255, 232, 120),
    "cherry": (186, 24, 48),
    "rubber": (222, 128, 132),
    "gold": (226, 176, 60),
    "soil": (78, 54, 38),
    "clay": (198, 108, 70),
    "brick": (160, 78, 50),
}


class Fill(NamedTuple):
    """A polygon painted in a tone of the object's color (TONES) or in a neutral (NEUTRALS)."""

    part: str
    tone: str
    polygon: Polygon


Shape = Callable[[Vary], list[Fill]]
