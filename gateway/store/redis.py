"""The shared twin store: Redis, with timeouts that keep a hung server from holding a request."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gateway.store import STORE_TIMEOUT_S, StoreUnavailableError

_PREFIX = "dtwinseger:"


class RedisStore:
    """Keys under one prefix, each with Redis' own expiry."""

    def __init__(self, url: str) -> None:
        # redis-py retries ten times by default, which makes one call on a hung server last a minute.
        self._redis = Redis.from_url(
            url,
            socket_timeout=STORE_TIMEOUT_S,
            socket_connect_timeout=STORE_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )

    async def get(self, key: str) -> bytes | None:
        async with _translated():
            value = await self._redis.get(_PREFIX + key)
            return value if isinstance(value, bytes) else None

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        async with _translated():
            await self._redis.set(_PREFIX + key, value, px=max(1, int(ttl_s * 1000)))

    async def delete(self, key: str) -> None:
        async with _translated():
            await self._redis.delete(_PREFIX + key)

    async def close(self) -> None:
        await self._redis.aclose()


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreUnavailableError(f"Redis: {error or type(error).__name__}") from error
