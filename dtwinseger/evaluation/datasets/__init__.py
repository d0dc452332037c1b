"""The data sets, each read from the folders that its authors publish."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from dtwinseger.evaluation.datasets import llmseg40k, reasonseg, refcoco, scenes
from dtwinseger.evaluation.samples import DatasetError, Sample

Dataset = Literal["reasonseg", "llmseg40k", "refcoco", "refcoco+", "refcocog", "grefcoco", "scenes"]

_LOADERS: dict[Dataset, Callable[[Path, str], list[Sample]]] = {
    "reasonseg": reasonseg.load,
    "llmseg40k": llmseg40k.load,
    "refcoco": partial(refcoco.load, dataset="refcoco"),
    "refcoco+": partial(refcoco.load, dataset="refcoco+"),
    "refcocog": partial(refcoco.load, dataset="refcocog"),
    "grefcoco": partial(refcoco.load, dataset="grefcoco"),
    "scenes": scenes.load,
}


def load(dataset: Dataset, root: Path, split: str) -> Sequence[Sample]:
    """The samples of a split, in the data set's own order, ids unique.

    `root` holds the data set as its authors lay it out. Images are not opened. Raises DatasetError, with the file,
    where a folder or an annotation is missing or broken, or two samples share an id.
    """
    samples = _LOADERS[dataset](root, split)
    seen: dict[str, Sample] = {}
    for sample in samples:
        other = seen.setdefault(sample.sample_id, sample)
        if other is not sample:
            raise DatasetError(f"{root}: {sample.image} and {other.image} give two samples {sample.sample_id}")
    return samples


def splits(dataset: Dataset, root: Path) -> tuple[str, ...]:
    """The splits that the data set is published in; for scenes, those under `root`."""
    match dataset:
        case "reasonseg":
            return reasonseg.SPLITS
        case "llmseg40k":
            return llmseg40k.SPLITS
        case "scenes":
            return scenes.splits(root)
        case _:
            return refcoco.SPLITS[dataset]
