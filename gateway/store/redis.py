"""The shared twin store: Redis."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gateway.store import StoreUnavailableError

_PREFIX = "dtwinseger:"
HUNG_S = 2.0  # for each step of a call

# One step each on the server, so that no other gateway comes between look and act. KEYS[1] lock, ARGV[1] owner.
_LOCK = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_UNLOCK = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class RedisStore:
    """Keys under one prefix, each with Redis' own expiry."""

    def __init__(self, url: str) -> None:
        # redis-py retries ten times by default, which makes one call on a hung server last a minute. The timeouts are
        # for who calls without PunctualStore, which gives up sooner.
        self._redis = Redis.from_url(
            url,
            socket_timeout=HUNG_S,
            socket_connect_timeout=HUNG_S,
            retry=Retry(NoBackoff(), 0),
            protocol=2,  # spares each connection a handshake
        )
        self._lock = self._redis.register_script(_LOCK)
        self._unlock = self._redis.register_script(_UNLOCK)

    async def get(self, key: str) -> bytes | None:
        async with _translated():
            value = await self._redis.get(_PREFIX + key)
            return value if isinstance(value, bytes) else None

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        async with _translated():
            await self._redis.set(_PREFIX + key, value, px=_ms(ttl_s))

    async def delete(self, key: str) -> None:
        async with _translated():
            await self._redis.delete(_PREFIX + key)

    async def lock(self, key: str, owner: bytes, ttl_s: float) -> bool:
        async with _translated():
            return bool(await self._lock(keys=[_PREFIX + key], args=[owner, _ms(ttl_s)]))

    async def unlock(self, key: str, owner: bytes) -> None:
        async with _translated():
            await self._unlock(keys=[_PREFIX + key], args=[owner])

    async def include(self, key: str, member: bytes, ttl_s: float, most: int) -> None:
        async with _translated(), self._redis.pipeline(transaction=True) as both:
            both.zadd(_PREFIX + key, {member: time.time()})
            both.zremrangebyrank(_PREFIX + key, 0, -most - 1)
            both.pexpire(_PREFIX + key, _ms(ttl_s))
            await both.execute()

    async def members(self, key: str) -> list[bytes]:
        async with _translated():
            found = await self._redis.zrevrange(_PREFIX + key, 0, -1)
            return [member for member in found if isinstance(member, bytes)]

    async def close(self) -> None:
        await self._redis.aclose()


def _ms(seconds: float) -> int:
    return max(1, int(seconds * 1000))


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreUnavailableError(f"Redis: {error or type(error).__name__}") from error
