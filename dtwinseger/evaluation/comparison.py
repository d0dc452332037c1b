"""Two systems on the same samples: by how much their metrics differ, with a paired bootstrap's interval."""

from dataclasses import dataclass

import numpy as np

from dtwinseger.evaluation.metrics import Interval, paired_bootstrap
from dtwinseger.evaluation.samples import DatasetError
from dtwinseger.evaluation.scoring import Scores
from dtwinseger.evaluation.summary import counted, metrics, splits
from dtwinseger.evaluation.variants import Definition


@dataclass(frozen=True)
class Difference:
    """How much higher the second system's metrics are than the first's, over so many samples."""

    split: str
    samples: int
    giou: Interval
    ciou: Interval


def compare(first: Scores, second: Scores, definition: Definition) -> list[Difference]:
    """The difference over all samples, then over each split. Both scores are of the same samples in the same order.

    Raises DatasetError where no sample is left to count, ValueError where the samples differ.
    """
    if [sample.sample_id for sample in first.samples] != [sample.sample_id for sample in second.samples]:
        raise ValueError("only scores of the same samples can be compared")
    kept = counted(first, definition)
    kept = kept[np.isin(kept, counted(second, definition))]  # what one of them leaves out is no pair
    first, second = first.at(kept), second.at(kept)
    if not first.samples:
        raise DatasetError("no sample is left to compare")
    everything = np.ones(len(kept), dtype=np.bool_)
    return [
        _difference(name, first.at(members), second.at(members), definition)
        for name, members in [("all", everything), *splits(first)]
    ]


def _difference(name: str, first: Scores, second: Scores, definition: Definition) -> Difference:
    giou, ciou = (
        paired_bootstrap(metric, (first.intersections, first.unions), (second.intersections, second.unions))
        for metric in metrics(definition)
    )
    return Difference(split=name, samples=len(first.samples), giou=giou, ciou=ciou)
