"""The rendered world as Seg-DT takes it: a scene's picture, and queries with their true objects, answers and paths.

All that the builders know of `training.scenes`. In its paths a number in digits is the index of an object.
"""

import io
import random
from dataclasses import dataclass

from PIL import Image

from dtwinseger.twin import TwinObject
from training.scenes import render_scene
from training.scenes.asked import asker_of, faithful, twin_of
from training.scenes.queries import Query
from training.scenes.render import SMALLEST, TRAINING

__all__ = ["ANNOTATOR", "HELD_OUT", "SMALLEST", "TrueQuery", "TrueScene", "true_scene"]

HELD_OUT = TRAINING  # seeds below are for evaluation
ANNOTATOR = "world"
PARTS = 0.25  # of the queries are for parts
_DRAWS = 4  # for each query that is wanted


@dataclass(frozen=True, eq=False)
class TrueQuery:
    """A query with its answer, and the true objects, indices 1..N, to which that and its path refer: parts of objects
    where the query is for a part."""

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
    whole, parts = twin_of(scene, "object"), twin_of(scene, "part")
    askers = [(twin, asker_of(twin, f"segdt {seed} {twin.level}")) for twin in (whole, parts)]
    rng = random.Random(f"segdt {seed}")  # noqa: S311
    found: dict[str, TrueQuery] = {}
    for _ in range(_DRAWS * queries):
        twin, asker = askers[rng.random() < PARTS]
        query = asker.draw()
        if query and faithful(query, scene) and len(found) < queries:
            found.setdefault(query.text, TrueQuery(query, twin.objects))
    buffer = io.BytesIO()
    Image.fromarray(scene.image).save(buffer, "PNG")
    return TrueScene(f"{seed:08d}-{width}x{height}", size, buffer.getvalue(), tuple(found.values()))
