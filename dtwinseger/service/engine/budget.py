"""A retry budget: retries must not become the load that an engine fails under."""


class RetryBudget:
    """A token bucket: each call earns `share` of a retry. It starts with `reserve` retries and holds twice as many."""

    def __init__(self, share: float, reserve: float) -> None:
        self._share = share
        self._most = 2 * reserve
        self._retries = reserve

    def earn(self) -> None:
        """A call is made for the first time."""
        self._retries = min(self._most, self._retries + self._share)

    def spend(self) -> bool:
        """Whether a retry may be made; if so it is paid."""
        if self._retries < 1:
            return False
        self._retries -= 1
        return True
