"""Twins of any number of objects: held-out scenes laid side by side on one large image."""

from itertools import count as numbers
from math import ceil, sqrt

import numpy as np

from dtwinseger.twin import Mask, TwinRow, build_objects
from training.scenes import SceneObject, render_scene
from training.scenes.twins import true_semantics

FIRST_SEED = 2_000  # nothing is trained on scenes below 10,000
TILE = 256  # pixels, the side of a scene


def crowd(count: int) -> tuple[TwinRow, ...]:
    """The true twin of `count` objects as the reasoner reads it, relations across scenes included."""
    found: list[tuple[int, SceneObject]] = []  # the scene's number, and an object of it
    for scene in numbers():
        if len(found) >= count:
            break
        found += [(scene, thing) for thing in render_scene(FIRST_SEED + scene, TILE, TILE).objects]
    side = ceil(sqrt(found[-1][0] + 1))  # scenes in a row
    masks = []
    for scene, thing in found[:count]:
        y, x = (TILE * at for at in divmod(scene, side))
        mask = np.zeros((side * TILE, side * TILE), dtype=np.bool_)
        mask[y : y + TILE, x : x + TILE] = thing.mask
        masks.append(Mask.encode(mask))
    objects = build_objects(masks, [1.0] * count, [true_semantics(thing) for _, thing in found[:count]])
    return tuple(TwinRow(**{name: getattr(one, name) for name in TwinRow.model_fields}) for one in objects)
