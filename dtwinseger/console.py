"""Answers and twins as a person reads them in a terminal."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dtwinseger.api import SegmentResult, StageProgress
from dtwinseger.client import Watch
from dtwinseger.events import Progress
from dtwinseger.twin import DigitalTwin, Step


@contextmanager
def watching() -> Iterator[Watch | None]:
    """A line on stderr that says which stage is at work; None where stderr is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with console.status("waiting for the gateway") as line:

        def show(event: Progress) -> None:
            if isinstance(event, StageProgress) and event.state == "running":
                of = f" {event.done} of {event.total}" if event.total else ""
                line.update(f"{event.stage}{of}")

        yield show


def print_result(console: Console, result: SegmentResult) -> None:
    """The answer to a query: the objects, the path that led there, and what it took."""
    console.print(f"[bold]{escape(result.query)}[/]  [dim]({result.granularity})[/]")
    if result.objects:
        table = Table("object", "semantic", "box", "area", "confidence")
        for o in result.objects:
            confidence = "" if o.confidence is None else f"{o.confidence:.2f}"
            table.add_row(str(o.index), _words(o.semantic), _box(o.bbox), f"{o.area_percent:.1f} %", confidence)
        console.print(table)
    else:
        console.print("Nothing in the image answers it.")
    _print_path(console, result.path)
    console.print(_timings(result.timings_ms, result.cached), highlight=False)
    _print_warnings(console, result.warnings)


def print_twin(console: Console, twin: DigitalTwin) -> None:
    """Every object of the twin, the chosen ones marked, and the path."""
    size = f"{twin.image.width}x{twin.image.height}"
    console.print(f"[bold]{escape(twin.query)}[/]  [dim]({twin.granularity}, {size}, twin {twin.id})[/]")
    table = Table("", "object", "semantic", "area", "place and relations")
    for o in twin.objects:
        chosen = "✓" if o.index in twin.answer.indices else ""
        table.add_row(chosen, str(o.index), _words(o.semantic), f"{o.area_percent:.1f} %", escape(o.spatial))
    console.print(table)
    _print_path(console, twin.answer.path)
    _print_warnings(console, twin.warnings)


def _print_path(console: Console, path: Sequence[Step]) -> None:
    for step in path:
        console.print(f"step {step.step}: {escape(step.criterion)}", highlight=False)
        for d in step.decisions:
            refined = f" [dim]→ {escape(d.semantic)}[/]" if d.semantic else ""
            sign = "[green]keep[/]" if d.keep else "[dim]drop[/]"
            console.print(f"  {sign} {d.index}: {escape(d.reasoning)}{refined}", highlight=False)
        if step.otherwise is not None:
            console.print(f"  [dim]drop[/] the others: {escape(step.otherwise)}", highlight=False)


def _print_warnings(console: Console, warnings: Sequence[str]) -> None:
    for warning in warnings:
        console.print(f"[yellow]warning[/] {escape(warning)}", highlight=False)


def _timings(timings_ms: dict[str, float], cached: Sequence[str]) -> str:
    told = ", ".join(f"{stage} {ms:,.0f} ms" for stage, ms in timings_ms.items())
    return told + (f"  [dim](from the store: {', '.join(cached)})[/]" if cached else "")


def _box(bbox: Sequence[int]) -> str:
    return ", ".join(str(v) for v in bbox)


def _words(semantic: str | None) -> str:
    return "[dim]not described[/]" if semantic is None else escape(semantic)
