"""The embedded profile of docker-compose.yml, brought up under a name of its own and taken down again."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2
from pydantic import ValidationError

from deploy.docker import DockerError, compose, docker
from deploy.images import DEBIAN, OWN_BASE, ROOT
from dtwinseger.api import Readiness
from embedded.ports import free_ports

READY_WITHIN_S = 120.0
SERVICES = ("engine", "gateway", "nginx", "perception", "reasoner", "redis", "semantics")


@dataclass(frozen=True)
class Containers:
    """A stack that runs. `project` is compose's name for it, `url` where its nginx listens."""

    project: str
    url: str
    environment: dict[str, str]

    @property
    def network(self) -> str:
        """The private one, by its name."""
        return f"{self.project}_inside"

    def compose(self, *arguments: str) -> str:
        """Run compose on this stack."""
        return compose(*_of(self.project), *arguments, environment=self.environment)

    def container(self, service: str) -> str:
        """The id of the service's container."""
        labels = {"project": self.project, "service": service}
        chosen = [
            part for name, value in labels.items() for part in ("--filter", f"label=com.docker.compose.{name}={value}")
        ]
        return docker("ps", "--all", "--quiet", *chosen)

    def memory_mb(self) -> dict[str, float]:
        """Service -> memory of its container in MB (2^20 bytes), without the files that the kernel keeps in it."""
        names = {self.container(service): service for service in SERVICES}
        lines = docker("stats", "--no-stream", "--format", "{{json .}}", *names).splitlines()
        found = {names[line["ID"]]: _megabytes(line["MemUsage"].split(" ")[0]) for line in map(json.loads, lines)}
        return {service: found[service] for service in SERVICES}


@contextmanager
def containers(project: str, **settings: str) -> Iterator[Containers]:
    """The stack once all of it is ready, as its nginx tells, until the block ends. `settings` are as in .env.

    Raises DockerError, with what the containers said last, where it does not get ready.
    """
    url = f"127.0.0.1:{free_ports()['gateway']}"
    own = DEBIAN if docker("image", "ls", "--quiet", OWN_BASE) else {}
    stack = Containers(project, f"http://{url}", {"LISTEN": url} | {**own, **_given(own)} | settings)
    try:
        stack.compose("up", "--detach", "--no-build")
        _wait(stack)
        yield stack
    finally:
        stack.compose("down", "--volumes", "--timeout", "10")


def _of(project: str) -> tuple[str, ...]:
    return ("--file", str(ROOT / "docker-compose.yml"), "--project-name", project, "--profile", "embedded")


def _given(names: dict[str, str]) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


def _wait(stack: Containers) -> None:
    ends_at = time.monotonic() + READY_WITHIN_S
    with httpx2.Client(timeout=2.0) as http:
        while True:
            if _all_ready(http, stack.url):
                return
            if time.monotonic() > ends_at:
                raise DockerError(f"not ready after {READY_WITHIN_S:g} s:\n{stack.compose('logs', '--tail', '5')}")
            time.sleep(0.1)


def _all_ready(http: httpx2.Client, url: str) -> bool:
    """Whether the gateway behind nginx finds all that it asks well; it is ready by itself before."""
    try:
        needs = Readiness.model_validate_json(http.get(f"{url}/readyz").content).needs
    except (httpx2.HTTPError, ValidationError):  # one of the two is not there yet
        return False
    return all(state == "ok" for state in needs.values())


def _megabytes(told: str) -> float:
    """As `docker stats` tells it: 102.4MiB."""
    for unit, size in (("GiB", 1024.0), ("MiB", 1.0), ("KiB", 1 / 1024), ("B", 1 / 1024**2)):
        if told.endswith(unit):
            return float(told.removesuffix(unit)) * size
    raise ValueError(f"no amount of memory: {told}")
