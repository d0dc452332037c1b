"""All figures of an evaluation, as `--json` writes them, and how they are counted.

A share or an IoU is a fraction with its 95 % bootstrap interval; every scene has one query, so samples are drawn one by
one. A request that failed counts as wrong, also where nothing would have been the right answer.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from benchmarks.scenes_quality.questions import Question
from dtwinseger.evaluation.metrics import Counts, Interval, bootstrap_all, ciou, giou, paired_bootstrap


@dataclass(frozen=True)
class Outcome:
    """What became of one question: pixels of intersection and union of answer and truth."""

    question: Question
    intersection: int
    union: int
    failed: bool
    empty: bool  # nothing was answered


class Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class Group(Model):
    """The answers to some of the questions."""

    name: str
    samples: int
    giou: Interval
    ciou: Interval
    failed: int


class Pipeline(Model):
    """Figures of the whole pipeline; gains are of one part of the questions over another."""

    groups: tuple[Group, ...]
    no_answer_empty: Interval | None  # of the queries that nothing answers, those answered empty
    answered: Interval | None  # of the others, those answered by something
    failures: dict[str, int]  # by problem code


class Stage(Model):
    """A share that says how good one stage is."""

    stage: str
    measure: str
    samples: int
    share: Interval


class Exact(Model):
    """Of some questions put to the reasoner with the true twin, the share answered exactly, by mode."""

    name: str
    samples: int
    modes: dict[str, Interval]
    gain: Interval | None  # sftdt over zero_shot, paired


class Reasoner(Model):
    groups: tuple[Exact, ...]
    failed: dict[str, int]  # answers that stayed invalid, and requests that failed, by mode
    not_run: dict[str, str]  # mode -> why


class Oracle(Model):
    """The pipeline with one stage made perfect. gain: in gIoU over the pipeline on the same questions, paired."""

    name: str
    all: Group
    gain: Interval
    strata: tuple[Group, ...]


class Ablated(Model):
    """A row of the ablation, in the paper's form. gain: in gIoU over the first row of its part, paired."""

    part: str
    row: str
    figures: Group | None = None
    gain: Interval | None = None
    against: str | None = None
    not_run: str | None = None
    paper: tuple[float, float] | None = None  # gIoU, cIoU in percent, on ReasonSeg val


class Figures(Model):
    """Everything; a section is null until it has been measured."""

    scenes: int
    first_seed: int
    machine: str
    models: dict[str, str]  # role -> name and version
    pipeline: Pipeline | None = None
    stages: tuple[Stage, ...] | None = None
    reasoner: Reasoner | None = None
    oracles: tuple[Oracle, ...] | None = None
    ablation: tuple[Ablated, ...] | None = None
    seconds: dict[str, float] = {}  # that each section took when it was last asked for

    def save(self, path: Path) -> None:
        """Write the JSON, whole or not at all."""
        part = path.with_name(f"{path.name}.part")
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")
        part.replace(path)


def group(name: str, outcomes: Sequence[Outcome]) -> Group:
    """gIoU and cIoU of at least one outcome."""
    mean, cumulative = bootstrap_all([giou, ciou], *_counts(outcomes))
    failed = sum(outcome.failed for outcome in outcomes)
    return Group(name=name, samples=len(outcomes), giou=mean, ciou=cumulative, failed=failed)


def gain(first: Sequence[Outcome], second: Sequence[Outcome]) -> Interval:
    """How much higher the gIoU of `second` is, over the same questions in the same order."""
    return paired_bootstrap(giou, _counts(first), _counts(second))


def share(hits: Iterable[bool], scenes: Iterable[int] | None = None) -> Interval:
    """Of at least one. scenes: the number of each hit's scene, where a scene has several: they are drawn together."""
    counted = np.array(list(hits), dtype=np.int64)
    groups = None if scenes is None else np.unique(list(scenes), return_inverse=True)[1].astype(np.int64)
    return bootstrap_all([ciou], counted, np.ones_like(counted), groups)[0]


def share_gain(first: Iterable[bool], second: Iterable[bool]) -> Interval:
    """How much larger the share of `second` is, paired."""
    one, other = (np.array(list(hits), dtype=np.int64) for hits in (first, second))
    return paired_bootstrap(ciou, (one, np.ones_like(one)), (other, np.ones_like(other)))


def partitions(questions: Sequence[Question]) -> list[tuple[str, Callable[[Question], bool]]]:
    """Name and members of each part of the questions that figures are told of: none of them is empty."""
    parts: list[tuple[str, Callable[[Question], bool]]] = [("all", lambda one: True)]
    parts += [(stratum, _in_stratum(stratum)) for stratum in ("object", "part", "group", "none")]
    parts += [("phrasing: seen", lambda one: one.phrasing == "seen")]
    parts += [("phrasing: held out", lambda one: one.phrasing == "held_out")]
    parts += [("color of a kind: seen", lambda one: one.unseen_pair is False)]
    parts += [("color of a kind: held out", lambda one: one.unseen_pair is True)]
    parts += [(f"kind: {kind}", _of_kind(kind)) for kind in dict.fromkeys(sorted(one.kind for one in questions))]
    return [(name, holds) for name, holds in parts if any(holds(one) for one in questions)]


def _in_stratum(stratum: str) -> Callable[[Question], bool]:
    return lambda one: one.stratum == stratum


def _of_kind(kind: str) -> Callable[[Question], bool]:
    return lambda one: one.kind == kind


def _counts(outcomes: Sequence[Outcome]) -> tuple[Counts, Counts]:
    """[N] each; a failure where nothing was right is one pixel too many, so that it counts 0 and not 1."""
    pixels = [(o.intersection, max(o.union, 1) if o.failed else o.union) for o in outcomes]
    counted = np.array(pixels, dtype=np.int64)
    return counted[:, 0], counted[:, 1]
