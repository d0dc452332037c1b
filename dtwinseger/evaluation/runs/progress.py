"""How far a run is, on stderr: a bar in a terminal, a line now and then in a log."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from dtwinseger.evaluation.runs.retries import Gate
from dtwinseger.evaluation.runs.tally import Tally

LOG_EVERY_S = 30.0


class Shown:
    """Shows a tally of `total` samples as it grows. Use it as a context manager."""

    def __init__(self, console: Console, tally: Tally, gate: Gate, total: int, name: str) -> None:
        self._console = console
        self._tally = tally
        self._gate = gate
        self._total = total
        self._before = tally.samples
        self._started = self._logged = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(escape(name), total=total, completed=tally.samples, figures="")

    def update(self) -> None:
        """Show the tally as it stands."""
        self._bar.update(self._task, completed=self._tally.samples, figures=escape(self.figures()))
        if not self._console.is_terminal and time.monotonic() - self._logged >= LOG_EVERY_S:
            self._logged = time.monotonic()
            told = f"{self._tally.samples} of {self._total}  {self.figures()}"
            self._console.print(told, highlight=False, soft_wrap=True, markup=False)

    def figures(self) -> str:
        """Rate, time left, running gIoU, failures and cost in one line."""
        away = self._gate.away_since
        if away is not None:
            return f"the gateway has been away for {time.monotonic() - away:.0f} s; waiting"
        now = self._tally.samples - self._before
        rate = now / max(1e-9, time.monotonic() - self._started)
        left = (self._total - self._tally.samples) / rate if now else 0
        tally = self._tally
        return f"{rate:.2f}/s  {_clock(left)} left  gIoU {tally.giou:.3f}  {tally.failed}  {tally.cost}"

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.update()
        self._bar.stop()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
