"""`dtwinseger eval check | score | compare`, and beside them run, merge, ablate and report.

An error is one line on stderr and exit code 1.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn, track
from rich.table import Table

from dtwinseger.evaluation.check import PUBLISHED, SplitReport, check
from dtwinseger.evaluation.comparison import Comparison, Difference, compare
from dtwinseger.evaluation.datasets import Dataset, load, splits
from dtwinseger.evaluation.predictions import PredictionError
from dtwinseger.evaluation.runs import commands
from dtwinseger.evaluation.samples import DatasetError
from dtwinseger.evaluation.scoring import Scores, score
from dtwinseger.evaluation.summary import Figures, Summary, summarise
from dtwinseger.evaluation.variants import Definition, Variant

app = typer.Typer(help="Evaluation: is a data set complete, how good are predictions.", no_args_is_help=True)
commands.add_to(app)

DatasetOption = Annotated[Dataset, typer.Option("--dataset", help="Which data set.")]
Root = Annotated[Path, typer.Option(help="The folder that holds it as its authors lay it out.")]
Split = Annotated[str, typer.Option(help="train, val, test, testA, testB; for scenes a folder's name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Variants = Annotated[
    list[Variant] | None,
    typer.Option("--metric-variant", help="Count as another repository does; may come again. Default: LISA's way."),
]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes; default: as many as the cores are worth.")]
Predictions = Annotated[Path, typer.Argument(help="JSONL of predictions.", show_default=False)]


@app.command("check")
def check_command(
    dataset: DatasetOption,
    root: Root,
    split: Annotated[str | None, typer.Option(help="Only this split.")] = None,
) -> None:
    """Say what a data set holds and what is missing; exit code 1 if anything is."""
    with _one_line_errors():
        names = [split] if split else splits(dataset, root)
        if not names:
            raise DatasetError(f"{root}: no split of {dataset} here")
        console = Console(stderr=True)
        quiet = not console.is_terminal
        shown = partial(track, description="samples", console=console, transient=True, disable=quiet)
        reports = [check(dataset, root, name, lambda samples: iter(shown(samples))) for name in names]
    _print_reports(reports)
    if any(report.problems for report in reports):
        raise typer.Exit(1)


@app.command("score")
def score_command(
    dataset: DatasetOption,
    root: Root,
    split: Split,
    predictions: Annotated[Path, typer.Option(help="JSONL of predictions, of any system.")],
    as_json: AsJson = False,
    metric_variant: Variants = None,
    workers: Workers = None,
) -> None:
    """Score predictions: gIoU and cIoU with 95 % intervals, over all samples and by split."""
    with _one_line_errors():
        definition = _definition(metric_variant)
        (scores,) = _scores(dataset, root, split, [predictions], definition, workers)
        summary = summarise(scores, definition)
    if as_json:
        typer.echo(summary.model_dump_json(exclude_none=True))
    else:
        _print(summary, f"{dataset} {split}")


@app.command("compare")
def compare_command(
    first: Predictions,
    second: Predictions,
    dataset: DatasetOption,
    root: Root,
    split: Split,
    as_json: AsJson = False,
    metric_variant: Variants = None,
    workers: Workers = None,
) -> None:
    """How much better SECOND is than FIRST: differences with the 95 % interval of a paired bootstrap, by split."""
    with _one_line_errors():
        definition = _definition(metric_variant)
        scores = _scores(dataset, root, split, [first, second], definition, workers)
        comparison = compare(scores[0], scores[1], definition)
    if as_json:
        typer.echo(comparison.model_dump_json(exclude_none=True))
    else:
        _print_comparison(comparison, f"{second} against {first}, {dataset} {split}")


def _scores(
    dataset: Dataset,
    root: Path,
    split: str,
    files: Sequence[Path],
    definition: Definition,
    workers: int | None,
) -> list[Scores]:
    """The scores of each file, over the same samples."""
    samples = load(dataset, root, split)
    console = Console(stderr=True)
    images, published = len({sample.image for sample in samples}), PUBLISHED.get(dataset, {}).get(split)
    if published is not None and images != published:
        words = f"{images:,} images here; {dataset} {split} was published with {published:,}"
        console.print(f"[yellow]note[/] {words}", highlight=False, soft_wrap=True)
    with _progress(console, len(files) * len(samples)) as advance:
        return [score(samples, file, definition, workers=workers, progress=advance) for file in files]


@contextmanager
def _progress(console: Console, total: int) -> Iterator[Callable[[int], None]]:
    columns = (TextColumn("samples"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total)
        yield lambda done: progress.update(task, advance=done)


def _definition(variants: Sequence[Variant] | None) -> Definition:
    try:
        return Definition(frozenset(variants or ()))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--metric-variant") from error


def _print_reports(reports: Sequence[SplitReport]) -> None:
    console = Console()
    table = Table("split", "samples", "images", "published images", "without target", "", box=box.MARKDOWN)
    for report in reports:
        published = "" if report.published is None else f"{report.published:,}"
        state = "incomplete" if report.problems else "complete"
        numbers = (f"{report.samples:,}", f"{report.images:,}", published, f"{report.empty:,}")
        table.add_row(report.split, *numbers, state)
    console.print(table)
    for report in reports:
        for problem in report.problems:
            console.print(f"{report.split}: {problem}", highlight=False, markup=False, soft_wrap=True)


def _print(summary: Summary, title: str) -> None:
    console = Console()
    missing = f"; {summary.missing:,} without a prediction count as empty" if summary.missing else ""
    _print_title(console, f"{title}: {summary.samples:,} samples{missing}", summary.metric_variants)
    table = Table("split", "n", "gIoU [95 %]", "cIoU [95 %]", box=box.MARKDOWN)
    rows: list[tuple[str, Figures]] = [("all", summary), *summary.splits.items()]
    for name, found in rows:
        giou, ciou = _interval(found.giou, found.giou_ci95), _interval(found.ciou, found.ciou_ci95)
        table.add_row(name, f"{found.samples:,}", giou, ciou)
    console.print(table)
    if summary.precision:
        at = ", ".join(f"@{threshold} {share:.4f}" for threshold, share in summary.precision.items())
        console.print(f"precision {at}", highlight=False)
    for label, share in (("N-acc", summary.n_acc), ("T-acc", summary.t_acc)):
        if share is not None:
            console.print(f"{label} {share:.4f}", highlight=False)


def _print_comparison(comparison: Comparison, title: str) -> None:
    console = Console()
    _print_title(console, f"{title}: {comparison.samples:,} samples", comparison.metric_variants)
    table = Table("split", "n", "gIoU difference [95 %]", "cIoU difference [95 %]", box=box.MARKDOWN)
    rows: list[tuple[str, Difference]] = [("all", comparison), *comparison.splits.items()]
    for name, found in rows:
        giou = _interval(found.giou, found.giou_ci95, "+.4f")
        table.add_row(name, f"{found.samples:,}", giou, _interval(found.ciou, found.ciou_ci95, "+.4f"))
    console.print(table)


def _print_title(console: Console, title: str, variants: tuple[str, ...] | None) -> None:
    counted = f"counted with {', '.join(variants)}" if variants else "by LISA's definition"
    console.print(f"{title}, {counted}", highlight=False, markup=False, soft_wrap=True)


def _interval(value: float, bounds: tuple[float, float], form: str = ".4f") -> str:
    return f"{value:{form}} [{bounds[0]:{form}}, {bounds[1]:{form}}]"


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except (DatasetError, PredictionError, OSError) as error:
        console = Console(stderr=True)
        console.print(f"[red]error[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error
