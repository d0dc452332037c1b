"""Two gateways and two perceptions behind a real nginx, by deploy/nginx.conf, each a process that can be restarted."""

import multiprocessing
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import httpx2
import uvicorn

from tests.doubles.redis_server import redis_server
from tests.doubles.serving import free_port

ROOT = Path(__file__).parents[1]
STARTS_WITHIN_S = 300.0
STOPS_WITHIN_S = 120.0
GRACE_S = 30
DRAIN_S = 1.0  # nginx notices at once: it goes on where a port is closed
POLL_S = 0.1
_PROCESSES = multiprocessing.get_context("forkserver")


class FleetError(Exception):
    """A process did not start, or did not end as it should; the message has the end of its log."""


@dataclass
class Instance:
    """One process of a service, always on the same port."""

    name: str
    app: str  # of uvicorn's --factory
    environment: Mapping[str, str]
    folder: Path
    port: int = field(default_factory=free_port)
    process: ForkServerProcess | None = None

    def start(self) -> None:
        """Return at once; `wait` says when it is ready."""
        given = (self.app, self.port, dict(self.environment), self.log)
        self.process = _PROCESSES.Process(target=_serve, args=given, name=self.name)
        self.process.start()

    def wait(self) -> None:
        """Return once it is ready. Raises FleetError where it ends instead, or takes too long."""
        ends_at = time.monotonic() + STARTS_WITHIN_S
        while not _answers(f"{self.url}/readyz"):
            if self.process is None or self.process.exitcode is not None or time.monotonic() > ends_at:
                raise FleetError(f"{self.name} did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(POLL_S)

    def restart(self) -> None:
        """As an orchestrator does: SIGTERM, wait for the end, start anew, wait. Raises FleetError."""
        if self.process is None:
            raise FleetError(f"{self.name} was not started")
        self.process.terminate()
        self.process.join(STOPS_WITHIN_S)
        if self.process.exitcode != 0:
            code = self.process.exitcode
            raise FleetError(f"{self.name} ended with exit code {code}:\n{self.log.read_text()[-2000:]}")
        self.start()
        self.wait()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"


def preload(*modules: str) -> None:
    """Let every process begin with these imported, which saves most of a start; before the first fleet."""
    _PROCESSES.set_forkserver_preload(list(modules))


def _serve(app: str, port: int, environment: dict[str, str], log: Path) -> None:
    """In the process: uvicorn as the Procfile runs it."""
    with log.open("ab") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    os.chdir(ROOT)
    os.environ.update(environment)
    uvicorn.run(app, factory=True, port=port, access_log=False, timeout_graceful_shutdown=GRACE_S)


@dataclass(frozen=True)
class Fleet:
    """What is up: `url` is nginx's, in front of the gateways."""

    url: str
    gateways: tuple[Instance, Instance]
    perceptions: tuple[Instance, Instance]


@contextmanager
def fleet(perception_app: str, semantics_url: str, reasoner_url: str) -> Iterator[Fleet]:
    """Two of each behind nginx, with a Redis of their own, until the block ends. Raises FleetError."""
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        redis = running.enter_context(redis_server())
        front, pool = free_port(), free_port()
        seen = {"PERCEPTION_DRAIN_S": str(DRAIN_S), "PERCEPTION_DEVICE": "cpu", "PERCEPTION_LOG_LEVEL": "warning"}
        ours = {
            "GATEWAY_PERCEPTION_URL": f"http://127.0.0.1:{pool}",
            "GATEWAY_SEMANTICS_URL": semantics_url,
            "GATEWAY_REASONER_URL": reasoner_url,
            "GATEWAY_STORE_URL": redis.url,
            "GATEWAY_DRAIN_S": str(DRAIN_S),
            "GATEWAY_LOG_LEVEL": "warning",
        }
        gateways = tuple(Instance(f"gateway-{n}", "gateway.app:create", ours, folder) for n in range(2))
        perceptions = tuple(Instance(f"perception-{n}", perception_app, seen, folder) for n in range(2))
        ports = {"gateway": (front, gateways), "perception": (pool, perceptions)}
        running.enter_context(
            _nginx(folder, {name: (port, [i.port for i in own]) for name, (port, own) in ports.items()})
        )
        for instance in (*gateways, *perceptions):
            running.callback(instance.kill)
            instance.start()
        for instance in (*perceptions, *gateways):
            instance.wait()
        yield Fleet(f"http://127.0.0.1:{front}", (gateways[0], gateways[1]), (perceptions[0], perceptions[1]))


def configuration(template: str, folder: Path, pools: Mapping[str, tuple[int, Sequence[int]]]) -> str:
    """deploy/nginx.conf for processes of this machine.

    pools: name -> the port to listen on, and those of its instances. What it says of `gateway` holds for each.
    """
    found = re.search(
        r"(?P<head>.*?)(?P<pool>    upstream gateway \{.*)(?P<end>^\}\s*)\Z", template, re.DOTALL | re.MULTILINE
    )
    if found is None:
        raise FleetError("deploy/nginx.conf has no upstream gateway")
    blocks = []
    for name, (port, instances) in pools.items():
        servers = " ".join(f"server 127.0.0.1:{each} max_fails=0;" for each in instances)
        block = (
            found["pool"].replace("server gateway:8080;", servers).replace("listen 8080;", f"listen 127.0.0.1:{port};")
        )
        if servers not in block or f":{port};" not in block:
            raise FleetError("deploy/nginx.conf has another server or port than gateway:8080")
        blocks.append(block.replace("upstream gateway", f"upstream {name}").replace("http://gateway", f"http://{name}"))
    head = found["head"].replace("/tmp/", f"{folder}/")  # noqa: S108
    head = head.replace("/dev/stderr", f"{folder}/error.log").replace("/dev/stdout", f"{folder}/access.log")
    user = "user root;\n" if os.geteuid() == 0 else ""
    return user + head + "".join(blocks) + found["end"]


@contextmanager
def _nginx(folder: Path, pools: Mapping[str, tuple[int, Sequence[int]]]) -> Iterator[None]:
    binary = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if binary is None:
        raise FleetError("needs nginx: apt-get install nginx-light")
    config = folder / "nginx.conf"
    config.write_text(configuration((ROOT / "deploy/nginx.conf").read_text(), folder, pools))
    command = [binary, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(config), "-g", "daemon off;"]
    with subprocess.Popen(command) as process:  # noqa: S603 - Debian's
        try:
            _until_listening(process, pools, folder / "error.log")
            yield
        finally:
            process.terminate()


def _until_listening(
    process: subprocess.Popen[bytes], pools: Mapping[str, tuple[int, Sequence[int]]], log: Path
) -> None:
    ends_at = time.monotonic() + 10
    for port, _ in pools.values():
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None or time.monotonic() > ends_at:
                raise FleetError(f"nginx did not start: {log.read_text() if log.exists() else 'see above'}")
            time.sleep(POLL_S)


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=5).is_success
    except httpx2.HTTPError:
        return False
