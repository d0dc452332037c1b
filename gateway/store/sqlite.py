"""The embedded twin store: one SQLite file in WAL mode, shared by the processes of one machine."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite

from gateway.store import STORE_TIMEOUT_S, StoreUnavailableError

SWEEP_S = 30.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB NOT NULL, expires REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entries_by_expiry ON entries (expires);
CREATE TABLE IF NOT EXISTS members (
    key TEXT, member BLOB, expires REAL NOT NULL, PRIMARY KEY (key, member)
) WITHOUT ROWID;
"""


class SqliteStore:
    """Entries of one table; what has expired is swept with a write. A file that is not a database is unavailable."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: aiosqlite.Connection | None = None
        self._opening = asyncio.Lock()
        self._swept_at = -SWEEP_S

    async def get(self, key: str) -> bytes | None:
        async with self._connected() as connection:
            rows = await connection.execute_fetchall(
                "SELECT value FROM entries WHERE key = ? AND expires > ?", (key, time.time())
            )
            return next((bytes(value) for (value,) in rows), None)

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        now = time.time()
        async with self._connected() as connection:
            await self._sweep(connection)
            await connection.execute(
                "INSERT INTO entries VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE"
                " SET value = excluded.value, expires = excluded.expires",
                (key, value, now + ttl_s),
            )

    async def delete(self, key: str) -> None:
        async with self._connected() as connection:
            await connection.execute("DELETE FROM entries WHERE key = ?", (key,))

    async def lock(self, key: str, owner: bytes, ttl_s: float) -> bool:
        now = time.time()
        async with self._connected() as connection:
            taken = await connection.execute(
                "INSERT INTO entries VALUES (:key, :owner, :until) ON CONFLICT (key) DO UPDATE"
                " SET value = :owner, expires = :until WHERE value = :owner OR expires <= :now",
                {"key": key, "owner": owner, "until": now + ttl_s, "now": now},
            )
            return taken.rowcount == 1

    async def unlock(self, key: str, owner: bytes) -> None:
        async with self._connected() as connection:
            await connection.execute("DELETE FROM entries WHERE key = ? AND value = ?", (key, owner))

    async def include(self, key: str, member: bytes, ttl_s: float, most: int) -> None:
        now = time.time()
        async with self._connected() as connection:
            await self._sweep(connection)
            await connection.execute("INSERT OR REPLACE INTO members VALUES (?, ?, ?)", (key, member, now + ttl_s))
            await connection.execute(
                "DELETE FROM members WHERE key = :key AND member NOT IN"
                " (SELECT member FROM members WHERE key = :key ORDER BY expires DESC LIMIT :most)",
                {"key": key, "most": most},
            )

    async def members(self, key: str) -> list[bytes]:
        async with self._connected() as connection:
            rows = await connection.execute_fetchall(
                "SELECT member FROM members WHERE key = ? AND expires > ? ORDER BY expires DESC", (key, time.time())
            )
            return [bytes(member) for (member,) in rows]

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _sweep(self, connection: aiosqlite.Connection) -> None:
        """Drop what has expired, now and then: reads pass it over meanwhile."""
        if time.monotonic() - self._swept_at >= SWEEP_S:
            self._swept_at = time.monotonic()
            for table in ("entries", "members"):
                await connection.execute(f"DELETE FROM {table} WHERE expires <= ?", (time.time(),))  # noqa: S608

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[aiosqlite.Connection]:
        connection: aiosqlite.Connection | None = None
        try:
            async with self._opening:
                if self._connection is None:
                    self._connection = await self._open()
                connection = self._connection
            yield connection
        except (sqlite3.Error, OSError, ValueError) as error:  # ValueError: another call has closed the connection
            if connection is self._connection:
                await self.close()  # the next call opens the file anew: it may have been replaced
            raise StoreUnavailableError(f"SQLite at {self._path}: {error}") from error

    async def _open(self) -> aiosqlite.Connection:
        Path(self._path).parent.mkdir(parents=True, exist_ok=True)
        connection = await aiosqlite.connect(self._path, timeout=STORE_TIMEOUT_S / 2, isolation_level=None)
        try:
            await connection.execute("PRAGMA journal_mode = WAL")
            await connection.execute("PRAGMA synchronous = NORMAL")
            await connection.executescript(_SCHEMA)
        except BaseException:
            await connection.close()
            raise
        return connection
