"""The stack that a benchmark measures: one that runs, or one of its own with an empty store."""

import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from embedded.ports import free_ports
from embedded.stack import Stack

BEHIND = ("reasoner", "semantics", "engine")


@dataclass(frozen=True)
class Target:
    """Where to ask."""

    gateway: str
    reasoner: str
    semantics: str
    engine: str


@contextmanager
def target(console: Console, running: Target | None) -> Iterator[Target]:
    """What runs already, or for None a stack that lives as long as the context."""
    if running is not None:
        yield running
        return
    with tempfile.TemporaryDirectory() as folder:
        store = {"GATEWAY_STORE_URL": f"sqlite:///{folder}/twins.sqlite"}
        with (
            Stack(free_ports(), run_dir=Path(folder), environment=store) as stack,
            console.status("starting the stack") as status,
        ):
            stack.wait(lambda name, state: status.update(f"{name}: {state}"))
            status.stop()
            yield Target(stack.url, *(f"http://127.0.0.1:{stack.ports[name]}" for name in BEHIND))


def machine() -> str:
    """The hardware, for a table's caption."""
    names = [line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")]
    return f"{len(os.sched_getaffinity(0))} cores, {names[0] if names else platform.processor() or platform.machine()}"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
