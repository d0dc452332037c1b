"""Admission: so many requests at work, so many waiting, and no more."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from prometheus_client import Gauge

from dtwinseger.problems import Problem

RETRY_AFTER_S = 2.0

_RUNNING = Gauge("admission_running", "Requests at work, of the gateway builds.")
_WAITING = Gauge("admission_waiting", "Requests, of the gateway builds, that have a place and wait for their turn.")


class Admission:
    """`running` requests at once and `queued` waiting; one more raises Problem `overloaded`."""

    def __init__(self, running: int, queued: int) -> None:
        self._slots = asyncio.Semaphore(running)
        self._capacity = running + queued
        self.admitted = 0  # at work or waiting

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a turn and hold it."""
        with self.place():
            async with self.turn():
                yield

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place among those at work or waiting, at once or not at all."""
        if self.admitted >= self._capacity:
            raise Problem("overloaded", "too many requests are waiting; try again shortly", retry_after=RETRY_AFTER_S)
        self.admitted += 1
        try:
            with _WAITING.track_inprogress():
                yield
        finally:
            self.admitted -= 1

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Work, once there is room; for those who have a place."""
        async with self._slots:
            _WAITING.dec()
            try:
                with _RUNNING.track_inprogress():
                    yield
            finally:
                _WAITING.inc()
