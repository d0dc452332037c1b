"""A twin store whose calls all end in time and are measured."""

import asyncio
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeVar

from prometheus_client import Histogram

from gateway.store import LARGE_KEYS, STORE_TIMEOUT_S, StoreUnavailableError, TwinStore

T = TypeVar("T")
Operation = Literal["get", "put", "delete", "lock", "unlock", "include", "members"]

LOOKS = 10  # in the time that a call may take
LARGE_LOOKS = 50  # for images, which are megabytes: one of them must not pass for a store that is down

_SECONDS = Histogram(
    "gateway_store_seconds",
    "Time of a call to the twin store by how it ended: ok, error, or cancelled with the request.",
    ["operation", "result"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1),
)


class PunctualStore:
    """`inner`, where a call that takes longer than STORE_TIMEOUT_S raises StoreUnavailableError.

    name: of the store, for whoever reads the error.
    """

    def __init__(self, inner: TwinStore, name: str) -> None:
        self._inner = inner
        self._name = name

    async def get(self, key: str) -> bytes | None:
        return await self._timely("get", self._inner.get(key), LARGE_LOOKS if key.startswith(LARGE_KEYS) else LOOKS)

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        looks = LARGE_LOOKS if key.startswith(LARGE_KEYS) else LOOKS
        await self._timely("put", self._inner.put(key, value, ttl_s), looks)

    async def delete(self, key: str) -> None:
        await self._timely("delete", self._inner.delete(key))

    async def lock(self, key: str, owner: bytes, ttl_s: float) -> bool:
        return await self._timely("lock", self._inner.lock(key, owner, ttl_s))

    async def unlock(self, key: str, owner: bytes) -> None:
        await self._timely("unlock", self._inner.unlock(key, owner))

    async def include(self, key: str, member: bytes, ttl_s: float, most: int) -> None:
        await self._timely("include", self._inner.include(key, member, ttl_s, most))

    async def members(self, key: str) -> list[bytes]:
        return await self._timely("members", self._inner.members(key))

    async def close(self) -> None:
        await self._inner.close()

    async def _timely(self, operation: Operation, call: Awaitable[T], looks: int = LOOKS) -> T:
        """What `call` returns. It is given up after so many looks, a share of STORE_TIMEOUT_S apart.

        Looks, and not the clock: where the event loop is late, so are they, and the call has had its turns in between.
        A burst of requests would else pass for a store that is down.
        """
        with _measured(operation):
            task = asyncio.ensure_future(call)
            try:
                for _ in range(looks):
                    await asyncio.wait({task}, timeout=STORE_TIMEOUT_S / LOOKS)
                    if task.done():
                        return task.result()
                raise StoreUnavailableError(f"{self._name} did not answer within {looks * STORE_TIMEOUT_S / LOOKS:g} s")
            finally:
                if not task.done():
                    task.cancel()
                    await asyncio.wait({task})


@contextmanager
def _measured(operation: Operation) -> Iterator[None]:
    started = time.perf_counter()
    result = "cancelled"
    try:
        yield
        result = "ok"
    except Exception:
        result = "error"
        raise
    finally:
        _SECONDS.labels(operation, result).observe(time.perf_counter() - started)
