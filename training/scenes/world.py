"""What a scene holds: its picture, its objects with their parts, and how they stand together."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.scenes.vocabulary import wording

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Part:
    """A named part of an object. `mask` is [H, W] bool: the visible pixels, never empty."""

    name: str
    mask: Mask


@dataclass(frozen=True, eq=False)
class SceneObject:
    """One object, with a pattern or of a material or neither.

    `mask` is [H, W] bool, the visible pixels: the disjoint union of the masks of `parts`.
    """

    kind: str
    color: str
    size: str
    pattern: str | None
    material: str | None
    mask: Mask
    parts: tuple[Part, ...]

    @property
    def semantic(self) -> str:
        """The object in words, which only members of one group share: "a small red striped mug"."""
        return wording(self.size, self.color, self.kind, self.pattern, self.material)


@dataclass(frozen=True, eq=False)
class Group:
    """Several objects taken as one: "a bowl of apples". `members` are the indices, from 1, of all that belong to it,
    a container too; `mask` is [H, W] bool, their union."""

    name: str
    members: tuple[int, ...]
    mask: Mask


@dataclass(frozen=True, eq=False)
class Scene:
    """A rendered image, [H, W, 3] uint8 RGB, and its objects by visible area, largest first.

    Indices are of `objects`, from 1. supports: (the upper one, the one below it). containments: (inner, outer).
    """

    seed: int
    image: npt.NDArray[np.uint8]
    objects: tuple[SceneObject, ...]
    groups: tuple[Group, ...] = ()
    supports: tuple[tuple[int, int], ...] = ()
    containments: tuple[tuple[int, int], ...] = ()
