"""How often one caller may start work: a sliding window, counted in Redis where the gateways share one."""

import math
import re
import time
from typing import Any

import structlog
from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from starlette.types import ASGIApp, Receive, Scope, Send

from dtwinseger.problems import Problem
from dtwinseger.service.app import problem_response
from dtwinseger.service.middleware import count_problem, drain
from gateway.store import STORE_TIMEOUT_S

log = structlog.get_logger()

REST_S = 5.0  # after a failure nothing is counted for this long
_WORK = re.compile(r"/segment|/dt/[^/]+/segment")  # what starts work, by POST


class Limiter:
    """`rate` (such as 60/minute) for each caller. While Redis is down nobody is limited."""

    def __init__(self, rate: str, store_url: str) -> None:
        """Raises ValueError for a rate that is none. Nothing is connected before the first call."""
        self._rate: RateLimitItem = parse(rate)
        self._pool = _pool(store_url)
        self._window = SlidingWindowCounterRateLimiter(_storage(self._pool))
        self._rest_until = 0.0

    async def take(self, caller: str) -> None:
        """Count one request. Raises Problem `rate_limited` where it is one too many."""
        if time.monotonic() < self._rest_until:
            return
        try:
            if await self._window.hit(self._rate, caller):
                return
            reset, _ = await self._window.get_window_stats(self._rate, caller)
        except StorageError as error:
            log.warning("rate.unavailable", error=str(error.storage_error), rest_s=REST_S)
            self._rest_until = time.monotonic() + REST_S
            return
        wait = max(1, math.ceil(reset - time.time()))
        raise Problem("rate_limited", f"more than {self._rate}: wait {wait} s", retry_after=wait)

    async def close(self) -> None:
        """Release connections."""
        if self._pool is not None:
            await self._pool.disconnect()


class RateLimit:
    """Answers `rate_limited` before the body of a request that is one too many is used. Inside Access. Pure ASGI."""

    def __init__(self, app: ASGIApp, service: str, limiter: Limiter) -> None:
        self.app = app
        self.service = service
        self.limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and _WORK.fullmatch(scope["path"]):
            try:
                await self.limiter.take(scope["state"]["caller"])
            except Problem as problem:
                await drain(receive)
                count_problem(self.service, problem)
                await problem_response(problem)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _pool(store_url: str) -> ConnectionPool | None:
    """Connections to the Redis that the gateways share; None where each counts for itself."""
    if not store_url.startswith(("redis://", "rediss://", "unix://")):
        return None
    # As for the store: a hung server costs one short timeout, not a minute of retries.
    timeouts = {"socket_timeout": STORE_TIMEOUT_S, "socket_connect_timeout": STORE_TIMEOUT_S}
    return ConnectionPool.from_url(store_url, **timeouts, retry=Retry(NoBackoff(), 0))


def _storage(pool: ConnectionPool | None) -> Storage:
    if pool is None:
        return MemoryStorage()
    options: dict[str, Any] = {"connection_pool": pool}
    return RedisStorage(
        "async+redis://", wrap_exceptions=True, implementation="redispy", key_prefix="dtwinseger:rate", **options
    )
