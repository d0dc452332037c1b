"""The data sets, each read from the folders that its authors publish."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from dtwinseger.evaluation.datasets import reasonseg
from dtwinseger.evaluation.samples import Sample

Dataset = Literal["reasonseg", "llmseg40k", "refcoco", "refcoco+", "refcocog", "grefcoco", "scenes"]

_LOADERS: dict[Dataset, Callable[[Path, str], list[Sample]]] = {
    "reasonseg": reasonseg.load,
}


def load(dataset: Dataset, root: Path, split: str) -> Sequence[Sample]:
    """The samples of a split, in the data set's own order, ids unique.

    `root` holds the data set as its authors lay it out. Images are not opened. Raises DatasetError, with the file,
    where a folder or an annotation is missing or broken.
    """
    return _LOADERS[dataset](root, split)
