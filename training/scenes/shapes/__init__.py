"""The shapes of all kinds: fills in paint order, in unit coordinates (y down, about 2 wide).

What contents stand in: those of a kind in OPENINGS are painted after its first CONTENTS_BEFORE fills and before the
others, and their lowest points lie in the rectangle OPENINGS gives. TOPS gives the line that things stand on.
"""

from training.scenes.shapes import (
    animals,
    clothing,
    cutlery,
    food,
    furniture,
    home,
    kitchen,
    outdoors,
    tools,
    toys,
    vehicles,
)
from training.scenes.shapes.fills import HOLE, NEUTRALS, TONES, Fill, Shape, Vary
from training.scenes.shapes.places import CONTENTS_BEFORE, OPENINGS, TOPS
from training.scenes.vocabulary import KINDS

_THEMES = (kitchen, cutlery, food, furniture, home, tools, clothing, vehicles, animals, outdoors, toys)
_BY_KIND = {kind: shape for theme in _THEMES for kind, shape in theme.SHAPES.items()}

SHAPES: dict[str, Shape] = {kind: _BY_KIND[kind] for kind in KINDS}

__all__ = ["CONTENTS_BEFORE", "HOLE", "NEUTRALS", "OPENINGS", "SHAPES", "TONES", "TOPS", "Fill", "Shape", "Vary"]
