"""What a Seg-DT file holds, counted."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean, median
from typing import Any

from pydantic import BaseModel, ConfigDict
from rich.table import Table

from dtwinseger.prompts import reasoning
from dtwinseger.twin import render_answer
from dtwinseger.twin.budget import estimated_tokens
from training.segdt.schema import SegDTSample


class Spread(BaseModel):
    """How a number is spread over the samples."""

    model_config = ConfigDict(frozen=True)

    least: int
    median: float
    mean: float
    most: int

    @classmethod
    def of(cls, values: Sequence[int]) -> "Spread":
        """Of one value or more."""
        return cls(least=min(values), median=float(median(values)), mean=round(fmean(values), 2), most=max(values))


class Statistics(BaseModel):
    """Counts of samples, and spreads over them.

    Tokens are `dtwinseger.twin.budget.estimated_tokens`, which is meant to err high: of what the reasoner asks with the
    twin as JSON (instruction, twin, query), and of the answer that it is to write.
    """

    model_config = ConfigDict(frozen=True)

    samples: int
    images: int
    empty_answers: int
    undescribed_objects: int  # whose semantic is null
    splits: dict[str, int]
    granularities: dict[str, int]
    kinds: dict[str, int]  # of query
    annotators: dict[str, int]
    objects: Spread  # of the twin
    targets: Spread
    steps: Spread  # of the path
    decisions: Spread  # of all steps
    prompt_tokens: Spread
    answer_tokens: Spread


def statistics(samples: Iterable[SegDTSample]) -> Statistics:
    """Count `samples`. Raises ValueError where there are none."""
    kept = list(samples)
    if not kept:
        raise ValueError("there are no samples to count")

    def by(key: Callable[[SegDTSample], str]) -> dict[str, int]:
        return dict(sorted(Counter(map(key, kept)).items()))

    def over(value: Callable[[SegDTSample], int]) -> Spread:
        return Spread.of([value(sample) for sample in kept])

    return Statistics(
        samples=len(kept),
        images=len({sample.image.sha256 for sample in kept}),
        empty_answers=sum(not sample.indices for sample in kept),
        undescribed_objects=sum(row.semantic is None for sample in kept for row in sample.dt0),
        splits=by(lambda sample: sample.provenance.split),
        granularities=by(lambda sample: sample.granularity),
        kinds=by(lambda sample: sample.provenance.kind),
        annotators=by(lambda sample: sample.provenance.annotator),
        objects=over(lambda sample: len(sample.dt0)),
        targets=over(lambda sample: len(sample.indices)),
        steps=over(lambda sample: len(sample.path)),
        decisions=over(lambda sample: sum(len(step.decisions) for step in sample.path)),
        prompt_tokens=over(_prompt_tokens),
        answer_tokens=over(lambda sample: estimated_tokens(render_answer(sample.path, sample.indices))),
    )


def as_table(found: Statistics) -> Table:
    """The statistics to be read by a person."""
    table = Table("what", "which", "samples", title=f"{found.samples:,} samples on {found.images:,} images")
    groups = {
        "split": found.splits,
        "granularity": found.granularities,
        "kind of query": found.kinds,
        "annotator": found.annotators,
    }
    for what, counts in groups.items():
        for which, count in counts.items():
            table.add_row(what, which, f"{count:,}")
        table.add_section()
    table.add_row("answer", "empty", f"{found.empty_answers:,}")
    table.add_row("objects", "without a description", f"{found.undescribed_objects:,}")
    table.add_section()
    for name in ("objects", "targets", "steps", "decisions", "prompt_tokens", "answer_tokens"):
        of: Spread = getattr(found, name)
        told = f"{of.least:,} to {of.most:,}, median {of.median:,g}, mean {of.mean:,g}"
        table.add_row(name.replace("_", " "), "of a sample", told)
    return table


def _prompt_tokens(sample: SegDTSample) -> int:
    return estimated_tokens("\n".join(_text(message["content"]) for message in reasoning(sample.query, sample.dt0)))


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)
