"""The figures of a finished run, with intervals."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dtwinseger.evaluation.metrics import Interval, bootstrap_all, ciou, giou
from dtwinseger.evaluation.runs.journal import places
from dtwinseger.evaluation.runs.record import RESULTS, RunError
from dtwinseger.evaluation.runs.tally import Tally


@dataclass(frozen=True)
class Figures:
    """Of all samples of a run; those that failed count as empty predictions."""

    tally: Tally
    giou: Interval
    ciou: Interval


def figures(folder: Path) -> Figures:
    """Read a run's results. Raises RunError where it has none."""
    tally = Tally()
    pairs = []
    images: dict[str, int] = {}  # queries on one image are drawn together
    for place in places(folder / RESULTS):
        tally.add(place)
        image = images.setdefault(place.sample_id.partition("#")[0], len(images))
        pairs.append((place.position, place.intersection, place.union, image))
    if not pairs:
        raise RunError(f"{folder / RESULTS}: no results yet")
    counts = np.array(sorted(pairs), dtype=np.int64)  # [N, 4], by position, so that intervals repeat
    mean, cumulative = bootstrap_all([giou, ciou], counts[:, 1], counts[:, 2], counts[:, 3])
    return Figures(tally, mean, cumulative)
