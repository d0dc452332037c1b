"""What a scene holds: its records, and the vocabulary of kinds with their parts, colors and sizes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]

# Kind -> the names of its parts, at most four.
KINDS: dict[str, tuple[str, ...]] = {
    "ball": ("ball",),
    "balloon": ("envelope", "string"),
    "boat": ("hull", "mast", "sail"),
    "book": ("cover", "spine", "pages"),
    "bottle": ("body", "neck", "cap"),
    "car": ("body", "window", "wheels"),
    "chair": ("back", "seat", "legs"),
    "clock": ("bells", "rim", "face", "hands"),
    "fish": ("body", "tail", "fin"),
    "hat": ("crown", "brim"),
    "house": ("walls", "roof", "door", "window"),
    "kite": ("sail", "tail"),
    "lamp": ("shade", "base"),
    "mug": ("body", "handle"),
    "tree": ("crown", "trunk"),
    "umbrella": ("canopy", "shaft"),
}

# Color -> RGB of an object's dominant part, before a jitter of +-11 per channel.
COLORS: dict[str, tuple[int, int, int]] = {
    "red": (206, 36, 40),
    "orange": (243, 130, 22),
    "yellow": (246, 216, 40),
    "green": (42, 150, 60),
    "blue": (36, 88, 204),
    "purple": (138, 54, 172),
    "white": (244, 244, 242),
    "black": (26, 26, 30),
}

# Size -> longest side of the object's box as a share of the image's shorter side, before a jitter of +-8 %.
SIZES: dict[str, float] = {"small": 0.15, "medium": 0.25, "large": 0.38}


@dataclass(frozen=True, eq=False)
class Part:
    """A named part of an object. `mask` is [H, W] bool: the visible pixels, never empty."""

    name: str
    mask: Mask


@dataclass(frozen=True, eq=False)
class SceneObject:
    """One object. `mask` is [H, W] bool, the visible pixels: the disjoint union of the masks of `parts`."""

    kind: str
    color: str
    size: str
    mask: Mask
    parts: tuple[Part, ...]

    @property
    def semantic(self) -> str:
        """The object in words, unique in its scene: "a small red mug"."""
        return f"a {self.size} {self.color} {self.kind}"


@dataclass(frozen=True, eq=False)
class Scene:
    """A rendered image, [H, W, 3] uint8 RGB, and its objects by visible area, largest first."""

    seed: int
    image: npt.NDArray[np.uint8]
    objects: tuple[SceneObject, ...]
