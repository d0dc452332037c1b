"""Redis refused, hung, full, evicting, corrupt, restarted, or with another password: answers go on and say so."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest

from gateway.store import StoreUnavailableError, TwinStore, open_store
from tests.doubles.redis_server import RedisServer, redis_server
from tests.doubles.services import Script
from tests.gateway.conftest import Gateway, gateway

LOST_S = 0.25  # what a request may lose to a store that is down
SHORT_REST_S = 0.3


@pytest.fixture(scope="module")
def shared() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def server(shared: RedisServer) -> Iterator[RedisServer]:
    """The server, thawed, running and empty again after the test."""
    yield shared
    if shared.process is None:
        shared.start()
    shared.thaw()
    with shared.client as client:
        client.config_set("maxmemory", "0")
        client.config_set("maxmemory-policy", "noeviction")
        client.flushall()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the server is well: a busy machine must not look like a broken store."""
    monkeypatch.setattr("gateway.store.punctual.STORE_TIMEOUT_S", 10)


def with_store(url: str, work: Callable[[TwinStore], Awaitable[None]]) -> None:
    async def run() -> None:
        store = open_store(url)
        try:
            await work(store)
        finally:
            await store.close()

    asyncio.run(run())


async def lost_s(store: TwinStore) -> float:
    """Seconds until the store says that it is unavailable: the least of three, for the machine may be busy."""
    times = []
    for _ in range(3):
        started = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="Redis"):
            await store.get("key")
        times.append(time.monotonic() - started)
    return min(times)


def test_a_server_that_refuses_or_hangs_costs_a_quarter_of_a_second_at_most(server: RedisServer) -> None:
    async def work(store: TwinStore) -> None:
        await store.put("key", b"value", 60)
        server.freeze()
        assert await lost_s(store) < LOST_S, "with a connection, and without"
        server.thaw()
        assert await store.get("key") == b"value", "it is used again once it answers"
        server.stop()
        assert await lost_s(store) < LOST_S
        server.start()
        assert await store.get("key") is None

    with_store(server.url, work)


def test_a_cancelled_call_leaves_no_answer_behind_for_the_next(server: RedisServer, patient: None) -> None:
    values = {f"key{n}": bytes([n]) * 100_000 for n in range(20)}

    async def work(store: TwinStore) -> None:
        for key, value in values.items():
            await store.put(key, value, 60)
        cancelled = 0
        for patience in range(40):  # turns of the loop until the calls are cancelled: at every step of a call
            calls = [asyncio.create_task(store.get(key)) for key in values]
            for _ in range(patience):
                await asyncio.sleep(0)
            for call in calls:
                call.cancel()
            cancelled += sum(isinstance(end, asyncio.CancelledError) for end in await gathered(calls))
            assert await gathered([store.get(key) for key in values]) == list(values.values())
        assert cancelled > 100
        with server.client as client:
            assert int(client.info("clients")["connected_clients"]) <= 2 * len(values) + 1, "no connection leaks"

    with_store(server.url, work)


async def gathered(calls: list[asyncio.Task[bytes | None]] | list[Awaitable[bytes | None]]) -> list[object]:
    return await asyncio.gather(*calls, return_exceptions=True)


@pytest.fixture
def short_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.cache.REST_S", SHORT_REST_S)


def answered_without_store(front: Gateway, query: str) -> None:
    """A request succeeds, soon, and its warnings say that the store was of no use."""
    started = time.monotonic()
    answer = front.segment(query=query)
    assert time.monotonic() - started < 5
    assert answer.status_code == 200, answer.text
    assert answer.json()["indices"] == [2]
    assert any("store" in warning for warning in answer.json()["warnings"]), answer.json()["warnings"]


def recovers(front: Gateway) -> None:
    """After a while, and with no help, an answer comes from the store again."""
    deadline = time.monotonic() + 20
    while True:
        front.segment(query="recovered?")
        again = front.segment(query="recovered?").json()
        if set(again["cached"]) == {"proposals", "granularity", "semantics", "answer"}:
            assert not again["warnings"]
            return
        assert time.monotonic() < deadline


def test_refused_while_a_gateway_runs(server: RedisServer, monkeypatch: pytest.MonkeyPatch, short_rest: None) -> None:
    with gateway(Script(), monkeypatch, server.url) as front:
        front.segment()
        server.stop()
        answered_without_store(front, "one")
        answered_without_store(front, "two")
        server.start()
        recovers(front)


def test_hung_while_a_gateway_runs(server: RedisServer, monkeypatch: pytest.MonkeyPatch, short_rest: None) -> None:
    with gateway(Script(), monkeypatch, server.url) as front:
        front.segment()
        server.freeze()
        answered_without_store(front, "one")
        assert front.http.get("/readyz").json()["needs"]["store"].startswith("degraded:")
        server.thaw()
        recovers(front)


def test_restarted_between_two_requests_and_within_one(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch, patient: None, short_rest: None
) -> None:
    with gateway(Script(), monkeypatch, server.url) as front:
        built = front.segment().json()["twin_id"]
        server.stop()
        server.start()
        assert front.http.get(f"/dt/{built}").status_code in (404, 503)
        recovers(front)


def test_full_and_not_allowed_to_evict(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch, patient: None, short_rest: None
) -> None:
    with gateway(Script(), monkeypatch, server.url) as front, server.client as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1")
        answered_without_store(front, "one")
        client.config_set("maxmemory", "0")
        recovers(front)


def test_evicting_is_a_miss_and_no_fault(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch, patient: None, short_rest: None
) -> None:
    with gateway(Script(), monkeypatch, server.url) as front, server.client as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", str(int(client.info("memory")["used_memory"]) + 2_000_000))
        for number in range(3):
            answer = front.segment(query=f"mug {number}")
            assert (answer.status_code, answer.json()["warnings"]) == (200, [])
            for filler in range(40):
                client.set(f"{number}-{filler}", bytes(100_000))
        assert int(client.info("stats")["evicted_keys"]) > 0
        lost = front.segment(query="mug 0").json()
        assert (lost["indices"], lost["cached"], lost["warnings"]) == ([2], [], [])


@pytest.mark.parametrize("rubbish", [b"", b"dt1:", b"dt0:old", b"\x80\x04pickled", b"{}", b"dt1:" + bytes(200)])
def test_corrupt_values_are_misses_that_are_written_anew(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch, patient: None, short_rest: None, rubbish: bytes
) -> None:
    with gateway(Script(), monkeypatch, server.url) as front, server.client as client:
        front.segment()
        keys = [key for key in client.scan_iter("*") if client.type(key) == b"string"]
        assert keys
        for key in keys:
            client.set(key, rubbish)
        front.script.calls.clear()
        again = front.segment()
        assert (again.status_code, again.json()["cached"], again.json()["warnings"]) == (200, [], [])
        assert front.script.calls["proposals"] == 1
        assert front.segment().json()["cached"] != []


def test_a_wrong_password_is_told_without_telling_it(monkeypatch: pytest.MonkeyPatch, short_rest: None) -> None:
    with redis_server(password="correct") as server:
        wrong = server.url.replace("correct", "guessed-by-us")
        server.stop()  # a gateway that it refuses does not start
        with gateway(Script(), monkeypatch, wrong) as front:
            server.start()
            answered_without_store(front, "one")
            degraded = front.http.get("/readyz").json()["needs"]["store"]
            assert "password" in degraded
            assert "guessed" not in degraded
            with server.client as client:
                client.config_set("requirepass", "guessed-by-us")
            server.password = "guessed-by-us"
            recovers(front)
