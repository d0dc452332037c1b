"""The rendered world: seeded scenes of parametric, named objects with named parts and exact masks."""

from training.scenes.render import render_scene
from training.scenes.vocabulary import COLORS, KINDS, MATERIALS, PATTERNS, SIZES
from training.scenes.world import Group, Part, Scene, SceneObject

__all__ = [
    "COLORS",
    "KINDS",
    "MATERIALS",
    "PATTERNS",
    "SIZES",
    "Group",
    "Part",
    "Scene",
    "SceneObject",
    "render_scene",
]
