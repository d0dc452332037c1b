"""A real gateway process, started as the Procfile does, and what SIGTERM does to it and to those who wait."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
from honcho import environ
from starlette.types import ASGIApp, Receive, Scope, Send

from embedded.ports import variable
from tests.doubles.services import Script, services_app
from tests.doubles.serving import free_port, serving
from tests.gateway.conftest import png

ROOT = Path(__file__).parents[3]


@dataclass
class Process:
    """A gateway, and what stands behind it: the reasoner keeps its answers back until `released`."""

    popen: subprocess.Popen[bytes]
    url: str
    script: Script
    log: Path
    released: threading.Event = field(default_factory=threading.Event)

    def terminate(self) -> None:
        self.popen.send_signal(signal.SIGTERM)

    def segment(self) -> httpx2.Response:
        return httpx2.post(f"{self.url}/segment", data={"query": "the mug"}, files={"image": png()}, timeout=90)

    def ready(self) -> int:
        """The status of /readyz, 0 where nobody listens."""
        try:
            return httpx2.get(f"{self.url}/readyz", timeout=10).status_code
        except httpx2.HTTPError:
            return 0


def slow(app: ASGIApp, released: threading.Event) -> ASGIApp:
    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") == "/v1/reason":
            await asyncio.to_thread(released.wait, 120)
        await app(scope, receive, send)

    return wrapped


@contextmanager
def process(folder: Path, **settings: str) -> Iterator[Process]:
    command = environ.parse_procfile((ROOT / "Procfile").read_text()).processes["gateway"]
    script, released, log, port = Script(), threading.Event(), folder / "log", free_port()
    with serving(slow(services_app(script), released)) as services, log.open("wb") as out:
        given = {f"GATEWAY_{name}_URL": services for name in ("PERCEPTION", "SEMANTICS", "REASONER")}
        given |= {"GATEWAY_STORE_URL": f"sqlite:///{folder}/twins.sqlite", variable("gateway"): str(port)}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        popen = subprocess.Popen(
            ["/bin/sh", "-c", command],
            cwd=ROOT,
            env=os.environ | given | settings | {"PATH": path},
            stdout=out,
            stderr=out,
        )
        try:
            made = Process(popen, f"http://127.0.0.1:{port}", script, log, released)
            until(lambda: made.ready() == 200)
            yield made
        finally:
            released.set()
            popen.kill()
            popen.wait(20)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


def test_readiness_goes_off_first_and_a_second_signal_ends_the_wait(tmp_path: Path) -> None:
    with process(tmp_path, GATEWAY_DRAIN_S="300", GRACE_S="60") as gateway, ThreadPoolExecutor() as pool:
        in_flight = pool.submit(gateway.segment)
        until(lambda: gateway.script.calls["semantics"] > 0)
        gateway.terminate()
        until(lambda: gateway.ready() == 503)
        assert httpx2.get(f"{gateway.url}/readyz").json()["needs"] == {"process": "draining"}
        alive = httpx2.get(f"{gateway.url}/livez")
        assert (alive.status_code, alive.headers["connection"]) == (200, "close")
        gateway.terminate()
        until(lambda: gateway.ready() == 0)
        gateway.released.set()
        assert in_flight.result().status_code == 200
        assert gateway.popen.wait(60) == 0
        for line in gateway.log.read_text().splitlines():
            json.loads(line)  # those of uvicorn too


def test_the_port_is_closed_in_time_and_what_is_in_flight_is_answered(tmp_path: Path) -> None:
    with process(tmp_path, GATEWAY_DRAIN_S="0.3", GRACE_S="60") as gateway, ThreadPoolExecutor() as pool:
        in_flight = pool.submit(gateway.segment)
        until(lambda: gateway.script.calls["semantics"] > 0)
        gateway.terminate()
        until(lambda: gateway.ready() == 0)
        assert gateway.popen.poll() is None, "it waits for what is in flight"
        gateway.released.set()
        answer = in_flight.result()
        assert (answer.status_code, answer.json()["indices"]) == (200, [2])
        assert gateway.popen.wait(60) == 0


def test_what_does_not_finish_in_its_grace_does_not_keep_the_process(tmp_path: Path) -> None:
    with process(tmp_path, GRACE_S="1") as gateway, ThreadPoolExecutor() as pool:
        in_flight = pool.submit(gateway.segment)
        until(lambda: gateway.script.calls["semantics"] > 0)
        gateway.terminate()
        assert gateway.popen.wait(60) == 0
        with pytest.raises(httpx2.HTTPError):
            in_flight.result().raise_for_status()
