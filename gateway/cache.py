"""Typed access to the store that fails open: a store that is down costs little time and never a request."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog
from prometheus_client import Counter
from pydantic import BaseModel

from dtwinseger.problems import Problem
from gateway.keys import PUBLIC, of_tenant
from gateway.store import LARGE_KEYS, StoreUnavailableError, TwinStore
from gateway.store.codec import pack_model, unpack_model

log = structlog.get_logger()
Model = TypeVar("Model", bound=BaseModel)
T = TypeVar("T")

_READS = Counter(
    "gateway_store_reads",
    "Reads of the twin store by what was read: hit, miss, corrupt, unavailable.",
    ["kind", "result"],
)
LARGE = 100_000  # stored bytes from which unpacking is left to a thread, lest it hold up the event loop
REST_S = 5.0  # after a failure the store is left alone for this long


@dataclass
class Rest:
    """Until when a store that has failed is left alone, and why."""

    error: str = ""
    until: float = 0.0  # on the monotonic clock


class Cache:
    """One tenant's stage results in the store. `last_error` says why it is not used at present, if it is not."""

    def __init__(self, store: TwinStore, ttl_s: float, tenant: str = PUBLIC, rest: Rest | None = None) -> None:
        self.tenant = tenant
        self._store = store
        self._ttl_s = ttl_s
        self._resting = rest or Rest()  # one for all tenants: they share the store

    @property
    def last_error(self) -> str | None:
        """Why the store is resting, or None while it is in use."""
        return self._resting.error if time.monotonic() < self._resting.until else None

    def of(self, tenant: str) -> "Cache":
        """What is stored for `tenant`, and for no other. It rests when the store does."""
        return Cache(self._store, self._ttl_s, tenant, self._resting)

    async def get(self, key: str, kind: type[Model]) -> Model | None:
        """The model under `key`; None for a miss, a corrupt or old value, or a store that is down."""
        name = key.partition(":")[0]
        if self.last_error:
            _READS.labels(name, "unavailable").inc()
            return None
        try:
            stored = await self._store.get(self._key(key))
        except StoreUnavailableError as error:
            _READS.labels(name, "unavailable").inc()
            self._rest(error)
            return None
        found = None if stored is None else await _unpacked(kind, stored)
        result = "hit" if found is not None else "miss" if stored is None else "corrupt"
        _READS.labels(name, result).inc()
        if result == "corrupt":
            log.warning("store.corrupt", key=key)
        return found

    async def put(self, key: str, value: BaseModel, *, extra_ttl_s: float = 0.0) -> None:
        """Store `value`, if the store is up, for the configured time and `extra_ttl_s` seconds more."""

        async def packed() -> None:
            large = key.startswith(LARGE_KEYS)
            stored = await asyncio.to_thread(pack_model, value) if large else pack_model(value)
            await self._store.put(self._key(key), stored, self._ttl_s + extra_ttl_s)

        await self._try(packed, None)

    async def delete(self, key: str) -> None:
        """Forget a value. Raises Problem `storage_unavailable`: a deletion must not fail in silence."""
        await self._removing(self._store.delete(self._key(key)))

    async def discard(self, key: str) -> None:
        """Forget a value that means nothing any more; while the store is down it expires."""
        await self._try(lambda: self._store.delete(self._key(key)), None)

    async def lock(self, key: str, owner: str, ttl_s: float) -> bool:
        """Take a lock or hold it longer; False where another has it. While the store is down everyone may work."""
        return await self._try(lambda: self._store.lock(self._key(key), owner.encode(), ttl_s), True)

    async def seize(self, key: str, owner: str, ttl_s: float) -> None:
        """Take a lock from whoever has it, for a deletion. Raises Problem `storage_unavailable`."""
        await self._removing(self._store.put(self._key(key), owner.encode(), ttl_s))

    async def unlock(self, key: str, owner: str) -> None:
        """Give a lock back; while the store is down it runs out by itself."""
        await self._try(lambda: self._store.unlock(self._key(key), owner.encode()), None)

    async def holder(self, key: str) -> str | None:
        """Who holds the lock; nobody while the store is down."""
        held = await self._try(lambda: self._store.get(self._key(key)), None)
        return None if held is None else held.decode(errors="replace")

    async def include(self, key: str, member: str, most: int) -> None:
        """Add to a set of which the `most` latest stay, if the store is up."""
        await self._try(lambda: self._store.include(self._key(key), member.encode(), self._ttl_s, most), None)

    async def members(self, key: str) -> list[str]:
        """The members of a set, the latest first; none while the store is down."""
        found: list[bytes] = await self._try(lambda: self._store.members(self._key(key)), [])
        return [member.decode(errors="replace") for member in found]

    async def probe(self) -> None:
        """Ask the store for anything, so that `last_error` tells how it is now."""
        await self._try(lambda: self._store.get("probe"), None)

    async def _try(self, call: Callable[[], Awaitable[T]], otherwise: T) -> T:
        """What `call` returns, or `otherwise` where the store is down or has just failed."""
        if self.last_error:
            return otherwise
        try:
            return await call()
        except StoreUnavailableError as error:
            self._rest(error)
            return otherwise

    async def _removing(self, call: Awaitable[None]) -> None:
        try:
            await call
        except StoreUnavailableError as error:
            self._rest(error)
            raise Problem("storage_unavailable", f"nothing was removed: {error}; try again shortly") from error

    def _rest(self, error: StoreUnavailableError) -> None:
        log.warning("store.unavailable", error=str(error), rest_s=REST_S)
        self._resting.error, self._resting.until = str(error), time.monotonic() + REST_S

    def _key(self, key: str) -> str:
        return of_tenant(self.tenant, key)


async def _unpacked(kind: type[Model], stored: bytes) -> Model | None:
    return unpack_model(kind, stored) if len(stored) < LARGE else await asyncio.to_thread(unpack_model, kind, stored)
