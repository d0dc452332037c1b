"""The twin store: bytes under keys, each with a time to live. SQLite for one machine, Redis to share."""

from typing import Protocol


class StoreUnavailableError(Exception):
    """The store did not answer in time, or answered with an error of its own."""


class TwinStore(Protocol):
    """What the gateway needs of a store. Every call may raise StoreUnavailableError."""

    async def get(self, key: str) -> bytes | None:
        """The value, or None where there is none or its time is over."""

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        """Store or replace a value; it is gone after `ttl_s` seconds."""

    async def delete(self, key: str) -> None:
        """Forget a value, if there is one."""

    async def lock(self, key: str, owner: bytes, ttl_s: float) -> bool:
        """Take the lock `key` for `ttl_s` seconds, or hold it for as long again; False where another owner has it."""

    async def unlock(self, key: str, owner: bytes) -> None:
        """Give the lock back, if `owner` has it."""

    async def include(self, key: str, member: bytes, ttl_s: float, most: int) -> None:
        """Add `member` to the set `key`, of which the `most` latest stay, for `ttl_s` seconds each or longer."""

    async def members(self, key: str) -> list[bytes]:
        """The set, the latest first; [] where there is none."""

    async def close(self) -> None:
        """Release connections."""


STORE_TIMEOUT_S = 0.2  # of a call
LARGE_KEYS = "image:"  # begin so: their values are megabytes


def open_store(url: str) -> TwinStore:
    """The store that `url` names: `sqlite:///path/to/file` or `redis://host:port/db`; its calls end in STORE_TIMEOUT_S.

    Raises ValueError for another scheme. Nothing is connected before the first call.
    """
    from gateway.store.punctual import PunctualStore
    from gateway.store.redis import RedisStore
    from gateway.store.sqlite import SqliteStore

    if path := sqlite_path(url):
        return PunctualStore(SqliteStore(path), f"SQLite at {path}")
    if url.startswith(("redis://", "rediss://", "unix://")):
        return PunctualStore(RedisStore(url), "Redis")
    raise ValueError("GATEWAY_STORE_URL names no store: use sqlite:///path/to/file or redis://host:port/db")


def sqlite_path(url: str) -> str | None:
    """The file of a `sqlite:///path/to/file`; None for another URL."""
    return url.removeprefix("sqlite:///") or None if url.startswith("sqlite:///") else None
