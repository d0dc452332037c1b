"""The whole pipeline over HTTP: its figures by part of the questions, and how good the stages before the answer are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco

from benchmarks.scenes_quality.answers import outcomes
from benchmarks.scenes_quality.figures import Pipeline, Stage, group, partitions, share
from benchmarks.scenes_quality.questions import Question
from dtwinseger.evaluation.report.faults import MATCH_IOU
from dtwinseger.evaluation.runs.record import Record


@dataclass(frozen=True)
class Seen:
    """What became of a true object: how well the best proposal covers it, and whether that is described truly."""

    scene: int
    iou: float = 0.0
    kind_right: bool = False
    words_right: bool = False


def pipeline(questions: Sequence[Question], run: Mapping[str, Record]) -> Pipeline:
    """Figures of a run that asked all `questions`."""
    answers = outcomes(questions, dict(run))
    nothing = [o for o in answers if o.question.stratum == "none"]
    something = [o for o in answers if o.question.stratum != "none"]
    problems = (run[question.sample_id].problem for question in questions)
    return Pipeline(
        groups=tuple(group(name, [o for o in answers if holds(o.question)]) for name, holds in partitions(questions)),
        no_answer_empty=share(o.empty and not o.failed for o in nothing) if nothing else None,
        answered=share(not o.empty for o in something) if something else None,
        failures=dict(Counter(problem.code for problem in problems if problem)),
    )


def stages(questions: Sequence[Question], run: Mapping[str, Record]) -> tuple[Stage, ...]:
    """Granularity, proposals and semantics of the run, each against the truth; a scene's objects are drawn together."""
    twins = [(q, run[q.sample_id]) for q in questions if run[q.sample_id].twin is not None]
    asked = [(q.granularity, record.granularity) for q, record in twins]
    found = []
    if asked:
        found.append(_stage("granularity", "right", [true == said for true, said in asked]))
        parts = [(true == "part") == (said == "part") for true, said in asked]
        found.append(_stage("granularity", "part or not: right", parts))
    for level in ("object", "part"):
        seen = [one for k, (q, record) in enumerate(twins) if _level(q) == level for one in _seen(k, q, record, level)]
        if not seen:
            continue
        matched = [one for one in seen if one.iou >= MATCH_IOU]
        what = f"{level}s"
        hits, scenes = [one.iou >= MATCH_IOU for one in seen], [one.scene for one in seen]
        found.append(_stage("perception", f"{what} proposed at IoU {MATCH_IOU}", hits, scenes))
        if matched:
            scenes = [one.scene for one in matched]
            kinds, words = [one.kind_right for one in matched], [one.words_right for one in matched]
            found.append(_stage("semantics", f"kind right, of matched {what}", kinds, scenes))
            found.append(_stage("semantics", f"all words right, of matched {what}", words, scenes))
    return tuple(found)


def _level(question: Question) -> str:
    return "part" if question.granularity == "part" else "object"


def _seen(scene: int, question: Question, record: Record, level: str) -> list[Seen]:
    """Each true object beside the proposal that covers it best; none where the twin is of another level."""
    twin = record.twin
    if twin is None or (twin.granularity == "part") != (level == "part"):
        return []
    if not twin.objects:
        return [Seen(scene) for _ in question.objects]
    truths = [found.mask.to_coco() for found in question.objects]
    overlaps = np.asarray(coco.iou([item.mask.to_coco() for item in twin.objects], truths, [0] * len(truths)))
    seen = []
    for k, true in enumerate(question.objects):
        row = int(overlaps[:, k].argmax())
        said, truth = twin.objects[row], true.semantics
        kind_right, words_right = said.category == truth.category, said.semantic == truth.semantic
        seen.append(Seen(scene, float(overlaps[row, k]), kind_right, words_right))
    return seen


def _stage(stage: str, measure: str, hits: Sequence[bool], scenes: Sequence[int] | None = None) -> Stage:
    return Stage(stage=stage, measure=measure, samples=len(hits), share=share(hits, scenes))
