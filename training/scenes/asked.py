"""What is asked about a scene, of its objects or of their parts: the twin of that level and the true pixels."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dtwinseger.twin import TwinObject
from training.scenes.queries import Asker, Query
from training.scenes.things import take_apart
from training.scenes.twins import Level, true_masks, true_twin
from training.scenes.world import Mask as Pixels
from training.scenes.world import Scene


@dataclass(frozen=True, eq=False)
class Twin:
    """The true twin of a scene at a level, and the masks of its objects, [H, W] bool each, in the same order."""

    level: Level
    objects: tuple[TwinObject, ...]
    masks: Sequence[Pixels]

    def answer(self, query: Query) -> Pixels:
        """[H, W] bool: the union of what answers a query about this twin."""
        found = np.zeros(self.masks[0].shape, dtype=np.bool_)
        for index in query.indices:
            found |= self.masks[index - 1]
        return found


def twin_of(scene: Scene, level: Level) -> Twin:
    return Twin(level, true_twin(scene, level), tuple(true_masks(scene, level)))


def asker_of(twin: Twin, seed: str, *, held_out: bool = False) -> Asker:
    """One who asks about the twin, the same for the same `seed`."""
    height, width = twin.masks[0].shape
    return Asker(take_apart(twin.objects), (height, width), random.Random(seed), held_out=held_out)  # noqa: S311


def faithful(query: Query, scene: Scene) -> bool:
    """Whether what the twin tells of several as one is so in the scene: a whole group answers, or all that its
    container holds. Every other query is as the twin tells it."""
    if query.kind != "group":
        return True
    return any(
        query.indices in (found.members, tuple(m for m in found.members if m not in _outer(scene, found.members)))
        for found in scene.groups
    )


def _outer(scene: Scene, members: tuple[int, ...]) -> set[int]:
    return {outer for inner, outer in scene.containments if inner in members and outer in members}
