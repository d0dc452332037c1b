"""A gate before an engine that limits its rate: one call hears of it, all wait, and then leave more slowly."""

import asyncio
import time
from collections.abc import Callable

LEAST_PACE_S = 0.1  # between two calls, at first
MOST_PACE_S = 30.0
EASE = 1.1  # 7 good answers undo what one refusal doubled, so that a steady limit refuses 1 call in 8
_NOTHING_S = 0.005


class Gate:
    """Shut for as long as the engine asked; then calls leave one by one, at a pace.

    A refusal of a call that left at that pace doubles it, each good answer quickens it, until it is none.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._opens_at = self._shut_at = clock()
        self._pace_s = 0.0

    def remaining(self) -> float:
        """Seconds until the next call may leave."""
        return max(0.0, self._opens_at - self._clock())

    def shut(self, seconds: float, sent_at: float) -> None:
        """The engine refused a call that left at `sent_at`, and asks to wait."""
        if self._pace_s == 0 or sent_at > self._shut_at:
            self._pace_s = min(max(LEAST_PACE_S, 2 * self._pace_s), MOST_PACE_S)
            self._shut_at = self._clock()
        self._opens_at = max(self._opens_at, self._clock() + seconds)

    def answered(self, sent_at: float) -> None:
        """A call that left at `sent_at` was answered well; had it left before the gate was shut, that says nothing."""
        if sent_at > self._shut_at:
            self._pace_s = self._pace_s / EASE if self._pace_s > _NOTHING_S else 0.0

    async def passed(self, within: float) -> float | None:
        """Wait to be let through: the time on the clock, or None, at once, where that takes over `within` seconds."""
        until = self._clock() + within
        while (wait := self.remaining()) > 0:
            if self._opens_at > until:
                return None
            await asyncio.sleep(wait)
        now = self._clock()
        self._opens_at = now + self._pace_s
        return now
