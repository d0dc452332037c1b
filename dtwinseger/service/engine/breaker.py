"""A circuit breaker: an engine that failed several times in a row is left alone for a while."""

import time
from collections.abc import Callable


class Breaker:
    """Opens after `failures` in a row; then one call, the probe, may be made each `pause_s` seconds until one succeeds.

    A probe that is cancelled, and so tells nothing, needs no word: the next pause brings another.
    """

    def __init__(self, failures: int, pause_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = failures
        self._pause_s = pause_s
        self._clock = clock
        self._failures = 0  # in a row
        self._probe_at = 0.0

    @property
    def open(self) -> bool:
        """Whether the engine counts as failed."""
        return self._failures >= self._limit

    def remaining(self) -> float:
        """Seconds for which every call is refused; 0 where one may be made."""
        return max(0.0, self._probe_at - self._clock()) if self.open else 0.0

    def admit(self) -> bool:
        """Whether a call may be made now. In an open breaker this makes it the probe."""
        if self.remaining() > 0:
            return False
        self._probe_at = self._clock() + self._pause_s
        return True

    def succeeded(self) -> None:
        """The engine answered."""
        self._failures = 0

    def failed(self) -> None:
        """The engine could not be reached, or failed."""
        self._failures += 1
        self._probe_at = self._clock() + self._pause_s

    def __str__(self) -> str:
        return f"the engine failed {self._failures} times in a row; trying again in {self.remaining():.0f} s"
