"""Figures of a scored file: over all samples, and over the splits that their facets make."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from dtwinseger.evaluation.metrics import Metric, bootstrap_all, ciou, giou, precision, rejection
from dtwinseger.evaluation.samples import DatasetError, Sample
from dtwinseger.evaluation.scoring import Scores
from dtwinseger.evaluation.variants import FIRST, SAMPLER_RANKS, Definition, Variant

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
# A target is small below, and large from, these shares of its image. ReasonSeg's images differ too much in size for
# COCO's limits in pixels.
SMALL, LARGE = 0.01, 0.1
LONG_WORDS = 6  # of a query, where the data set does not say which are long
REFERRING = ("refcoco", "refcoco+", "refcocog")

Members = NDArray[np.bool_]


class Figures(BaseModel):
    """gIoU and cIoU as fractions, each with its 95 % bootstrap interval, of so many samples."""

    model_config = ConfigDict(frozen=True)

    samples: int
    giou: float
    ciou: float
    giou_ci95: tuple[float, float]
    ciou_ci95: tuple[float, float]
    missing: int  # samples without a prediction, counted as empty


class Summary(Figures):
    """The figures of a data set's split, and those of its splits by facet. What does not apply is None."""

    splits: dict[str, Figures]
    metric_variants: tuple[str, ...] | None = None  # how this differs from LISA's definition
    precision: dict[str, float] | None = None  # RefCOCO: the share of samples with at least this IoU
    n_acc: float | None = None  # gRefCOCO: of samples without a target, the share answered by nothing
    t_acc: float | None = None  # gRefCOCO: of samples with a target, the share answered by something


def summarise(scores: Scores, definition: Definition) -> Summary:
    """Every figure of `scores`, counted as `definition` says. Raises DatasetError where no sample is left to count."""
    scores = scores.at(counted(scores, definition))
    if not scores.samples:
        raise DatasetError("no sample is left to score")
    dataset = scores.samples[0].facets.dataset
    found = _figures(scores, definition)
    at_threshold = precision(scores.intersections, scores.unions, THRESHOLDS)
    n_acc, t_acc = rejection(scores.targets, scores.answers) if dataset == "grefcoco" else (None, None)
    return Summary(
        **found.model_dump(),
        splits={name: _figures(scores.at(members), definition) for name, members in splits(scores)},
        metric_variants=definition.names,
        precision=dict(zip(map(str, THRESHOLDS), at_threshold, strict=True)) if dataset in REFERRING else None,
        n_acc=n_acc,
        t_acc=t_acc,
    )


def metrics(definition: Definition) -> tuple[Metric, Metric]:
    """gIoU and cIoU as the definition has them."""
    return partial(giou, empty=0.0) if definition.has(Variant.EMPTY_ZERO) else giou, ciou


def counted(scores: Scores, definition: Definition) -> NDArray[np.intp]:
    """Which samples count, by index; one that counts twice comes twice."""
    keep = np.ones(len(scores.samples), dtype=np.bool_)
    if definition.has(Variant.FIRST_100):
        keep[FIRST:] = False
    if definition.has(Variant.ONE_PER_INSTANCE):
        keep &= _first_of_each(scores.samples)
    if definition.has(Variant.MISSING_SKIPPED):
        keep &= ~scores.missing
    if definition.has(Variant.EMPTY_DROPPED):
        keep &= scores.unions != 0
    chosen = np.flatnonzero(keep)
    if definition.has(Variant.SAMPLER_PADDED) and len(chosen):
        chosen = np.resize(chosen, -(-len(chosen) // SAMPLER_RANKS) * SAMPLER_RANKS)
    return chosen


def splits(scores: Scores) -> Iterator[tuple[str, Members]]:
    """The name and the members, [N] bool, of each split that has any: by query, granularity, number and size of target.

    short, long: the query, as ReasonSeg says, elsewhere from LONG_WORDS words on. group, object, part: granularity.
    empty, one, several: what answers; only `empty` where the data set does not count. small, medium, large: the
    target's share of the image. kind:NAME: how a query of the scenes refers. phrasing:NAME: whether training sees such.
    """
    facets = [sample.facets for sample in scores.samples]
    lengthy = np.array([_is_long(sample) for sample in scores.samples], dtype=np.bool_)
    granularity = np.array([facet.granularity or "" for facet in facets])
    number = np.array([facet.targets or 0 for facet in facets])
    kind = np.array([facet.kind or "" for facet in facets])
    phrasing = np.array([facet.phrasing or "" for facet in facets])
    empty = scores.targets == 0
    share = scores.targets / scores.sizes
    found: dict[str, Members] = {"short": ~lengthy, "long": lengthy}
    found |= {name: granularity == name for name in ("group", "object", "part")}
    found |= {"empty": empty, "one": ~empty & (number == 1), "several": ~empty & (number > 1)}
    found |= {
        "small": ~empty & (share < SMALL),
        "medium": (share >= SMALL) & (share < LARGE),
        "large": share >= LARGE,
    }
    found |= {f"kind:{name}": kind == name for name in dict.fromkeys(kind.tolist()) if name}
    found |= {f"phrasing:{name}": phrasing == name for name in dict.fromkeys(phrasing.tolist()) if name}
    yield from ((name, members) for name, members in found.items() if members.any())


def _figures(scores: Scores, definition: Definition) -> Figures:
    mean, cumulative = bootstrap_all(metrics(definition), scores.intersections, scores.unions, scores.images)
    return Figures(
        samples=len(scores.samples),
        giou=mean.value,
        ciou=cumulative.value,
        giou_ci95=(mean.low, mean.high),
        ciou_ci95=(cumulative.low, cumulative.high),
        missing=int(scores.missing.sum()),
    )


def _first_of_each(samples: tuple[Sample, ...]) -> Members:
    seen: set[str] = set()
    first = []
    for sample in samples:
        instance = sample.facets.instance or sample.sample_id
        first.append(instance not in seen)
        seen.add(instance)
    return np.array(first, dtype=np.bool_)


def _is_long(sample: Sample) -> bool:
    stated = sample.facets.is_sentence
    return len(sample.query.split()) >= LONG_WORDS if stated is None else stated
