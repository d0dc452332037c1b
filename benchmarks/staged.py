"""The gateway in front of doubles of its services with fixed latencies, each a process of its own."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import httpx2

from tests.doubles.services import Script, services_app
from tests.doubles.serving import free_port, serving

STARTS_WITHIN_S = 60.0
POLL_S = 0.05


@contextmanager
def services(script: Script) -> Iterator[str]:
    """The URL of perception, semantics and reasoner as `script` has them, until the block ends."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, script), daemon=True)
    process.start()
    there.close()  # so that the end of the process is the end of the pipe
    try:
        yield here.recv()
    finally:
        here.close()
        process.join()


@contextmanager
def gateway(services_url: str, store_url: str, **settings: str) -> Iterator[str]:
    """The URL of a gateway, started as the Procfile does, until the block ends."""
    port = free_port()
    command = ["-m", "uvicorn", "--factory", "gateway.app:create", "--port", str(port), "--no-access-log"]
    own = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    given = {f"GATEWAY_{name}_URL": services_url for name in ("PERCEPTION", "SEMANTICS", "REASONER")}
    given |= {"GATEWAY_STORE_URL": store_url} | {f"GATEWAY_{name.upper()}": value for name, value in settings.items()}
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(  # noqa: S603 - our own service
            [sys.executable, *command], env=own | given, stdout=log, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            ends_at = time.monotonic() + STARTS_WITHIN_S
            while not _ready(f"http://127.0.0.1:{port}/readyz"):
                if process.poll() is not None or time.monotonic() > ends_at:
                    log.seek(0)
                    raise RuntimeError(f"the gateway did not start:\n{log.read().decode()}")
                time.sleep(POLL_S)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _serve(pipe: "Connection[str, None]", script: Script) -> None:
    """In the doubles' process: serve until the pipe ends."""
    with serving(services_app(script)) as url:
        pipe.send(url)
        try:
            pipe.recv()
        except EOFError:
            return


def _ready(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=2).is_success
    except httpx2.HTTPError:
        return False
