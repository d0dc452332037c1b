"""`python -m benchmarks.scenes_quality`: tables as they come, and all figures as JSON."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.scenes_quality import tables
from benchmarks.scenes_quality.ablation import FULL, OPTIONS, ablation
from benchmarks.scenes_quality.answers import by_sample
from benchmarks.scenes_quality.base import base_services, bundled_base
from benchmarks.scenes_quality.figures import Figures, Model
from benchmarks.scenes_quality.oracles import oracles
from benchmarks.scenes_quality.pipeline import pipeline, stages
from benchmarks.scenes_quality.questions import TRAINED_ON, Question, prepare
from benchmarks.scenes_quality.reasoner import reasoner, served_modes
from benchmarks.scenes_quality.services import Services
from benchmarks.target import Target, machine, target
from dtwinseger.client import Client
from dtwinseger.evaluation.report.tables import Table, markdown
from dtwinseger.evaluation.runs.commands import one_line_errors
from dtwinseger.evaluation.runs.options import read_options
from dtwinseger.evaluation.runs.record import Shard
from dtwinseger.evaluation.runs.run import Plan, run
from dtwinseger.evaluation.runs.runner import models

FIRST_SEED = 3_000  # scenes that nobody looked at while the models were made
TIMEOUT_S, PATIENCE_S = 300.0, 60.0

app = typer.Typer(add_completion=False)


class Evaluation:
    """One evaluation in its folder: each section prints its table, adds to report.md, and saves the figures."""

    def __init__(self, figures: Figures, out: Path, json: Path) -> None:
        self.figures = figures
        self._report = out / "report.md"
        self._json = json
        self._report.write_text(f"{caption(figures)}\n", encoding="utf-8")
        typer.echo(caption(figures))

    @contextmanager
    def timed(self, section: str) -> Iterator[None]:
        """Note what the section takes."""
        started = time.monotonic()
        yield
        took = self.figures.seconds | {section: round(time.monotonic() - started, 1)}
        self.figures = self.figures.model_copy(update={"seconds": took})

    def add(self, table: Table, **sections: Model | tuple[Model, ...]) -> None:
        """Print the table of what was just measured, and save it."""
        self.figures = self.figures.model_copy(update=sections)
        self.figures.save(self._json)
        with self._report.open("a", encoding="utf-8") as file:
            file.write(f"\n{markdown(table)}")
        typer.echo(f"\n{markdown(table)}")


def caption(figures: Figures) -> str:
    """What was asked of whom."""
    told = ", ".join(f"{role} {name}" for role, name in figures.models.items())
    return f"{figures.scenes} held-out scenes (seeds from {figures.first_seed} on), {told}; {figures.machine}"


@app.command()
def main(
    scenes: Annotated[int, typer.Option(min=4, help="Held-out scenes, one query each.")] = 200,
    ablation_scenes: Annotated[int, typer.Option(min=4, help="The first of them, for each row of the ablation.")] = 60,
    oracle_scenes: Annotated[int, typer.Option(min=4, help="The first of them, for the oracles.")] = 100,
    out: Annotated[Path, typer.Option(help="Where answers are kept: what it holds is not asked again.")] = Path(
        "runs/eval-scenes"
    ),
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="All figures; unset: OUT/figures.json.")] = None,
    first_seed: Annotated[int, typer.Option(min=0, max=TRAINED_ON - 1, help="Of the first scene.")] = FIRST_SEED,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests in flight.")] = 2,
    url: Annotated[str | None, typer.Option(help="A running gateway; unset, a stack is started.")] = None,
    semantics_url: Annotated[str, typer.Option(help="The running gateway's semantics.")] = "http://127.0.0.1:8082",
    reasoner_url: Annotated[str, typer.Option(help="The running gateway's reasoner.")] = "http://127.0.0.1:8083",
    engine_url: Annotated[str, typer.Option(help="The running reasoner's engine.")] = "http://127.0.0.1:8090",
    base_llm: Annotated[
        Path | None,
        typer.Option(exists=True, help="The LLM before SFTDT, for zero-shot; unset: that of the bundled one."),
    ] = None,
) -> None:
    """How good are the running models on held-out scenes? Killed, the same command goes on."""
    split = f"{first_seed}-{scenes}"
    running = Target(url, reasoner_url, semantics_url, engine_url) if url else None
    console = Console(stderr=True)
    with one_line_errors(), ExitStack() as stack:
        started = time.monotonic()
        base_llm = base_llm or (bundled_base(out) if url is None else None)
        questions = prepare(out / "scenes", split, first_seed, scenes, concurrency)
        rendered_s = round(time.monotonic() - started, 1)
        where = stack.enter_context(target(console, running))
        plan = Plan(
            "scenes", out / "scenes", split, where.gateway, concurrency, Shard(), None, TIMEOUT_S, PATIENCE_S, True
        )
        with Client(where.gateway) as client:
            told = models(client.info())
        figures = Figures(
            scenes=scenes, first_seed=first_seed, machine=machine(), models=told, seconds={"scenes": rendered_s}
        )
        evaluation = Evaluation(figures, out, json or out / "figures.json")
        services = stack.enter_context(Services(where.semantics, where.reasoner))
        base = stack.enter_context(base_services(where, base_llm)) if base_llm else None
        _evaluate(evaluation, plan, questions, services, base, out, ablation_scenes, oracle_scenes, console)


def _evaluate(
    evaluation: Evaluation,
    plan: Plan,
    questions: list[Question],
    services: Services,
    base: Services | None,
    out: Path,
    ablation_scenes: int,
    oracle_scenes: int,
    console: Console,
) -> None:
    """Every section, the most wanted first."""
    images, together = plan.root / plan.split / "images", plan.concurrency
    with evaluation.timed("pipeline"):
        asyncio.run(run(plan, read_options(OPTIONS / f"{FULL}.yaml"), out / FULL, console))
        answered = by_sample(out / FULL)
    whole, by_stage = pipeline(questions, answered), stages(questions, answered)
    evaluation.add(tables.of_pipeline(whole), pipeline=whole)
    evaluation.add(tables.of_stages(by_stage), stages=by_stage)
    served = served_modes(questions[0], services, base)
    mode, _ = services.resolved(questions[0].query, questions[0].rows, "auto")
    with evaluation.timed("ablation"):
        rows = ablation(plan, questions[:ablation_scenes], answered, served, mode or "auto", out, console)
    evaluation.add(tables.of_ablation(rows), ablation=rows)
    with evaluation.timed("oracles"):
        losses = oracles(questions[:oracle_scenes], answered, images, services, mode or "auto", out, together, console)
    evaluation.add(tables.of_oracles(losses), oracles=losses)
    with evaluation.timed("reasoner"):
        exact = reasoner(questions, served, out, together, console)
    evaluation.add(tables.of_reasoner(exact), reasoner=exact)
    took = ", ".join(f"{section} {seconds:g} s" for section, seconds in evaluation.figures.seconds.items())
    typer.echo(f"{took}; kept in {out}")


if __name__ == "__main__":
    app()
