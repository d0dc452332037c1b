"""The ablation in the paper's form: a run for each file of options, and the reasoner's modes on perceived twins."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from rich.console import Console

from benchmarks.scenes_quality.answers import by_sample, kept, outcomes
from benchmarks.scenes_quality.figures import Ablated, Outcome, gain, group
from benchmarks.scenes_quality.oracles import perceived_twin
from benchmarks.scenes_quality.questions import Question
from benchmarks.scenes_quality.services import Mode, Services
from dtwinseger.client import Client
from dtwinseger.evaluation.report.published import ABLATION
from dtwinseger.evaluation.runs.options import read_options
from dtwinseger.evaluation.runs.record import Record
from dtwinseger.evaluation.runs.run import Plan, run
from dtwinseger.problems import Problem

FULL = "full"  # the row that the pipeline's own run is
OPTIONS = Path(str(files("dtwinseger.evaluation") / "ablations"))

Answered = Sequence[Outcome] | str  # of a row, or why it was not run


def ablation(
    plan: Plan,
    questions: Sequence[Question],
    full: Mapping[str, Record],
    served: Mapping[Mode, Services | str],
    own: Mode,
    out: Path,
    console: Console,
) -> tuple[Ablated, ...]:
    """All rows over the first `questions` of the plan's split; `full` has answered them, in the mode `own`."""
    plan = replace(plan, limit=len(questions), keep_twins=False)
    answered: dict[str, Answered] = {FULL: outcomes(questions, dict(full))}
    rows: list[tuple[str, str, str, tuple[float, float] | None]] = []
    for part, title, name, giou, ciou in ABLATION:
        if name is None:
            continue  # other VLMs: deployments, not options
        rows.append((part, title, name, (giou, ciou)))
        if name not in answered:
            answered[name] = _asked(plan, questions, name, out / f"ablation-{name}", console)
    for mode, services in served.items():
        rows.append(("Reasoning", "SFTDT" if mode == "sftdt" else "zero-shot", mode, None))
        if isinstance(services, str):
            answered[mode] = services
        elif mode == own:
            answered[mode] = answered[FULL]
        else:
            answered[mode] = _reasoned(questions, full, services, mode, out, plan.concurrency, console)
    return tuple(_row(*row, rows, answered) for row in rows)


def _asked(plan: Plan, questions: Sequence[Question], name: str, out: Path, console: Console) -> Answered:
    """The run of a file of options, tried with one question first: what the system is not set up for is no failure."""
    options = read_options(OPTIONS / f"{name}.yaml")
    first = questions[0]
    with Client(plan.url, timeout=plan.timeout_s) as client:
        try:
            client.segment(plan.root / plan.split / "images" / first.image, first.query, options)
        except Problem as problem:
            if problem.code == "invalid_options":
                return problem.detail
    asyncio.run(run(plan, options, out, console))
    return outcomes(questions, by_sample(out))


def _reasoned(
    questions: Sequence[Question],
    full: Mapping[str, Record],
    services: Services,
    mode: Mode,
    out: Path,
    together: int,
    console: Console,
) -> list[Outcome]:
    answers = kept(
        out / f"perceived-twin-{mode}-{services.identity()}.jsonl",
        questions,
        lambda one: perceived_twin(one, full[one.sample_id], services, mode),
        together,
        console,
    )
    return [answer.of(question) for answer, question in zip(answers, questions, strict=True)]


def _row(
    part: str,
    title: str,
    name: str,
    paper: tuple[float, float] | None,
    rows: Sequence[tuple[str, str, str, tuple[float, float] | None]],
    answered: Mapping[str, Answered],
) -> Ablated:
    own = answered[name]
    if isinstance(own, str):
        return Ablated(part=part, row=title, not_run=own, paper=paper)
    first = next((row for row in rows if row[0] == part and not isinstance(answered[row[2]], str)), None)
    against = answered[first[2]] if first and first[2] != name else None
    return Ablated(
        part=part,
        row=title,
        figures=group(title, own),
        gain=None if against is None or isinstance(against, str) else gain(against, own),
        against=first[1] if first and against is not None else None,
        paper=paper,
    )
