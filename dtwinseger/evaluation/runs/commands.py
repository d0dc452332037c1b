"""The commands that ask a gateway and handle what it answered: run, merge, ablate, report.

Exit code 0: done, failed samples counted; 1: an error; 3: stopped with everything kept, and the same command goes on.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import httpx2
import typer
from rich.console import Console
from rich.markup import escape

from dtwinseger.client import DEFAULT_URL
from dtwinseger.evaluation.datasets import Dataset
from dtwinseger.evaluation.predictions import PredictionError
from dtwinseger.evaluation.report.tables import markdown
from dtwinseger.evaluation.runs import ablate as ablation
from dtwinseger.evaluation.runs.merge import merge as merged
from dtwinseger.evaluation.runs.options import read_options
from dtwinseger.evaluation.runs.record import RunError, Shard, Stopped
from dtwinseger.evaluation.runs.run import Plan
from dtwinseger.evaluation.runs.run import run as ask
from dtwinseger.evaluation.runs.tally import Tally
from dtwinseger.evaluation.samples import DatasetError
from dtwinseger.problems import Problem

STOPPED = 3

DatasetName = Annotated[Dataset, typer.Option("--dataset", help="Whose layout the folder has.")]
Root = Annotated[Path, typer.Option(help="The folder that holds it, as its authors publish it.")]
Split = Annotated[str, typer.Option(help="The split, such as val.")]
Out = Annotated[Path, typer.Option(help="The folder of the run; one that holds part of it is gone on with.")]
Url = Annotated[str, typer.Option(envvar="DTWINSEGER_URL", help="Where the gateway is.")]
Concurrency = Annotated[int, typer.Option(min=1, help="Requests in flight.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first samples of the split.")]
Timeout = Annotated[float, typer.Option(min=1, help="Seconds that one request may take.")]
Patience = Annotated[float, typer.Option(min=0, help="Seconds that the gateway may be away before the run stops.")]
Twins = Annotated[bool, typer.Option(help="Keep the twin of each answer; the report needs them to say what failed.")]


def run(
    dataset: DatasetName,
    root: Root,
    split: Split,
    out: Out,
    url: Url = DEFAULT_URL,
    concurrency: Concurrency = 8,
    options: Annotated[Path | None, typer.Option(help="YAML or JSON: the options of POST /segment.")] = None,
    shard: Annotated[str, typer.Option(metavar="i/n", help="Part i, from 0, of n.")] = "0/1",
    limit: Limit = None,
    timeout: Timeout = 300.0,
    patience: Patience = 120.0,
    twins: Twins = True,
) -> None:
    """Ask a running gateway about every sample of a split. Kill it when you like: the same command goes on."""
    with one_line_errors():
        plan = Plan(dataset, root, split, url, concurrency, Shard.parse(shard), limit, timeout, patience, twins)
        done = asyncio.run(ask(plan, read_options(options), out, Console(stderr=True)))
        rate = done.asked / max(done.seconds, 1e-9)
        typer.echo(f"{done.asked} asked in {done.seconds:.1f} s, {rate:.2f} a second")
        _tell(done.tally, out)


def merge(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="The folders of the shards.")],
    out: Annotated[Path, typer.Option(help="The folder that is made.")],
    partial: Annotated[bool, typer.Option("--partial", help="Samples may be missing.")] = False,
) -> None:
    """Make one run of its shards; refuses samples that come twice or are missing, and runs of other systems."""
    with one_line_errors():
        manifest, tally = merged(folders, out, partial=partial)
        if missing := manifest.samples - tally.samples:
            Console(stderr=True).print(f"[yellow]warning[/] {missing} of {manifest.samples} samples are missing")
        _tell(tally, out)


def ablate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="YAML files of options; a file is a row.")],
    dataset: DatasetName,
    root: Root,
    split: Split,
    out: Annotated[Path, typer.Option(help="The folder of the runs, one each; table.md is written beside them.")],
    url: Url = DEFAULT_URL,
    concurrency: Concurrency = 8,
    limit: Limit = None,
    timeout: Timeout = 300.0,
    patience: Patience = 120.0,
    twins: Twins = True,
) -> None:
    """One run for each file of options, then one table with the paper's rows beside."""
    with one_line_errors():
        plan = Plan(dataset, root, split, url, concurrency, Shard(), limit, timeout, patience, twins)
        rows = asyncio.run(ablation.ablate(plan, folder, out, Console(stderr=True)))
        table = markdown(ablation.table(plan, rows))
        (out / "table.md").write_text(table, encoding="utf-8")
        typer.echo(table)


def report(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs.")],
    out: Annotated[Path, typer.Option(help="The page; the Markdown is written beside it.")],
    root: Annotated[Path | None, typer.Option(help="The data set, where it is not where it was.")] = None,
    reasoner: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="The reasoner, to ask again with true descriptions where the data set has them."
        ),
    ] = None,
) -> None:
    """Runs as one self-contained page, beside what others have published, with what failed and why."""
    from dtwinseger.evaluation.report.analysis import analyse
    from dtwinseger.evaluation.report.page import write

    with one_line_errors():
        if len({folder.name for folder in folders}) < len(folders):
            raise RunError("two runs have folders of one name; a run is shown by it")
        page, table = write([analyse(folder, root, reasoner) for folder in folders], out)
        typer.echo(f"{page}\n{table}")


def add_to(app: typer.Typer) -> None:
    """Make the commands part of `app`."""
    for command in (run, merge, ablate, report):
        app.command()(command)


def _tell(tally: Tally, out: Path) -> None:
    figures = f"gIoU {tally.giou:.4f}  cIoU {tally.ciou:.4f}"
    typer.echo(f"{tally.samples} samples  {figures}  {tally.failed}  {tally.cost}  {out}")


@contextmanager
def one_line_errors() -> Iterator[None]:
    """An error as one line on stderr, and its exit code."""
    console = Console(stderr=True)
    try:
        yield
    except Stopped as error:
        console.print(f"[yellow]stopped[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(STOPPED) from error
    except (RunError, DatasetError, PredictionError, OSError, httpx2.HTTPError) as error:
        console.print(f"[red]error[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error
    except Problem as problem:
        console.print(f"[red]error[/] {problem.code}: {escape(problem.detail)}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from problem
    except KeyboardInterrupt as error:
        console.print("[yellow]stopped[/] results are kept; the same command goes on", highlight=False)
        raise typer.Exit(130) from error
