"""Predictions against the truth: the pixels of intersection and union of every sample, over several processes."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dtwinseger.evaluation.metrics import Counts, Pixels, pixel_counts
from dtwinseger.evaluation.predictions import Place, PredictionError, index, read_at
from dtwinseger.evaluation.samples import Sample, Truth, no_pixels
from dtwinseger.evaluation.variants import LISA, Definition, Variant

CHUNK = 32  # samples that a process takes at a time
WORTH_A_PROCESS = 400  # samples; a process takes about a second to start


@dataclass(frozen=True, eq=False)
class Scores:
    """What every figure is computed from, sample by sample: [N] each, in the data set's order."""

    samples: tuple[Sample, ...]
    missing: NDArray[np.bool_]  # nothing was predicted; counted as empty
    intersections: Counts  # pixels
    unions: Counts  # pixels
    targets: Counts  # pixels of the truth
    answers: Counts  # pixels of the prediction, ignored ones aside
    sizes: Counts  # pixels of the image

    @property
    def images(self) -> Counts:
        """[N]: the number of each sample's image, from 0; samples of one image share it."""
        numbers: dict[Path, int] = {}
        return np.array([numbers.setdefault(sample.image, len(numbers)) for sample in self.samples], dtype=np.int64)

    def at(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> "Scores":
        """The scores of the chosen samples, by index (again where it comes again) or by a mask."""
        indices = np.arange(len(self.samples))[chosen]
        arrays = {name: getattr(self, name)[indices] for name in _ARRAYS}
        return replace(self, samples=tuple(self.samples[i] for i in indices), missing=self.missing[indices], **arrays)


_ARRAYS = ("intersections", "unions", "targets", "answers", "sizes")

Work = tuple[Sample, Place | None]


def score(
    samples: Sequence[Sample],
    predictions: Path,
    definition: Definition = LISA,
    *,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Scores:
    """Score the file `predictions`; a sample that it lacks counts as an empty prediction.

    `workers` processes share the samples (None: as many as the cores are worth). `progress` is told how many samples
    are done. Raises PredictionError, with file and line, for a line that is no prediction, an unknown or repeated
    sample, a mask of another size than its image and an RLE that does not decode; DatasetError for a truth that
    cannot be read; OSError where the file cannot be read.
    """
    places = locate(samples, predictions)
    work = [(sample, places.get(sample.sample_id)) for sample in samples]
    rows: list[tuple[int, ...]] = []
    for done in _spread(partial(_score, predictions, definition), work, workers):
        rows += done
        progress(len(done))
    columns = np.array(rows, dtype=np.int64).reshape(-1, len(_ARRAYS)).T
    missing = np.array([place is None for _, place in work], dtype=np.bool_)
    return Scores(tuple(samples), missing, *columns)


def locate(samples: Sequence[Sample], predictions: Path) -> dict[str, Place]:
    """Where in the file the prediction of each sample stands; samples without one are left out.

    Where an image has one query, `stem` and `stem#0` both name it. Raises PredictionError, with file and line, for an
    id that no sample has, and for a sample that is predicted twice.
    """
    known = {sample.sample_id for sample in samples}
    found: dict[str, Place] = {}
    for name, place in index(predictions).items():
        sample_id = name if name in known else _other_name(name, known)
        if sample_id is None:
            raise PredictionError(f"{predictions}:{place.line}: no sample {name} in this split")
        if sample_id in found:
            raise PredictionError(
                f"{predictions}:{place.line}: sample {name} was predicted in line {found[sample_id].line} already"
            )
        found[sample_id] = place
    return found


def _other_name(name: str, known: set[str]) -> str | None:
    stem, mark, _ = name.rpartition("#")
    if mark:
        return stem if name == f"{stem}#0" and stem in known else None
    return f"{name}#0" if f"{name}#0" in known and f"{name}#1" not in known else None


def _spread(
    score_chunk: Callable[[Sequence[Work]], list[tuple[int, ...]]], work: Sequence[Work], workers: int | None
) -> Iterator[list[tuple[int, ...]]]:
    chunks = [work[start : start + CHUNK] for start in range(0, len(work), CHUNK)]
    if workers is None:
        workers = min(_cores(), len(work) // WORTH_A_PROCESS)
    if workers < 2:
        yield from map(score_chunk, chunks)
        return
    # A fresh interpreter each: a fork of a process that has threads may hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(score_chunk, chunks)


def _cores() -> int:
    """The cores that this process may use; all of them where the system does not say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _score(predictions: Path, definition: Definition, work: Sequence[Work]) -> list[tuple[int, ...]]:
    return [_counts(sample, place, predictions, definition) for sample, place in work]


def _counts(sample: Sample, place: Place | None, predictions: Path, definition: Definition) -> tuple[int, ...]:
    """A sample's row of the arrays in `Scores`."""
    truth = sample.load_truth()
    target, ignore = _counted(truth, definition)
    prediction = no_pixels(truth.size) if place is None else _read(sample, place, predictions, truth.size)
    intersection, union = pixel_counts(prediction, target, ignore)
    answer = int(np.count_nonzero(prediction & ~ignore if ignore.any() else prediction))
    return intersection, union, int(np.count_nonzero(target)), answer, target.size


def _counted(truth: Truth, definition: Definition) -> tuple[Pixels, Pixels]:
    """Target and ignored pixels as the definition has them."""
    target, ignore = truth.target, truth.ignore
    if definition.has(Variant.OVERLAPS_LOST):
        target = target & ~truth.twice
    if definition.has(Variant.IGNORED_AS_TARGET):
        return target | ignore, no_pixels(truth.size)
    return target, ignore


def _read(sample: Sample, place: Place, predictions: Path, size: tuple[int, int]) -> Pixels:
    mask = read_at(predictions, place).mask
    if mask.size != size:
        raise PredictionError(
            f"{predictions}:{place.line}: the mask of {sample.sample_id} is {mask.size[0]}x{mask.size[1]}, its image "
            f"{size[0]}x{size[1]} (height x width); send masks at the image's size, they are not resized"
        )
    return mask.decode()
