"""Is a data set all there? Its samples, images and masks, beside the counts that were published."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dtwinseger.evaluation.datasets import Dataset, load
from dtwinseger.evaluation.samples import DatasetError, Sample, image_size

# Images of each split. ReasonSeg: the DTwinSeger paper's splits. RefCOCO, + and g: the counts of TensorFlow Datasets'
# `ref_coco` for the unc and umd partitions (tensorflow/datasets, docs/catalog/ref_coco.md).
PUBLISHED: dict[Dataset, dict[str, int]] = {
    "reasonseg": {"train": 239, "val": 200, "test": 779},
    "refcoco": {"train": 16_994, "val": 1_500, "testA": 750, "testB": 750},
    "refcoco+": {"train": 16_992, "val": 1_500, "testA": 750, "testB": 750},
    "refcocog": {"train": 21_899, "val": 1_300, "test": 2_600},
}


@dataclass(frozen=True)
class SplitReport:
    """What a split holds. `published` is None where no count is known; `problems` are sentences."""

    split: str
    samples: int
    images: int
    empty: int  # samples whose truth has no target
    published: int | None
    problems: tuple[str, ...]


def check(
    dataset: Dataset, root: Path, split: str, progress: Callable[[Sequence[Sample]], Iterator[Sample]] = iter
) -> SplitReport:
    """Read every annotation, mask and image head of a split; `progress` shows how far it is."""
    published = PUBLISHED.get(dataset, {}).get(split)
    try:
        samples = load(dataset, root, split)
    except DatasetError as error:
        return SplitReport(split, 0, 0, 0, published, (str(error),))
    images = len({sample.image for sample in samples})
    problems = []
    if published is not None and images != published:
        problems.append(f"{images:,} of {published:,} images")
    empty, broken = _examine(progress(samples))
    if broken:
        problems.append(f"{len(broken):,} missing or broken: {broken[0]}")
    return SplitReport(split, len(samples), images, empty, published, tuple(problems))


def _examine(samples: Iterator[Sample]) -> tuple[int, list[str]]:
    """How many truths have no target, and what is wrong, a sentence an image or mask that cannot be used."""
    empty = 0
    sizes: dict[Path, tuple[int, int] | None] = {}  # None where the image cannot be read, and that was said
    broken = []
    for sample in samples:
        try:
            truth = sample.load_truth()
            empty += not truth.target.any()
            if sample.image not in sizes:
                sizes[sample.image] = None
                sizes[sample.image] = image_size(sample.image)
        except DatasetError as error:
            broken.append(str(error))
            continue
        size = sizes[sample.image]
        if size is not None and size != truth.size:
            broken.append(f"{sample.image}: the image is {size[0]}x{size[1]}, its mask {truth.size[0]}x{truth.size[1]}")
    return empty, broken
