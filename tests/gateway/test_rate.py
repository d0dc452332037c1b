"""How often one caller may start work."""

import asyncio
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dtwinseger.credentials import credential, new_key
from dtwinseger.problems import Problem
from gateway.app import create
from gateway.rate import Limiter
from gateway.tenant import address_of
from tests.doubles.services import Script
from tests.doubles.serving import free_port
from tests.gateway.conftest import gateway, png


def test_one_too_many_is_told_when_to_come_back(monkeypatch: pytest.MonkeyPatch, store_url: str) -> None:
    first, second = new_key(), new_key()
    keys = f"{credential('acme', first)},{credential('acme', second)},{credential('globex', other := new_key())}"
    with gateway(Script(), monkeypatch, store_url, api_keys=keys, rate_limit="3/hour") as front:
        bearer = {key: {"Authorization": f"Bearer {key}"} for key in (first, second, other)}
        identity = front.segment(**bearer[first]).json()["twin_id"]
        assert front.segment(**bearer[second]).status_code == 200
        again = front.http.post(f"/dt/{identity}/segment", json={"query": "the cup"}, headers=bearer[first])
        assert again.status_code == 200
        for key in (first, second):  # the tenant's other key is no way around it
            response = front.segment(png() + bytes(5_000_000), **bearer[key])
            assert (response.status_code, response.json()["code"]) == (429, "rate_limited")
            assert 1 <= int(response.headers["retry-after"]) <= 3600
        again = front.http.post(f"/dt/{identity}/segment", json={"query": "a lamp"}, headers=bearer[first])
        assert again.status_code == 429
        assert front.http.get(f"/dt/{identity}", headers=bearer[first]).status_code == 200, "looking is free"
        assert front.segment(**bearer[other]).status_code == 200


def test_without_keys_an_address_is_a_caller_and_its_headers_do_not_make_it_another(
    monkeypatch: pytest.MonkeyPatch, store_url: str
) -> None:
    with gateway(Script(), monkeypatch, store_url, rate_limit="1/hour") as front:
        assert front.segment().status_code == 200
        assert front.segment(Forwarded="for=192.0.2.1").status_code == 429
        assert front.segment(**{"X-Real-IP": "192.0.2.1"}).status_code == 429


def test_a_rate_that_is_none_is_told_at_the_start(monkeypatch: pytest.MonkeyPatch, store_url: str) -> None:
    monkeypatch.setenv("GATEWAY_STORE_URL", store_url)
    monkeypatch.setenv("GATEWAY_RATE_LIMIT", "many")
    with pytest.raises(SystemExit, match=r"^gateway cannot start: GATEWAY_RATE_LIMIT: [^\n]*many[^\n]*$"):
        create()


def test_a_whole_ipv6_network_is_one_caller() -> None:
    def address(host: str) -> str:
        return address_of({"client": (host, 1)})

    assert address("2001:db8::1") == address("2001:db8::ffff") != address("2001:db8:0:1::1")
    assert address("192.0.2.1") != address("192.0.2.2")
    assert address_of({"client": None}) == address_of({"client": ("", 0)})


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("needs redis-server: apt-get install redis-server")
    port = free_port()
    command = [binary, "--port", str(port), "--save", "", "--dir", str(tmp_path), "--daemonize", "no"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        yield f"redis://127.0.0.1:{port}/0", server
        server.send_signal(signal.SIGCONT)
        server.terminate()


def test_gateways_that_share_redis_count_together_and_without_it_limit_nobody(
    redis: tuple[str, subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, server = redis
    monkeypatch.setattr("gateway.rate.REST_S", 0.0)

    async def taken(limiter: Limiter) -> bool:
        try:
            await limiter.take("tenant acme")
        except Problem:
            return False
        return True

    async def run() -> None:
        one, two = Limiter("2/hour", url), Limiter("2/hour", url)
        deadline = time.monotonic() + 10
        while (counts := [await taken(one), await taken(two), await taken(one), await taken(two)])[2:] != [
            False,
            False,
        ]:
            assert time.monotonic() < deadline, f"redis-server did not start: {counts}"
        server.send_signal(signal.SIGSTOP)
        started = time.monotonic()
        assert await taken(one), "a hung Redis limits nobody"
        assert time.monotonic() - started < 2
        await one.close()
        await two.close()

    asyncio.run(run())
