"""Where the pipeline loses: one stage at a time is made perfect, and all others answer as they do.

- proposals: the true masks of the level are described and reasoned about by the running services.
- semantics: what was perceived is described truly, by IoU with the truth, and reasoned about again.
- reasoner: of what was perceived, the set that is nearest to the truth.
- proposals and semantics: the true twin, to the reasoner.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.scenes_quality.answers import Kept, counted, kept, outcomes
from benchmarks.scenes_quality.figures import Oracle, Outcome, gain, group
from benchmarks.scenes_quality.questions import SHARES, Question, read_as_rows
from benchmarks.scenes_quality.services import Mode, Services
from dtwinseger.evaluation.report.faults import best_union, truly_described
from dtwinseger.evaluation.runs.record import Record
from dtwinseger.evaluation.samples import TrueObject
from dtwinseger.twin import build_objects

Ask = Callable[[Question], Kept]


def oracles(
    questions: Sequence[Question],
    run: Mapping[str, Record],
    images: Path,
    services: Services,
    mode: Mode,
    out: Path,
    together: int,
    console: Console,
) -> tuple[Oracle, ...]:
    """Each oracle over all `questions`, which `run` has answered; their answers are kept in `out`.

    mode: of the run's reasoner.
    """
    ways: dict[str, Ask] = {
        "proposals": lambda one: true_masks(one, (images / one.image).read_bytes(), services),
        "semantics": lambda one: true_words(one, run[one.sample_id], services),
        "reasoner": lambda one: best_set(one, run[one.sample_id]),
    }
    before = outcomes(questions, dict(run))
    found = [_oracle("none (the pipeline)", before, before)]
    for name, ask in ways.items():
        answers = kept(out / f"oracle-{name}.jsonl", questions, ask, together, console)
        found.append(_oracle(name, before, _after(questions, answers)))
    both = true_twins(questions, services, mode, out, together, console)
    found.append(_oracle("proposals and semantics", before, _after(questions, both)))
    return tuple(found)


def true_twins(
    questions: Sequence[Question], services: Services, mode: Mode, out: Path, together: int, console: Console
) -> list[Kept]:
    """Every true twin, to the reasoner in that mode."""
    path = out / f"true-twin-{mode}-{services.identity()}.jsonl"
    return kept(path, questions, lambda one: true_twin(one, services, mode), together, console)


def true_masks(question: Question, image: bytes, services: Services) -> Kept:
    """Perfect proposals at the level of the query."""
    masks = [found.mask for found in question.objects]
    said = services.describe(image, question.query, masks)
    if said is None:
        return counted(question, None, masks)
    objects = build_objects(masks, [1.0] * len(masks), said)
    answer = services.reason(question.query, read_as_rows(objects))
    return counted(question, answer.indices if answer else None, [item.mask for item in objects])


def true_words(question: Question, record: Record, services: Services) -> Kept:
    """Perfect semantics of what was perceived. A question whose request failed has no twin, and stays failed."""
    if record.twin is None:
        return counted(question, None, ())
    truth = [TrueObject(found.mask, found.semantics) for found in question.objects]
    rows = truly_described(record.twin, truth)
    if not rows:
        return counted(question, (), ())
    answer = services.reason(question.query, rows)
    return counted(question, answer.indices if answer else None, [item.mask for item in record.twin.objects])


def best_set(question: Question, record: Record) -> Kept:
    """Perfect reasoning over what was perceived; failed where there is no twin."""
    if record.twin is None:
        return counted(question, None, ())
    indices, _ = best_union(record.twin, question.truth)
    return counted(question, indices, [item.mask for item in record.twin.objects])


def true_twin(question: Question, services: Services, mode: Mode) -> Kept:
    """The reasoner alone: everything that it is told is true."""
    answer = services.reason(question.query, question.rows, mode)
    return counted(question, answer.indices if answer else None, [found.mask for found in question.objects])


def perceived_twin(question: Question, record: Record, services: Services, mode: Mode) -> Kept:
    """The twin that the pipeline perceived, reasoned about in another mode: all else is the same."""
    if record.twin is None:
        return counted(question, None, ())
    objects = record.twin.objects
    if not objects:
        return counted(question, (), ())
    answer = services.reason(question.query, read_as_rows(objects), mode)
    return counted(question, answer.indices if answer else None, [item.mask for item in objects])


def _after(questions: Sequence[Question], answers: Sequence[Kept]) -> list[Outcome]:
    return [answer.of(question) for answer, question in zip(answers, questions, strict=True)]


def _oracle(name: str, before: Sequence[Outcome], after: Sequence[Outcome]) -> Oracle:
    parts = [(stratum, [o for o in after if o.question.stratum == stratum]) for stratum in SHARES]
    return Oracle(
        name=name,
        all=group("all", after),
        gain=gain(before, after),
        strata=tuple(group(stratum, part) for stratum, part in parts if part),
    )
