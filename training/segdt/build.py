"""Runs a builder: unit after unit into a folder, several at once where they wait for services."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from dtwinseger.problems import Problem, ProblemCode
from training.segdt.output import BuildError, Made, Output

Make = Callable[[], Awaitable[Made]]

# What is wrong with one sample alone. Any other problem ends the build: the next sample would meet it too.
OF_A_SAMPLE: frozenset[ProblemCode] = frozenset(
    {"upstream_invalid", "invalid_image", "image_too_large", "invalid_query"}
)


async def build(output: Output, units: Mapping[str, Make], at_once: int, console: Console) -> None:
    """Make each of `units` that is not finished, `at_once` at a time, and write them in their order.

    Raises BuildError where a service cannot be used; what was finished until then is kept.
    """
    todo = output.todo(list(units))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("building", total=len(units), completed=len(units) - len(todo))
        waiting: deque[tuple[str, asyncio.Task[Made]]] = deque()
        coming = iter(todo)
        try:
            _start(coming, units, waiting, at_once)
            while waiting:
                unit, task = waiting[0]
                output.add(unit, await task)
                waiting.popleft()
                progress.update(bar, advance=1, description=f"{output.samples:,} samples")
                _start(coming, units, waiting, 1)
        except Problem as problem:
            raise BuildError(f"{problem.detail}; the same command goes on from here") from problem
        finally:
            for _, task in waiting:
                task.cancel()
            for _, task in waiting:
                with suppress(asyncio.CancelledError, Exception):
                    await task


def _start(
    coming: Iterator[str], units: Mapping[str, Make], waiting: "deque[tuple[str, asyncio.Task[Made]]]", count: int
) -> None:
    for _ in range(count):
        if (unit := next(coming, None)) is not None:
            waiting.append((unit, asyncio.create_task(_attempt(units[unit]))))


async def _attempt(make: Make) -> Made:
    return await make()


def as_table(output: Output) -> Table:
    """What the folder holds, and why samples were left out."""
    table = Table("samples", "count", title=str(output.folder))
    table.add_row("written", f"{output.samples:,}")
    for reason, count in output.left_out.most_common():
        table.add_row(f"left out: {reason}", f"{count:,}")
    return table
