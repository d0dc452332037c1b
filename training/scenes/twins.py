"""The true twin of a scene: the rows that the gateway would build, were perception and semantics perfect."""

from typing import Literal

from dtwinseger.api import Semantics
from dtwinseger.twin import Mask, TwinObject, build_objects
from training.scenes.vocabulary import part_wording
from training.scenes.world import Mask as Pixels
from training.scenes.world import Part, Scene, SceneObject

Level = Literal["object", "part"]


def true_twin(scene: Scene, level: Level = "object") -> tuple[TwinObject, ...]:
    """The objects of the scene, or the parts of them all, by visible area, largest first, with indices 1..N."""
    if level == "object":
        said = [true_semantics(found) for found in scene.objects]
    else:
        said = [true_part_semantics(found, part) for found, part in true_parts(scene)]
    masks = [Mask.encode(mask) for mask in true_masks(scene, level)]
    return build_objects(masks, [1.0] * len(masks), said)


def true_parts(scene: Scene) -> tuple[tuple[SceneObject, Part], ...]:
    """The parts of all objects, each with its object, in the order of the part twin."""
    parts = [(found, part) for found in scene.objects for part in found.parts]
    return tuple(sorted(parts, key=lambda pair: -int(pair[1].mask.sum())))


def true_semantics(found: SceneObject) -> Semantics:
    """What a perfect VLM says of the object; attributes: its size, its color, and its pattern or material if any."""
    said = (found.size, found.color, found.pattern or found.material)
    attributes = tuple(word for word in said if word)
    return Semantics(semantic=found.semantic, category=found.kind, attributes=attributes, relevance=0.0)


def true_part_semantics(found: SceneObject, part: Part) -> Semantics:
    """What a perfect VLM says of a part of the object: "the handle of a small red mug"."""
    return Semantics(semantic=part_wording(part.name, found.semantic), category=part.name, attributes=(), relevance=0.0)


def true_masks(scene: Scene, level: Level = "object") -> tuple[Pixels, ...]:
    """The masks of the true twin in its order, each [H, W] bool."""
    if level == "object":
        return tuple(found.mask for found in scene.objects)
    return tuple(part.mask for _, part in true_parts(scene))
