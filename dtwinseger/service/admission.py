"""Admission: so many requests at work, so many waiting, and no more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dtwinseger.problems import Problem

RETRY_AFTER_S = 2.0


class Admission:
    """`running` requests at once and `queued` waiting; one more raises Problem `overloaded`."""

    def __init__(self, running: int, queued: int) -> None:
        self._slots = asyncio.Semaphore(running)
        self._capacity = running + queued
        self.admitted = 0  # at work or waiting

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a turn and hold it."""
        if self.admitted >= self._capacity:
            raise Problem("overloaded", "too many requests are waiting; try again shortly", retry_after=RETRY_AFTER_S)
        self.admitted += 1
        try:
            async with self._slots:
                yield
        finally:
            self.admitted -= 1
