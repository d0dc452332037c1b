"""How long does an embedded request take? Cold, with nothing in the store, and again, from the store."""

import argparse
import contextlib
import time
from collections.abc import Sequence

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.samples import SIDE, samples
from benchmarks.target import machine, target
from dtwinseger.api import SegmentResult
from dtwinseger.client import Client
from dtwinseger.problems import Problem

REPEATS = 10  # requests from the store for each scene
STAGES = ("perception", "granularity", "semantics", "reasoning")


def _timed(client: Client, png: bytes, query: str) -> tuple[float, SegmentResult]:
    """Milliseconds as the caller sees them, and the result."""
    started = time.perf_counter()
    result = client.segment(png, query)
    return (time.perf_counter() - started) * 1000, result


def _row(name: str, milliseconds: Sequence[float]) -> tuple[str, ...]:
    median, p95 = np.percentile(milliseconds, [50, 95])
    return name, str(len(milliseconds)), f"{median:,.0f} ms", f"{p95:,.0f} ms", f"{max(milliseconds):,.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.embedded_latency", description=__doc__)
    parser.add_argument("--scenes", type=int, default=20)
    asked = parser.parse_args()
    console = Console(width=120)  # markdown tables must not wrap
    cold: list[float] = []
    stored: list[float] = []
    failed = 0
    stages: dict[str, list[float]] = {stage: [] for stage in STAGES}
    with target(console, None) as where, Client(where.gateway) as client:
        first, *rest = samples(asked.scenes + 1)
        # The engine loads its models when they are first asked for.
        started = time.perf_counter()
        with contextlib.suppress(Problem):
            client.segment(first.png, first.query.text)
        loading = (time.perf_counter() - started) * 1000
        for sample in track(rest, description="scenes", console=console, transient=True):
            try:
                took, result = _timed(client, sample.png, sample.query.text)
            except Problem:
                failed += 1
                continue
            cold.append(took)
            for stage in STAGES:
                stages[stage].append(result.timings_ms[stage])
            for _ in range(REPEATS):
                took, result = _timed(client, sample.png, sample.query.text)
                if not result.cached:
                    raise RuntimeError("a repeated request was not answered from the store")
                stored.append(took)
    table = Table("request", "n", "median", "p95", "slowest", box=box.MARKDOWN)
    table.add_row(*_row("first after the start", [loading]))
    table.add_row(*_row("cold", cold))
    for stage in STAGES:
        table.add_row(*_row(f"  of it {stage}", stages[stage]))
    table.add_row(*_row("from the store", stored))
    told = f"; {failed} requests failed and are left out" if failed else ""
    console.print(f"{SIDE}x{SIDE} pixels, one request at a time, {machine()}{told}", highlight=False)
    console.print(table)


if __name__ == "__main__":
    main()
