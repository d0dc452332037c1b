"""The rendered world: seeded scenes of parametric, named objects with named parts and exact masks."""

from training.scenes.render import render_scene
from training.scenes.world import COLORS, KINDS, SIZES, Part, Scene, SceneObject

__all__ = ["COLORS", "KINDS", "SIZES", "Part", "Scene", "SceneObject", "render_scene"]
