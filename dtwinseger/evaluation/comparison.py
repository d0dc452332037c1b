"""Two systems on the same samples: by how much their metrics differ, with a paired bootstrap's interval."""

import numpy as np
from pydantic import BaseModel, ConfigDict

from dtwinseger.evaluation.metrics import paired_bootstrap
from dtwinseger.evaluation.samples import DatasetError
from dtwinseger.evaluation.scoring import Scores
from dtwinseger.evaluation.summary import counted, metrics, splits
from dtwinseger.evaluation.variants import Definition


class Difference(BaseModel):
    """How much higher the second system's gIoU and cIoU are than the first's, as fractions, with 95 % intervals."""

    model_config = ConfigDict(frozen=True)

    samples: int
    giou: float
    ciou: float
    giou_ci95: tuple[float, float]
    ciou_ci95: tuple[float, float]


class Comparison(Difference):
    """The difference over all samples, and over each split."""

    splits: dict[str, Difference]
    metric_variants: tuple[str, ...] | None = None  # how this differs from LISA's definition


def compare(first: Scores, second: Scores, definition: Definition) -> Comparison:
    """The difference over all samples and over each split. Both scores are of the same samples in the same order.

    Raises DatasetError where no sample is left to count, ValueError where the samples differ.
    """
    if [sample.sample_id for sample in first.samples] != [sample.sample_id for sample in second.samples]:
        raise ValueError("only scores of the same samples can be compared")
    kept = counted(first, definition)
    kept = kept[np.isin(kept, counted(second, definition))]  # what one of them leaves out is no pair
    first, second = first.at(kept), second.at(kept)
    if not first.samples:
        raise DatasetError("no sample is left to compare")
    return Comparison(
        **_difference(first, second, definition).model_dump(),
        splits={
            name: _difference(first.at(members), second.at(members), definition) for name, members in splits(first)
        },
        metric_variants=definition.names,
    )


def _difference(first: Scores, second: Scores, definition: Definition) -> Difference:
    one, other = (first.intersections, first.unions), (second.intersections, second.unions)
    mean, cumulative = (paired_bootstrap(metric, one, other, first.images) for metric in metrics(definition))
    return Difference(
        samples=len(first.samples),
        giou=mean.value,
        ciou=cumulative.value,
        giou_ci95=(mean.low, mean.high),
        ciou_ci95=(cumulative.low, cumulative.high),
    )
