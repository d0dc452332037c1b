"""A real redis-server on a free port, which a test may freeze, stop and start again."""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
import redis

from tests.doubles.serving import free_port


@dataclass
class RedisServer:
    """Keeps nothing on disk: started again it is empty."""

    folder: str
    options: tuple[str, ...] = ()  # of its command line
    password: str = ""
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """As GATEWAY_STORE_URL takes it."""
        login = f":{self.password}@" if self.password else ""
        return f"redis://{login}127.0.0.1:{self.port}/0"

    @property
    def client(self) -> redis.Redis:
        """A client of the test's own, to look inside and to break things."""
        return redis.Redis(port=self.port, password=self.password or None)

    def start(self) -> None:
        """Start, and return once it answers."""
        binary = shutil.which("redis-server")
        if binary is None:
            pytest.skip("needs redis-server: apt-get install redis-server")
        command = [binary, "--port", str(self.port), "--save", "", "--dir", self.folder, "--daemonize", "no"]
        login = ("--requirepass", self.password) if self.password else ()
        self.process = subprocess.Popen([*command, *login, *self.options], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            with self.client as client:
                try:
                    client.ping()
                    return
                except redis.ConnectionError:
                    assert time.monotonic() < deadline, "redis-server did not start"

    def stop(self) -> None:
        """End it; its port refuses from then on."""
        if self.process is not None:
            self.thaw()
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def freeze(self) -> None:
        """From now on it takes connections and answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """End a freeze, if there is one."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def redis_server(*options: str, password: str = "") -> Iterator[RedisServer]:
    """A server that runs until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(folder, options, password)
        server.start()
        try:
            yield server
        finally:
            server.stop()
