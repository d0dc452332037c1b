"""How the client waits for an answer that takes long."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

import httpx2

from dtwinseger.api import SegmentResult
from dtwinseger.client import patience
from dtwinseger.client.receiving import as_problems
from dtwinseger.events import EventReader, Progress
from dtwinseger.problems import Problem

Watch: TypeAlias = Callable[[Progress], None]


class Following:
    """A request and, where its answer takes long, the events of its twin, over as many connections as it takes."""

    def __init__(self, timeout: float, watch: Watch | None) -> None:
        self._ends_at = time.monotonic() + timeout + patience.GRACE_S
        self._watch = watch
        self._reader = EventReader()

    def headers(self) -> dict[str, str]:
        """Of the request: its events are wanted from the first on where somebody watches."""
        return {"Prefer": "respond-async" if self._watch else f"wait={patience.WAIT_S}"}

    def events(self, accepted: httpx2.Response) -> str:
        """Where the events are."""
        return f"{accepted.headers.get('location', '')}/events"

    def resumed(self) -> dict[str, Any]:
        """How to ask for the events after those that have been read."""
        left = self._left()
        headers = {"Accept": "text/event-stream", "Last-Event-ID": self._reader.resume()}
        return {"headers": headers, "timeout": httpx2.Timeout(min(patience.SILENCE_S, left), connect=min(5.0, left))}

    def read(self, line: str) -> SegmentResult | None:
        """The result, if the stream ends with this line; what comes before goes to who watches. Raises Problem."""
        found = self._reader.read(line)
        if isinstance(found, SegmentResult):
            return found
        if found is not None and self._watch:
            self._watch(found)
        self._left()
        return None

    @contextmanager
    def again(self, url: str) -> Iterator[None]:
        """Let a connection break: the work goes on, and the next one tells how far it is."""
        with as_problems(url), suppress(httpx2.TransportError):
            yield

    def _left(self) -> float:
        """Seconds until the answer must be there. Raises Problem `deadline_exceeded`."""
        if (left := self._ends_at - time.monotonic()) > 0:
            return left
        raise Problem("deadline_exceeded", "the answer did not come in time; allow more")
