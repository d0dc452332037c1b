"""A cache in memory with a budget of bytes."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from services.perception import metrics

V = TypeVar("V")

LEAST_BYTES = 1024  # what any entry counts: its key and objects take memory too, however many values are empty


class ByteBudget(Generic[V]):
    """The values used last, as many as fit into `budget` bytes. Not thread-safe: it belongs to the device's thread.

    name: of the cache, in metrics. A budget of 0 keeps nothing.
    """

    def __init__(self, name: str, budget: int) -> None:
        self._name = name
        self._budget = budget
        self._entries: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()  # the one used last at the end
        self.nbytes = 0  # of all that is kept

    def get(self, key: Hashable) -> V | None:
        """The value under `key`, which then counts as used last; None for a miss."""
        entry = self._entries.get(key)
        metrics.CACHE_READS.labels(self._name, "miss" if entry is None else "hit").inc()
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: Hashable, value: V, nbytes: int) -> None:
        """Keep `value` of `nbytes` bytes in place of what `key` had; not where it alone is over the budget."""
        if key in self._entries:
            self.nbytes -= self._entries.pop(key)[1]
        nbytes = max(nbytes, LEAST_BYTES)
        if nbytes > self._budget:
            return
        while self.nbytes + nbytes > self._budget:
            self.nbytes -= self._entries.popitem(last=False)[1][1]
        self._entries[key] = (value, nbytes)
        self.nbytes += nbytes
