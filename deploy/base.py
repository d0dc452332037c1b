"""A base image of Debian 12 with its python3 (3.11), made by debootstrap: for where no registry can be reached."""

import os
import shutil
import tempfile
from pathlib import Path

from deploy.docker import DockerError, docker, run

SUITE = "bookworm"
PACKAGES = "python3,ca-certificates"


def make_base(tag: str) -> None:
    """Make the image `tag`, unless it is there. Raises DockerError."""
    if docker("image", "ls", "--quiet", tag):
        return
    bootstrap = shutil.which("debootstrap") or shutil.which("debootstrap", path="/usr/sbin")
    if bootstrap is None or os.geteuid() != 0:
        raise DockerError(
            "a base image is needed: name one with BASE_IMAGE=…, such as python:3.11-slim-bookworm, or become root and "
            "install debootstrap to have one made"
        )
    with tempfile.TemporaryDirectory() as folder:
        root, archive = Path(folder, "root"), Path(folder, "root.tar")
        run([bootstrap, "--variant=minbase", f"--include={PACKAGES}", SUITE, str(root)], shown=True)
        left = ("./var/cache/apt/*", "./var/lib/apt/lists/*", "./usr/share/doc/*", "./usr/share/man/*", "./dev/*")
        run(["tar", "-C", str(root), *(f"--exclude={path}" for path in left), "-cf", str(archive), "."])
        docker("import", "--change", 'CMD ["bash"]', str(archive), tag)
