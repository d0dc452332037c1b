"""`transformers serve` as a process of its own, on the CPU, offline: the engine of the embedded profile."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from tests.doubles.serving import free_port

STARTS_WITHIN_S = 180


@contextmanager
def transformers_engine(folder: Path) -> Iterator[str]:
    """The base URL that an openai client takes, until the block ends. `folder` takes the hub cache and the log."""
    port = free_port()
    hub = folder / "hub"
    hub.mkdir()
    command = [str(Path(sys.executable).with_name("transformers")), "serve", "--device", "cpu", "--dtype", "float32"]
    log = folder / "log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port), "--model-timeout", "-1"],
            env=os.environ | {"HF_HUB_CACHE": str(hub), "HF_HUB_OFFLINE": "1"},
            stdout=out,
            stderr=out,
        )
    try:
        give_up = time.monotonic() + STARTS_WITHIN_S
        while not _healthy(f"http://127.0.0.1:{port}/health"):
            if server.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(log.read_text())
            threading.Event().wait(0.1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(20)


def _healthy(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=2).is_success
    except httpx2.HTTPError:
        return False
