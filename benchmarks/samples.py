"""Held-out scenes of the rendered world, each with a query and its true answer."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dtwinseger.twin import TwinRow
from training.scenes import Scene, render_scene
from training.scenes.export import FIRST_SEED, WHOLE, queries
from training.scenes.queries import Query
from training.scenes.things import rows, take_apart

SIDE = 512  # pixels


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
        ((twin, query),) = queries(scene, 1, WHOLE)
        png = io.BytesIO()
        Image.fromarray(scene.image).save(png, "PNG")
        yield Sample(scene, png.getvalue(), query, rows(take_apart(twin.objects), (SIDE, SIDE)))
