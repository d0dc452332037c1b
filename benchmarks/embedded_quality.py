"""How good are the embedded answers? Held-out scenes through POST /segment, end to end and stage by stage."""

import argparse
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import httpx2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.samples import Sample, samples
from benchmarks.target import Target, machine, target
from dtwinseger.api import ReasonRequest, ReasonResponse
from dtwinseger.client import Client
from dtwinseger.evaluation.metrics import Interval, bootstrap, ciou, giou, pixel_counts
from dtwinseger.problems import Problem
from dtwinseger.twin import DigitalTwin, Mask
from training.scenes.export import KINDS

MATCH_IOU = 0.5
MAX_REASON_S = 120.0


@dataclass(frozen=True)
class Seen:
    """A true object and what became of it: the best IoU of a proposal, and its words where that is a match."""

    best_iou: float
    words: str | None
    true_words: str


@dataclass(frozen=True)
class Outcome:
    """One sample, answered. A failed request counts as an empty answer."""

    kind: str
    intersection: int
    union: int
    granularity_right: bool
    reasoned_right: bool | None  # given the true twin; None where the reasoner failed
    seen: tuple[Seen, ...]
    proposals: int
    degraded: bool
    problem: str | None


def answer(client: Client, reasoner: httpx2.Client, sample: Sample) -> Outcome:
    """Put the sample to the stack, and its true twin to the reasoner."""
    prediction = np.zeros(sample.truth.shape, dtype=np.bool_)
    twin: DigitalTwin | None = None
    problem, degraded, granularity_right = None, False, False
    try:
        result = client.segment(sample.png, sample.query.text)
        twin = client.twin(result.twin_id)
        prediction = _pixels(result.mask)
        degraded = bool(result.warnings)
        granularity_right = result.granularity == sample.query.granularity
    except Problem as failed:
        problem = failed.code
    intersection, union = pixel_counts(prediction, sample.truth)
    return Outcome(
        kind=sample.query.kind,
        intersection=intersection,
        union=union,
        granularity_right=granularity_right,
        reasoned_right=_reasons_right(reasoner, sample),
        seen=_matched(sample, twin) if twin else (),
        proposals=len(twin.objects) if twin else 0,
        degraded=degraded,
        problem=problem,
    )


def _pixels(mask: object) -> NDArray[np.bool_]:
    if not isinstance(mask, Mask):
        raise TypeError("the gateway was asked for RLE and sent something else")
    return mask.decode()


def _reasons_right(reasoner: httpx2.Client, sample: Sample) -> bool | None:
    body = ReasonRequest(query=sample.query.text, objects=sample.rows).model_dump(mode="json")
    response = reasoner.post("/v1/reason", json=body)
    if not response.is_success:
        return None
    return ReasonResponse.model_validate_json(response.content).indices == sample.query.indices


def _matched(sample: Sample, twin: DigitalTwin) -> tuple[Seen, ...]:
    """Each true object beside the proposal that covers it best."""
    truths = [Mask.encode(found.mask).to_coco() for found in sample.scene.objects]
    proposals = [o.mask.to_coco() for o in twin.objects]
    overlaps = coco.iou(proposals, truths, [0] * len(truths)) if proposals else np.zeros((1, len(truths)))
    best = np.asarray(overlaps).argmax(axis=0)
    seen = []
    for number, found in enumerate(sample.scene.objects):
        iou = float(overlaps[best[number]][number])
        words = twin.objects[best[number]].semantic if iou >= MATCH_IOU else None
        seen.append(Seen(best_iou=iou, words=words, true_words=found.semantic))
    return tuple(seen)


def _interval(metric: str, outcomes: Sequence[Outcome]) -> Interval:
    pixels = np.array([(o.intersection, o.union) for o in outcomes], dtype=np.int64)
    return bootstrap(giou if metric == "gIoU" else ciou, pixels[:, 0], pixels[:, 1])


def _share(hits: Sequence[bool]) -> str:
    return f"{sum(hits) / len(hits):.3f} ({sum(hits)} of {len(hits)})" if hits else "none"


def _answers(outcomes: Sequence[Outcome]) -> Table:
    table = Table("queries", "n", "gIoU [95 %]", "cIoU [95 %]", "reasoner, true twin", box=box.MARKDOWN)
    by_kind: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_kind[outcome.kind].append(outcome)
    for name, group in [("all", list(outcomes)), *((kind, by_kind[kind]) for kind in KINDS if by_kind[kind])]:
        right = _share([o.reasoned_right is True for o in group])
        table.add_row(name, str(len(group)), str(_interval("gIoU", group)), str(_interval("cIoU", group)), right)
    return table


def _stages(outcomes: Sequence[Outcome]) -> Table:
    seen = [s for o in outcomes for s in o.seen]
    matched = [s for s in seen if s.words is not None or s.best_iou >= MATCH_IOU]
    said = [((s.words or "").split(), s.true_words.split()) for s in matched]
    table = Table("stage", "measure", "value", box=box.MARKDOWN)
    table.add_row("perception", f"proposal recall at IoU {MATCH_IOU}", _share([s.best_iou >= MATCH_IOU for s in seen]))
    table.add_row("", "mean best IoU", f"{np.mean([s.best_iou for s in seen] or [0]):.3f}")
    true_objects, proposals = len(seen), sum(o.proposals for o in outcomes)
    table.add_row("", "proposals for each true object", f"{proposals / max(true_objects, 1):.2f}")
    table.add_row("granularity", "right", _share([o.granularity_right for o in outcomes]))
    table.add_row("semantics", "size, color and kind right, of matched objects", _share([a == b for a, b in said]))
    for name, word in (("size", 1), ("color", 2), ("kind", 3)):
        table.add_row("", f"{name} right", _share([len(a) > word and a[word] == b[word] for a, b in said]))
    table.add_row("reasoning", "exact set, given the true twin", _share([o.reasoned_right is True for o in outcomes]))
    table.add_row("", "no valid answer, given the true twin", str(sum(o.reasoned_right is None for o in outcomes)))
    failed = Counter(o.problem for o in outcomes if o.problem)
    counted = ", ".join(f"{n} {code}" for code, n in failed.items())
    table.add_row("requests", "failed, counted as empty answers", counted or "0")
    table.add_row("", "answered with warnings", str(sum(o.degraded for o in outcomes)))
    return table


def measure(where: Target, count: int, console: Console) -> list[Outcome]:
    """Answer `count` samples one after the other."""
    with Client(where.gateway) as client, httpx2.Client(base_url=where.reasoner, timeout=MAX_REASON_S) as reasoner:
        shown = track(samples(count), description="scenes", total=count, console=console, transient=True)
        return [answer(client, reasoner, sample) for sample in shown]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.embedded_quality", description=__doc__)
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--url", help="a running gateway; without it a stack is started")
    parser.add_argument("--reasoner-url", default="http://127.0.0.1:8083", help="the running gateway's reasoner")
    asked = parser.parse_args()
    console = Console(width=120)  # markdown tables must not wrap
    with target(console, asked.url, asked.reasoner_url) as where:
        outcomes = measure(where, asked.scenes, console)
    print_tables(console, outcomes)


def print_tables(console: Console, outcomes: Sequence[Outcome]) -> None:
    """The whole report."""
    console.print(f"{len(outcomes)} held-out scenes, {machine()}", highlight=False)
    console.print(_answers(outcomes), _stages(outcomes), sep="\n")


if __name__ == "__main__":
    main()
