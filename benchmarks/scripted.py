"""A service in front of a scripted engine, each a process of its own."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Literal

import httpx2

from tests.doubles.openai_server import Limit, Reply, openai_server
from tests.doubles.serving import free_port

STARTS_WITHIN_S = 60.0
POLL_S = 0.02

Asking = Literal["semantics", "reasoner"]  # the services that ask an engine


@dataclass(frozen=True)
class Seen:
    """What the engine has seen so far. `limited` are the calls that its limit answered 429."""

    calls: int
    limited: int
    at_once: int
    most_at_once: int


class Engine:
    """The double in its process; `url` is the base URL that an openai client takes."""

    def __init__(self, url: str, pipe: "Connection[None, Seen]") -> None:
        self.url = url
        self._pipe = pipe

    def seen(self) -> Seen:
        """Ask it; takes well under a millisecond."""
        self._pipe.send(None)
        return self._pipe.recv()


@contextmanager
def engine(*script: Reply, latency_s: float = 0.0, limit: Callable[[], Limit] | None = None) -> Iterator[Engine]:
    """An engine that follows the script until the block ends. `limit` makes its limit, there."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, script, latency_s, limit), daemon=True)
    process.start()
    there.close()  # so that the end of the process is the end of the pipe
    try:
        yield Engine(here.recv(), here)
    finally:
        here.close()
        process.join()


def _serve(
    pipe: "Connection[str | Seen, None]", script: tuple[Reply, ...], latency_s: float, limit: Callable[[], Limit] | None
) -> None:
    """In the engine's process: serve, and tell what was seen each time that something comes through the pipe."""
    with openai_server(*script, latency_s=latency_s, limit=limit() if limit else None) as server:
        pipe.send(server.url)
        while True:
            try:
                pipe.recv()
            except EOFError:
                return
            pipe.send(Seen(len(server.requests), server.limited, server.at_once, server.most_at_once))


@contextmanager
def service(name: Asking, engine_url: str, **settings: str) -> Iterator[str]:
    """The URL of a service with the settings' defaults otherwise, until the block ends."""
    port = free_port()
    command = ["-m", "uvicorn", "--factory", f"services.{name}.app:create", "--port", str(port)]
    quiet = ["--no-access-log", "--log-level", "warning", "--timeout-graceful-shutdown", "1"]
    prefix = name.upper()
    own = {variable: value for variable, value in os.environ.items() if not variable.startswith(f"{prefix}_")}
    given = {"ENGINE_URL": engine_url, "ENGINE_MODEL": "scripted", "LOG_LEVEL": "error"}
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(  # noqa: S603 - our own service
            [sys.executable, *command, *quiet],
            env=own | {f"{prefix}_{variable}": value for variable, value in given.items()} | settings,
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            ends_at = time.monotonic() + STARTS_WITHIN_S
            while not _lives(f"http://127.0.0.1:{port}/livez"):
                if process.poll() is not None or time.monotonic() > ends_at:
                    log.seek(0)
                    raise RuntimeError(f"the {name} service did not start:\n{log.read().decode()}")
                time.sleep(POLL_S)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _lives(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=2).is_success
    except httpx2.HTTPError:
        return False
