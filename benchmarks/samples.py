"""Held-out scenes of the rendered world, each with a query and its true answer."""

import io
import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dtwinseger.twin import TwinRow
from training.scenes import Scene, render_scene
from training.scenes.queries import Asker, Query
from training.scenes.things import rows, take_apart
from training.scenes.twins import true_twin

FIRST_SEED = 1_000  # nothing is trained on scenes below 10,000
SIDE = 512  # pixels
# The ways to refer to something, in turn: its name, its looks, its place, a relation, a use, and what is not there.
KINDS = ("name", "description", "place", "relation", "affordance", "none")


@dataclass(frozen=True, eq=False)
class Sample:
    """A scene and a query about it. `rows` is its true twin as the reasoner reads it, indices as in `scene.objects`."""

    scene: Scene
    png: bytes
    query: Query
    rows: tuple[TwinRow, ...]

    @property
    def truth(self) -> NDArray[np.bool_]:
        """[H, W] bool: the union of the objects that answer."""
        answer = np.zeros(self.scene.image.shape[:2], dtype=np.bool_)
        for index in self.query.indices:
            answer |= self.scene.objects[index - 1].mask
        return answer


def samples(count: int) -> Iterator[Sample]:
    """The first `count` samples: the same ones every time."""
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        scene = render_scene(seed, SIDE, SIDE)
        things = take_apart(true_twin(scene))
        asker = Asker(things, (SIDE, SIDE), random.Random(seed))  # noqa: S311 - a benchmark repeats
        first = seed % len(KINDS)
        turns = KINDS[first:] + KINDS[:first]  # the next kind where the scene offers none of this one
        query = next(query for kind in turns if (query := asker.draw(kind)))
        png = io.BytesIO()
        Image.fromarray(scene.image).save(png, "PNG")
        yield Sample(scene, png.getvalue(), query, rows(things, (SIDE, SIDE)))
