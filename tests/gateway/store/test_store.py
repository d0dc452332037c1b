"""One suite for every twin store: SQLite, and a real redis-server."""

import asyncio
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.store import STORE_TIMEOUT_S, StoreUnavailableError, TwinStore, open_store
from gateway.store.sqlite import SqliteStore
from tests.doubles.serving import free_port


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("needs redis-server: apt-get install redis-server")
    port = free_port()
    folder = tmp_path_factory.mktemp("redis")
    command = [binary, "--port", str(port), "--save", "", "--dir", str(folder), "--daemonize", "no"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        url = f"redis://127.0.0.1:{port}/0"
        deadline = time.monotonic() + 10
        while not asyncio.run(_answers(url)):
            assert time.monotonic() < deadline, "redis-server did not start"
        yield url, server
        server.send_signal(signal.SIGCONT)
        server.terminate()


async def _answers(url: str) -> bool:
    store = open_store(url)
    try:
        await store.get("probe")
    except StoreUnavailableError:
        return False
    finally:
        await store.close()
    return True


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/deep/twins.sqlite"
    return str(request.getfixturevalue("redis_server")[0])


def with_store(url: str, work: object) -> object:
    async def run() -> object:
        store = open_store(url)
        try:
            return await work(store)  # type: ignore[operator]
        finally:
            await store.close()

    return asyncio.run(run())


def test_a_value_comes_back_as_it_went_in(url: str) -> None:
    async def work(store: TwinStore) -> None:
        await store.put("key", b"\x00value\xff", 60)
        assert await store.get("key") == b"\x00value\xff"
        await store.put("key", b"newer", 60)
        assert await store.get("key") == b"newer"
        assert await store.get("another") is None

    with_store(url, work)


def test_a_value_outlives_the_process_that_stored_it(url: str) -> None:
    async def write(store: TwinStore) -> None:
        await store.put("kept", b"value", 60)

    async def read(store: TwinStore) -> bytes | None:
        return await store.get("kept")

    with_store(url, write)
    assert with_store(url, read) == b"value"


def test_a_deleted_value_is_gone_and_deleting_nothing_is_no_error(url: str) -> None:
    async def work(store: TwinStore) -> None:
        await store.put("key", b"value", 60)
        await store.delete("key")
        await store.delete("key")
        assert await store.get("key") is None

    with_store(url, work)


def test_a_value_is_gone_when_its_time_is_over(url: str) -> None:
    async def work(store: TwinStore) -> None:
        await store.put("short", b"value", 0.05)
        deadline = time.monotonic() + 5
        while await store.get("short") is not None:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    with_store(url, work)


def test_concurrent_writers_leave_one_whole_value(url: str) -> None:
    values = [bytes([n]) * 50_000 for n in range(20)]

    async def work(store: TwinStore) -> None:
        await asyncio.gather(*(store.put("key", value, 60) for value in values))
        assert await store.get("key") in values

    with_store(url, work)


def test_a_lock_has_one_owner_who_may_hold_it_longer_and_give_it_back(url: str) -> None:
    async def work(store: TwinStore) -> None:
        assert await store.lock("lock", b"one", 60)
        assert not await store.lock("lock", b"two", 60)
        assert await store.lock("lock", b"one", 60), "its owner holds it for longer"
        await store.unlock("lock", b"two")
        assert not await store.lock("lock", b"two", 60), "another cannot give it back"
        assert await store.get("lock") == b"one"
        await store.unlock("lock", b"one")
        assert await store.lock("lock", b"two", 60)

    with_store(url, work)


def test_of_many_who_want_a_lock_one_gets_it(url: str) -> None:
    async def work(store: TwinStore) -> None:
        taken = await asyncio.gather(*(store.lock("wanted", str(n).encode(), 60) for n in range(20)))
        assert sum(taken) == 1

    with_store(url, work)


def test_a_lock_that_is_not_held_on_to_is_free_again(url: str) -> None:
    async def work(store: TwinStore) -> None:
        assert await store.lock("short", b"died", 0.05)
        deadline = time.monotonic() + 5
        while not await store.lock("short", b"next", 60):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    with_store(url, work)


def test_a_set_holds_its_latest_members_once_each_until_they_expire(url: str) -> None:
    async def work(store: TwinStore) -> None:
        for member in (b"a", b"b", b"a"):
            await store.include("set", member, 60, 2)
        assert await store.members("set") == [b"a", b"b"], "the latest first"
        await store.include("set", b"c", 60, 2)
        assert await store.members("set") == [b"c", b"a"], "and no more of them"
        assert await store.members("another") == []
        await store.include("brief", b"a", 0.05, 2)
        deadline = time.monotonic() + 5
        while await store.members("brief"):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    with_store(url, work)


def test_a_hung_redis_costs_a_fifth_of_a_second(redis_server: tuple[str, subprocess.Popen[bytes]]) -> None:
    address, server = redis_server

    async def work(store: TwinStore) -> float:
        await store.put("key", b"value", 60)
        server.send_signal(signal.SIGSTOP)
        started = time.monotonic()
        with pytest.raises(StoreUnavailableError):
            await store.get("key")
        lost = time.monotonic() - started
        server.send_signal(signal.SIGCONT)
        assert await store.get("key") == b"value", "it is used again once it answers"
        return lost

    try:
        lost = with_store(address, work)
    finally:
        server.send_signal(signal.SIGCONT)
    assert isinstance(lost, float)
    assert lost < 5 * STORE_TIMEOUT_S, "far from redis-py's default of a minute"


def test_a_redis_that_is_not_there_is_unavailable() -> None:
    async def work(store: TwinStore) -> None:
        with pytest.raises(StoreUnavailableError, match="Redis"):
            await store.get("key")

    with_store(f"redis://127.0.0.1:{free_port()}/0", work)


def test_a_file_that_is_no_database_is_unavailable_until_it_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "twins.sqlite"
    path.write_bytes(b"this is not a database" * 100)

    async def work(store: TwinStore) -> None:
        with pytest.raises(StoreUnavailableError, match=str(path)):
            await store.put("key", b"value", 60)
        path.unlink()
        await store.put("key", b"value", 60)
        assert await store.get("key") == b"value"

    with_store(f"sqlite:///{path}", work)


def test_a_file_that_breaks_under_many_calls_is_unavailable_to_each_and_then_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "twins.sqlite"

    async def calls(store: TwinStore) -> int:
        unavailable = 0
        for _ in range(30):
            try:
                await store.get("key")
            except StoreUnavailableError:
                unavailable += 1
        return unavailable

    async def work(store: TwinStore) -> None:
        await store.put("key", b"value", 60)
        with closing(sqlite3.connect(path)) as other:
            other.execute("DROP TABLE entries")
        async with asyncio.timeout(10):
            assert sum(await asyncio.gather(*(calls(store) for _ in range(20)))) > 0
        await store.put("key", b"value", 60)
        assert await store.get("key") == b"value"
        await store.close()

    asyncio.run(work(SqliteStore(str(path))))  # whose calls nobody gives up


@pytest.mark.parametrize("url", ["", "sqlite://", "sqlite:///", "postgres://x", "twins.sqlite"])
def test_an_unknown_store_is_refused_with_the_forms_that_work(url: str) -> None:
    with pytest.raises(ValueError, match=r"sqlite:///path.*redis://"):
        open_store(url)


def test_many_calls_that_a_locked_sqlite_file_fails_all_end(tmp_path: Path) -> None:
    """Each of them closes the connection; none may wait for a thread that another one has ended."""

    async def crowd() -> list[BaseException | None]:
        store = open_store(f"sqlite:///{tmp_path}/twins.sqlite")
        await store.put("key", b"value", 60)
        with closing(sqlite3.connect(tmp_path / "twins.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            async with asyncio.timeout(20):
                outcomes = await asyncio.gather(
                    *(store.put(f"key {n}", b"value", 60) for n in range(8)), return_exceptions=True
                )
        await store.put("key", b"value", 60)
        await store.close()
        return outcomes

    assert all(isinstance(outcome, StoreUnavailableError) for outcome in asyncio.run(crowd()))
