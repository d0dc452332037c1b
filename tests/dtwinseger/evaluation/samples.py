"""Samples with masks made on the spot, and files of predictions for them."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dtwinseger.evaluation.metrics import Pixels
from dtwinseger.evaluation.predictions import Prediction, write
from dtwinseger.evaluation.samples import Facets, Sample, Truth, no_pixels
from dtwinseger.twin import Mask

SIZE = (10, 10)
FACETS = Facets(dataset="reasonseg", split="val")


def rows(first: int, last: int, size: tuple[int, int] = SIZE) -> NDArray[np.bool_]:
    """A mask of the rows from `first` up to `last`."""
    mask = no_pixels(size)
    mask[first:last] = True
    return mask


def truth(target: Pixels, twice: Pixels | None = None, ignore: Pixels | None = None) -> Truth:
    nothing = np.zeros_like(target)
    return Truth(target, nothing if twice is None else twice, nothing if ignore is None else ignore)


def sample(name: str, what: Truth, query: str = "what?", **facets: object) -> Sample:
    return Sample(name, Path(f"{name}.jpg"), query, partial(_given, what), replace(FACETS, **facets))


def predicted(path: Path, masks: dict[str, Pixels], order: Sequence[str] = ()) -> Path:
    write(path, [Prediction(sample_id=name, mask=Mask.encode(masks[name])) for name in order or masks])
    return path


def _given(what: Truth) -> Truth:
    return what
