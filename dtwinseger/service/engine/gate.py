"""A gate before an engine that limits its rate: one call hears of it, all wait, and then leave more slowly."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

LEAST_PACE_S = 0.1  # between two calls, at first
MOST_PACE_S = 30.0
EASE = 1.1  # 7 good answers undo what one refusal doubled, so that a steady limit refuses 1 call in 8
# An engine that limits its rate lets a call through once the wait that it asks for is over. So the pace need never be
# much above the longest such wait, and who refuses calls at 1.5 times that does not look at their rate.
MOST_WAITS = 3.0
SLOW_WAITS = 1.5
SLOW_REFUSALS = 2  # so many are no accident
IN_A_ROW = 8  # good answers, after which they count no more
OPEN_S = 30.0  # for which the gate then stays open
_NOTHING_S = 0.005


@dataclass(frozen=True)
class Departure:
    """When a call was let through, on the gate's clock, and at which pace, both in seconds."""

    at: float
    pace_s: float


class Gate:
    """Shut for as long as the engine asked; then calls leave one by one, at a pace.

    A refusal of a call that left at that pace doubles it, each good answer quickens it, until it is none. For an engine
    that refuses calls at whatever pace the gate stays open: each call then waits for itself alone.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._opens_at = self._shut_at = self._heeds_at = clock()
        self._pace_s = 0.0
        self._longest_s = 0.0  # wait that was asked for since there is a pace
        self._slow_refusals = 0
        self._in_a_row = 0

    def remaining(self) -> float:
        """Seconds until the next call may leave."""
        return max(0.0, self._opens_at - self._clock())

    def shut(self, seconds: float, left: Departure) -> None:
        """The engine refused a call that `left`, and asks to wait."""
        now = self._clock()
        if now < self._heeds_at:
            return
        self._longest_s = max(self._longest_s, seconds, LEAST_PACE_S / 2)
        if left.at > self._shut_at and left.pace_s >= SLOW_WAITS * self._longest_s:
            self._slow_refusals += 1
            if self._slow_refusals >= SLOW_REFUSALS:
                self._open_up(now)
                return
        if self._pace_s == 0 or left.at > self._shut_at:
            most = min(MOST_WAITS * self._longest_s, MOST_PACE_S)
            self._pace_s = max(LEAST_PACE_S, min(2 * self._pace_s, most))
            self._shut_at = now
            self._in_a_row = 0
        self._opens_at = max(self._opens_at, now + seconds)

    def answered(self, left: Departure) -> None:
        """A call that `left` was answered well; had it left before the gate was shut, that says nothing."""
        if left.at <= self._shut_at or self._pace_s == 0:
            return
        self._in_a_row += 1
        if self._in_a_row >= IN_A_ROW:
            self._slow_refusals = 0
        self._pace_s = self._pace_s / EASE if self._pace_s > _NOTHING_S else 0.0
        if self._pace_s == 0:
            self._longest_s = 0.0

    async def passed(self, within: float) -> Departure | None:
        """Wait to be let through: the departure, or None, at once, where that takes over `within` seconds."""
        until = self._clock() + within
        while (wait := self.remaining()) > 0:
            if self._opens_at > until:
                return None
            await asyncio.sleep(wait)
        now = self._clock()
        self._opens_at = now + self._pace_s
        return Departure(now, self._pace_s)

    def _open_up(self, now: float) -> None:
        self._heeds_at = now + OPEN_S
        self._opens_at = now
        self._pace_s = self._longest_s = 0.0
        self._slow_refusals = 0
