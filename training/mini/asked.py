"""Queries about a scene for the VLM: words, granularity, and which rows of the true twin could answer them."""

import random

import numpy as np
import numpy.typing as npt

from dtwinseger.twin import Granularity
from training.scenes import Scene
from training.scenes.criteria import of_place
from training.scenes.paths import kept
from training.scenes.queries import Asker, Query
from training.scenes.things import take_apart
from training.scenes.twins import true_twin

GRANULARITIES: tuple[Granularity, ...] = ("group", "object", "part")
LONGEST = 192  # bytes of a query
QUERY = np.dtype(
    [
        ("text", f"S{LONGEST}"),  # UTF-8
        ("granularity", np.uint8),  # index into GRANULARITIES
        ("fits", np.uint64),  # bit i: row i of the twin, of parts where they are asked for, could be what is asked for
    ]
)


def ask(scene: Scene, rng: random.Random, count: int, *, held_out: bool = False) -> npt.NDArray[np.void]:
    """`count` queries about the scene, [count] of QUERY, a third of them for parts. held_out: in held-out phrasings."""
    size = scene.image.shape[:2]
    askers = [
        Asker(take_apart(true_twin(scene, level)), (size[0], size[1]), rng, held_out=held_out)
        for level in ("object", "part")
    ]
    asked: list[tuple[bytes, int, int]] = []
    while len(asked) < count:
        asker = askers[len(asked) % 3 == 0]
        query = asker.draw()
        if query is not None and len(query.text.encode()) <= LONGEST:
            asked.append((query.text.encode(), GRANULARITIES.index(query.granularity), _fits(query, asker)))
    return np.array(asked, QUERY)


def _fits(query: Query, asker: Asker) -> int:
    """Bits of the rows that pass the first criterion that asks what a thing is, not where, if there is one: of what
    nothing could answer, none."""
    what = [criterion for criterion in query.criteria if not of_place(criterion)] or query.criteria
    fitting = kept(asker.things, asker.size, what[:1]) if what else query.indices
    return sum(1 << (index - 1) for index in fitting)
