"""The shapes of all kinds: fills in paint order, in unit coordinates (y down, about 2 wide).

What contents stand in: those of a kind in OPENINGS are painted after its first CONTENTS_BEFORE fills and before the
others, and their lowest points lie in the rectangle OPENINGS gives. TOPS gives the line that things stand on.
"""

from training.scenes.kinds import SHAPES as _OLD
from training.scenes.shapes.fills import HOLE, NEUTRALS, TONES, Fill, Shape, Vary
from training.scenes.shapes.places import CONTENTS_BEFORE, OPENINGS, TOPS

SHAPES: dict[str, Shape] = dict(_OLD)  # type: ignore[arg-type]

__all__ = ["CONTENTS_BEFORE", "HOLE", "NEUTRALS", "OPENINGS", "SHAPES", "TONES", "TOPS", "Fill", "Shape", "Vary"]
