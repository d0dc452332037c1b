"""The true twin of a scene: the rows that the gateway would build, were perception and semantics perfect."""

from dtwinseger.api import Semantics
from dtwinseger.twin import Mask, TwinObject, build_objects
from training.scenes.world import Scene, SceneObject


def true_twin(scene: Scene) -> tuple[TwinObject, ...]:
    """The objects of the scene, by visible area, largest first, with indices 1..N."""
    return build_objects(
        [Mask.encode(found.mask) for found in scene.objects],
        [1.0] * len(scene.objects),
        [true_semantics(found) for found in scene.objects],
    )


def true_semantics(found: SceneObject) -> Semantics:
    """What a perfect VLM says of the object."""
    return Semantics(semantic=found.semantic, category=found.kind, attributes=(found.size, found.color), relevance=0.0)
