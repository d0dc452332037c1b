"""The rendered world as Seg-DT takes it: a scene's picture, and queries with their true objects, answers and paths.

All that the builders know of `training.scenes`. In its paths a number in digits is the index of an object.
"""

import io
import random
from dataclasses import dataclass

from PIL import Image

from dtwinseger.twin import TwinObject
from training.scenes import render_scene
from training.scenes.queries import Asker, Query
from training.scenes.render import SMALLEST
from training.scenes.things import take_apart
from training.scenes.twins import true_twin

__all__ = ["ANNOTATOR", "HELD_OUT", "SMALLEST", "TrueQuery", "TrueScene", "true_scene"]

HELD_OUT = 10_000  # seeds below are for evaluation
ANNOTATOR = "world"
_DRAWS = 4  # for each query that is wanted


@dataclass(frozen=True, eq=False)
class TrueQuery:
    """A query with its answer, and the true objects, indices 1..N, to which that and its path refer."""

    query: Query
    objects: tuple[TwinObject, ...]


@dataclass(frozen=True, eq=False)
class TrueScene:
    """A scene's picture and what is asked about it."""

    name: str
    size: tuple[int, int]  # (height, width) in pixels
    png: bytes
    queries: tuple[TrueQuery, ...]

    @property
    def file(self) -> str:
        """The name of the picture's file."""
        return f"{self.name}.png"


def true_scene(seed: int, size: tuple[int, int], queries: int) -> TrueScene:
    """The scene of `seed`, (height, width) pixels, with up to `queries` different ones about it.

    They are mixed as the world mixes them, and the same every time. Raises ValueError for a size under SMALLEST.
    """
    height, width = size
    scene = render_scene(seed, width, height)
    objects = true_twin(scene)
    asker = Asker(take_apart(objects), size, random.Random(f"segdt {seed}"))  # noqa: S311
    found: dict[str, TrueQuery] = {}
    for _ in range(_DRAWS * queries):
        query = asker.draw()
        if query and len(found) < queries:
            found.setdefault(query.text, TrueQuery(query, objects))
    buffer = io.BytesIO()
    Image.fromarray(scene.image).save(buffer, "PNG")
    return TrueScene(f"{seed:08d}-{width}x{height}", size, buffer.getvalue(), tuple(found.values()))
