"""Docker and Compose by their command lines; what fails is one line that says what to change."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache


class DockerError(Exception):
    """A command failed, or there is no Docker; the message says which, in words for a person."""


def docker(*arguments: str, environment: Mapping[str, str] | None = None, shown: bool = False, text: str = "") -> str:
    """What `docker …` prints, without the last line's end; `shown` lets the user see it instead, and gives "".

    text: what it reads from stdin. Raises DockerError.
    """
    return run([_docker(), *arguments], environment=environment, shown=shown, text=text)


def compose(*arguments: str, environment: Mapping[str, str] | None = None, shown: bool = False) -> str:
    """As `docker`, of Docker Compose: the plugin, or docker-compose where that is what there is."""
    return run([*_compose(), *arguments], environment=environment, shown=shown)


def unavailable() -> str | None:
    """Why nothing can be run in containers here; None where it can."""
    try:
        docker("version", "--format", "{{.Server.Version}}")
        _compose()
    except DockerError as error:
        return str(error)
    return None


def run(
    command: Sequence[str], *, environment: Mapping[str, str] | None = None, shown: bool = False, text: str = ""
) -> str:
    """As `docker`, of any command."""
    done = subprocess.run(  # noqa: S603 - our own commands
        command,
        env=os.environ | dict(environment or {}),
        input=text,
        stdout=None if shown else subprocess.PIPE,
        stderr=None if shown else subprocess.PIPE,
        text=True,
    )
    if done.returncode != 0:
        last = "see above" if shown else next(reversed((done.stderr or done.stdout).strip().splitlines()), "no words")
        raise DockerError(f"`{' '.join(command[:4])} …` ended with exit code {done.returncode}: {last}")
    return "" if shown else done.stdout.removesuffix("\n")


@cache
def _docker() -> str:
    """The command: DOCKER, or the docker that is found."""
    found = shutil.which(os.environ.get("DOCKER", "docker"))
    if found is None:
        raise DockerError("there is no docker: install it (on Debian: apt-get install docker.io docker-compose)")
    return found


@cache
def _compose() -> tuple[str, ...]:
    try:
        docker("compose", "version")
    except DockerError:
        found = shutil.which("docker-compose")
        if found is None:
            raise DockerError("there is no Docker Compose: install its plugin or (on Debian) docker-compose") from None
        return (found,)
    return (_docker(), "compose")
