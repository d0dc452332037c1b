"""Where things may lie: in what opens at the top, and on what has a top. Unit coordinates of the shapes, y down.

The shapes hold to these numbers in all their variations.
"""

# Kind -> (left, top, right, bottom): the rectangle in which the lowest points of its contents lie.
OPENINGS: dict[str, tuple[float, float, float, float]] = {
    "bowl": (-0.62, -0.12, 0.62, 0.1),
    "basket": (-0.62, 0.0, 0.62, 0.2),
    "box": (-0.62, -0.2, 0.62, 0.1),
    "vase": (-0.16, -0.5, 0.16, -0.2),
    "plate": (-0.55, -0.04, 0.55, 0.08),
    "pan": (-0.5, -0.06, 0.5, 0.1),
    "mug": (-0.35, -0.25, 0.35, 0.1),
}

# Kind -> how many of its fills are painted before its contents.
CONTENTS_BEFORE: dict[str, int] = {
    "bowl": 2,
    "basket": 4,
    "box": 4,
    "vase": 2,
    "plate": 5,
    "pan": 4,
    "mug": 4,
}

# Kind -> (left, y, right): the line that things on it stand on.
TOPS: dict[str, tuple[float, float, float]] = {
    "table": (-0.85, -0.32, 0.85),
    "bed": (-0.35, 0.12, 0.85),
    "sofa": (-0.6, 0.18, 0.6),
    "chair": (-0.3, 0.2, 0.35),
    "book": (-0.6, -0.2, 0.6),
    "drum": (-0.6, -0.5, 0.6),
    "truck": (-0.95, -0.7, 0.3),
}
