"""Gateways as processes of their own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from tests.doubles.serving import free_port

ROOT = Path(__file__).parents[2]


@contextmanager
def gateway_process(services: str, store_url: str, **settings: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The base URL of a gateway that is ready, and its process."""
    port = free_port()
    named = {"perception_url": services, "semantics_url": services, "reasoner_url": services, "store_url": store_url}
    environment = {f"GATEWAY_{name.upper()}": value for name, value in (named | settings).items()}
    command = [sys.executable, "-m", "uvicorn", "--factory", "gateway.app:create", "--port", str(port)]
    command += ["--no-access-log", "--log-level", "warning", "--timeout-graceful-shutdown", "3"]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stdout=subprocess.DEVNULL) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            until_ready(url)
            yield url, process
        finally:
            process.kill()


def until_ready(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            if httpx2.get(f"{url}/readyz").status_code == 200:
                return
        except httpx2.HTTPError:
            pass
        assert time.monotonic() < deadline, f"{url} is not ready"
        time.sleep(0.05)
