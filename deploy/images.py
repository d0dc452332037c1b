"""Builds the image of every target of the Dockerfile. Run: `python -m deploy.images`, by `make images`.

BASE_IMAGE names the base; without it, one is made by debootstrap, and images with Redis and nginx of Debian beside it.
"""

import os
import sys
from pathlib import Path

from deploy.base import make_base
from deploy.docker import DockerError, docker, run
from dtwinseger import __version__

ROOT = Path(__file__).parents[1]
TARGETS = ("gateway", "semantics", "reasoner", "perception", "embedded-engine", "eval")
OWN_BASE = "dtwinseger-base"
DEBIAN = {"NGINX_IMAGE": "dtwinseger-debian-nginx", "REDIS_IMAGE": "dtwinseger-debian-redis"}


def tag() -> str:
    """Under which the images are known: IMAGE_TAG, as for compose."""
    return os.environ.get("IMAGE_TAG", "latest")


def image(target: str) -> str:
    """The name of a target's image."""
    return f"dtwinseger-{target}:{tag()}"


def build() -> None:
    """Build what has changed. Raises DockerError."""
    _require_buildkit()
    base = os.environ.get("BASE_IMAGE", "")
    if not base:
        base = OWN_BASE
        make_base(base)
        for name in DEBIAN.values():
            _build(base, name.rpartition("-")[2], name, ROOT / "deploy" / "debian.Dockerfile")
    for target in TARGETS:
        _build(base, target, image(target), ROOT / "Dockerfile")


def _build(base: str, target: str, name: str, file: Path) -> None:
    print(f"\n{name}", flush=True)
    arguments = {"BASE_IMAGE": base, "VERSION": __version__, "REVISION": _revision()}
    if file.name != "Dockerfile":
        arguments = {"BASE_IMAGE": base}
    given = [part for key, value in arguments.items() for part in ("--build-arg", f"{key}={value}")]
    certificates = os.environ.get("SSL_CERT_FILE", "")
    secret = ["--secret", f"id=ca,src={certificates}"] if certificates else []
    command = ["build", "--progress", "plain", "--target", target, "--tag", name, "--file", str(file), *given, *secret]
    docker(*command, str(ROOT), environment={"DOCKER_BUILDKIT": "1"}, shown=True)


def _revision() -> str:
    """The commit, with a mark where files differ from it."""
    try:
        return run(["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"])
    except DockerError:
        return "unknown"


def _require_buildkit() -> None:
    """The Dockerfile needs BuildKit, which from Docker 23 on is a plugin of the command."""
    if int(docker("version", "--format", "{{.Client.Version}}").split(".")[0]) >= 23:
        try:
            docker("buildx", "version")
        except DockerError:
            raise DockerError("docker lacks buildx: install it, or name another docker with DOCKER=…") from None


if __name__ == "__main__":
    try:
        build()
    except DockerError as error:
        sys.exit(f"error: {error}")
