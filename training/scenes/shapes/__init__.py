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

_THEMES = (animals, clothing, cutlery, food, furniture, home, kitchen, outdoors, tools, toys, vehicles)

# Each kind's shape is the function of its name.
SHAPES: dict[str, Shape] = {
    kind: next(getattr(theme, kind) for theme in _THEMES if hasattr(theme, kind)) for kind in KINDS if kind != "box"
} | {"box": home.chest}

__all__ = ["CONTENTS_BEFORE", "HOLE", "NEUTRALS", "OPENINGS", "SHAPES", "TONES", "TOPS", "Fill", "Shape", "Vary"]
