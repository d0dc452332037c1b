"""A run looked into: figures, what each answer took, why wrong ones are wrong, and the best and worst cases."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dtwinseger.api import ReasoningOptions, SegmentOptions
from dtwinseger.evaluation.datasets import load
from dtwinseger.evaluation.metrics import ious
from dtwinseger.evaluation.report.faults import RIGHT_IOU, Fault, best_union, fault, reasoner_at
from dtwinseger.evaluation.report.tables import Scored
from dtwinseger.evaluation.runs.journal import places, read_manifest
from dtwinseger.evaluation.runs.record import RESULTS, Manifest, Record, RunError, digest, records
from dtwinseger.evaluation.runs.tally import Tally
from dtwinseger.evaluation.samples import Sample
from dtwinseger.evaluation.scoring import score
from dtwinseger.evaluation.summary import summarise
from dtwinseger.evaluation.variants import LISA

WORST, BEST = 8, 4  # cases shown


@dataclass(frozen=True)
class Case:
    """A sample and its answer, looked into. best_*: of the best union of the proposals, None without a twin."""

    sample: Sample
    record: Record
    iou: float
    best_iou: float | None
    best_indices: tuple[int, ...]
    fault: Fault


@dataclass(frozen=True)
class Taken:
    """What answers took: median, 95th percentile and n, in seconds."""

    name: str
    median: float
    p95: float
    samples: int


@dataclass(frozen=True)
class Analysis:
    """One run. ious: [N] of its samples, in the data set's order; a missing or failed one is an empty answer."""

    scored: Scored
    tally: Tally
    ious: NDArray[np.float64]
    faults: Counter[Fault]
    ceiling: float | None  # mean IoU of the best unions, None without twins: what perfect reasoning could reach
    taken: tuple[Taken, ...]
    worst: tuple[Case, ...]
    best: tuple[Case, ...]


def analyse(folder: Path, root: Path | None, reasoner_url: str | None) -> Analysis:
    """Look into the run in `folder`.

    root: of the data set, None where it was when it ran. reasoner_url: of the system's reasoner, to tell what was
    described wrongly from what was reasoned wrongly. Raises RunError where run and data set do not fit, DatasetError,
    PredictionError, OSError, and httpx2.HTTPError where no reasoner answers.
    """
    manifest = read_manifest(folder)
    samples = _samples(folder, manifest, root)
    scores = score(samples, folder / RESULTS)
    scored = Scored(folder.name, manifest, summarise(scores, LISA))
    tally = Tally()
    for place in places(folder / RESULTS):
        tally.add(place)
    each = ious(scores.intersections, scores.unions)
    cases = _look(samples, each, folder / RESULTS, manifest, reasoner_url)
    order = np.argsort(each, kind="stable")
    shown = {samples[i].sample_id for i in (*order[:WORST], *order[::-1][:BEST])}
    faults: Counter[Fault] = Counter()
    reached, seconds, stages = [], [], list[dict[str, float]]()
    kept: dict[str, Case] = {}
    for case in cases:
        faults[case.fault] += 1
        seconds.append(case.record.seconds)
        stages.append(case.record.timings_ms)
        if case.best_iou is not None:
            reached.append(case.best_iou)
        if case.sample.sample_id in shown:
            kept[case.sample.sample_id] = case
    ordered = [kept[samples[i].sample_id] for i in order if samples[i].sample_id in kept]
    return Analysis(
        scored=scored,
        tally=tally,
        ious=each,
        faults=faults,
        ceiling=float(np.mean(reached)) if reached else None,
        taken=_taken(seconds, stages),
        worst=tuple(case for case in ordered if case.iou < RIGHT_IOU)[:WORST],
        best=tuple(case for case in reversed(ordered) if case.iou >= RIGHT_IOU)[:BEST],
    )


def _samples(folder: Path, manifest: Manifest, root: Path | None) -> Sequence[Sample]:
    place = Path(manifest.root) if root is None else root
    samples = load(manifest.dataset, place, manifest.split)[: manifest.samples]
    if digest(samples) != manifest.sample_ids:
        raise RunError(f"{place}: not the samples that {folder} is about; name the data set's folder with --root")
    return samples


def _look(
    samples: Sequence[Sample], each: NDArray[np.float64], results: Path, manifest: Manifest, reasoner_url: str | None
) -> Iterator[Case]:
    """Each result as a case, one at a time."""
    options = SegmentOptions.model_validate(manifest.options)
    for record in records(results):
        yield _case(samples[record.position], record, float(each[record.position]), options.reasoning, reasoner_url)


def _case(sample: Sample, record: Record, iou: float, options: ReasoningOptions, reasoner_url: str | None) -> Case:
    if record.problem is not None:
        return Case(sample, record, iou, None, (), "request failed")
    if record.twin is None:
        return Case(sample, record, iou, None, (), "right" if iou >= RIGHT_IOU else "no twin")
    truth = sample.load_truth()
    indices, best_iou = best_union(record.twin, truth)
    reasoner = reasoner_at(reasoner_url, options) if reasoner_url else None
    objects = sample.load_objects() if sample.load_objects else None
    found = fault(sample.query, record.twin, truth, iou, best_iou, objects, reasoner)
    return Case(sample, record, iou, best_iou, indices, found)


def _taken(seconds: Sequence[float], stages: Sequence[dict[str, float]]) -> tuple[Taken, ...]:
    """Of whole requests as the client saw them, then of each stage as the gateway did."""
    names = dict.fromkeys(name for timings in stages for name in timings if name != "total")
    rows = [("request, waiting included", list(seconds))]
    rows += [(name, [timings[name] / 1000 for timings in stages if name in timings]) for name in names]
    return tuple(
        Taken(name, float(np.median(took)), float(np.percentile(took, 95)), len(took)) for name, took in rows if took
    )
