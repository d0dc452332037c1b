"""Does `eval run` keep its requests in flight, and does a kill lose or double anything? Against doubles.

`python -m benchmarks.evaluation_run --help`
"""

import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.staged import gateway, services
from benchmarks.target import machine
from dtwinseger.evaluation.datasets.scenes import write
from dtwinseger.evaluation.runs.journal import places
from dtwinseger.evaluation.runs.record import RESULTS, Record
from tests.doubles.services import Script
from training.scenes.export import lines

IN_FLIGHT = 64
LATENCY_S = 1.0
SIZE = (256, 256)  # height, width: so small that the gateway's own work does not set the rate
Rows = Iterator[tuple[str, str, str]]  # figure, measured, wanted


@contextmanager
def standing(samples: int, latency_s: float) -> Iterator[tuple[str, Path]]:
    """The URL of a gateway whose reasoner takes `latency_s`, and a folder with that many scenes under `scenes`."""
    script = Script(latency_s={"reason": latency_s})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        split = folder / "scenes" / "val"
        split.mkdir(parents=True)
        write(split, lines(split, range(1_000, 1_000 + samples), SIZE, 1))
        settings = {"log_level": "warning", "max_running": str(IN_FLIGHT), "max_queued": "0"}
        with services(script) as behind, gateway(behind, f"sqlite:///{folder}/twins.sqlite", **settings) as url:
            yield url, folder


def command(url: str, folder: Path, out: str, *more: str) -> list[str]:
    """`dtwinseger eval run` on the scenes."""
    arguments = ["--dataset", "scenes", "--root", str(folder / "scenes"), "--split", "val", "--url", url]
    run = [str(Path(sys.executable).with_name("dtwinseger")), "eval", "run", *arguments]
    return [*run, "--out", str(folder / out), "--concurrency", str(IN_FLIGHT), *more]


def rate(rounds: int) -> Rows:
    """Of a run of `rounds` times IN_FLIGHT samples, from its first request to its last answer, by its own records."""
    samples = rounds * IN_FLIGHT
    with standing(samples, LATENCY_S) as (url, folder):
        _finish(command(url, folder, "warm", "--limit", "1"))
        for title, out, more in (
            ("twins kept", "kept", ("--twins",)),
            ("twins not kept", "bare", ("--no-twins", "--options", str(_other_options(folder)))),
        ):
            began = time.perf_counter()
            told = _finish(command(url, folder, out, *more))
            took = time.perf_counter() - began
            found = re.search(r"in ([\d.]+) s", told)
            if found is None:
                raise RuntimeError(f"the run did not say how long it asked: {told}")
            asked_s = float(found[1])
            yield (
                f"{samples} samples, {IN_FLIGHT} in flight, {LATENCY_S:g} s each, {title}",
                f"{samples / asked_s:.1f} a second, {samples / asked_s / (IN_FLIGHT / LATENCY_S):.1%} of the ideal "
                f"({took:.1f} s with start and end)",
                "at least 95 %",
            )


def kills(times: int, samples: int) -> Rows:
    """Of a run that is killed `times` times at random sizes of its results, against one that is not."""
    draw = random.Random(0)  # noqa: S311 - a benchmark repeats
    with standing(samples, 0.2) as (url, folder):
        _finish(command(url, folder, "whole", "--concurrency", "4"))
        size = (folder / "whole" / RESULTS).stat().st_size
        killed = 0
        for moment in sorted(draw.randrange(size) for _ in range(times)):
            killed += _killed_at(
                command(url, folder, "killed", "--concurrency", "4"), folder / "killed" / RESULTS, moment
            )
        _finish(command(url, folder, "killed", "--concurrency", "4"))
        for out in ("whole", "killed"):
            _finish(
                [*command(url, folder, out)[:2], "merge", str(folder / out), "--out", str(folder / f"{out}-merged")]
            )
        whole, resumed = (_results(folder / f"{out}-merged") for out in ("whole", "killed"))
    same = "identical" if whole == resumed else "different"
    yield f"{samples} samples, kill -9 {killed} times, merged", f"{same}, {len(resumed)} samples", "identical"


def _killed_at(run: Sequence[str], results: Path, moment: int) -> bool:
    """Start a run and kill it once its results have `moment` bytes; False where it ended before."""
    with subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        while process.poll() is None and not (results.exists() and results.stat().st_size > moment):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    return process.returncode == -signal.SIGKILL


def _results(folder: Path) -> list[Record]:
    """A run's records in their order, without the time that the client waited."""
    list(places(folder / RESULTS))
    records = [Record.model_validate_json(line) for line in (folder / RESULTS).read_bytes().splitlines()]
    return [record.model_copy(update={"seconds": 0.0, "attempts": 1}) for record in records]


def _other_options(folder: Path) -> Path:
    """Options that make other twins, so that the store does not answer."""
    path = folder / "options.yaml"
    path.write_text("reasoning: {votes: 2}\n")
    return path


def _finish(run: Sequence[str]) -> str:
    done = subprocess.run(run, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def main(
    rounds: Annotated[int, typer.Option(help="Times that all places in flight are filled.")] = 20,
    times: Annotated[int, typer.Option(help="Kills.")] = 20,
    samples: Annotated[int, typer.Option(help="Of the run that is killed.")] = 120,
) -> None:
    """Print one table."""
    console = Console(width=150)
    table = Table("figure", "measured", "wanted", box=box.MARKDOWN)
    for rows in (rate(rounds), kills(times, samples)):
        for row in rows:
            table.add_row(*row)
    console.print(f"`eval run` against doubles, SQLite, {machine()}", highlight=False)
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
