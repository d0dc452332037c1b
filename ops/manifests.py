"""The manifests of k8s/ as Kubernetes gets them: every overlay rendered, and the jobs that are applied by hand."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
OVERLAYS = ("embedded", "gpu", "hosted", "autoscale")
BY_HAND = ("eval", "adapters")  # applied as they are, once an overlay is there
WORKLOADS = ("Deployment", "StatefulSet", "Job")

Manifest = dict[str, Any]  # a document of YAML, whose schema is Kubernetes'


class RenderError(Exception):
    """An overlay cannot be rendered; the message is kustomize's."""


def renderer() -> list[str] | None:
    """The command that renders a folder: kustomize, or kubectl, which has it built in; None where there is neither."""
    if binary := shutil.which("kustomize"):
        return [binary, "build"]
    if binary := shutil.which("kubectl"):
        return [binary, "kustomize"]
    return None


@contextmanager
def filled_in() -> Iterator[Path]:
    """A copy of k8s/ in which every example that a user copies is copied, until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "k8s"
        shutil.copytree(ROOT / "k8s", copy)
        for example in copy.rglob("*.example"):
            shutil.copy(example, example.with_suffix(""))
        yield copy


def render(command: list[str], folder: Path) -> list[Manifest]:
    """What is applied for the overlay in `folder`. Raises RenderError."""
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)  # noqa: S603 - our own folders
    if done.returncode:
        raise RenderError(f"{folder.name}: {done.stderr.strip()}")
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def rendered(command: list[str]) -> dict[str, list[Manifest]]:
    """Every overlay by its name, and the jobs that are applied by hand."""
    with filled_in() as copy:
        found = {name: render(command, copy / "overlays" / name) for name in OVERLAYS}
        for name in BY_HAND:
            found[name] = [yaml.safe_load(path.read_text()) for path in sorted((copy / name).glob("*.yaml"))]
    return found


def pod_of(manifest: Manifest) -> Manifest:
    """The pod's spec of a Deployment, StatefulSet or Job."""
    pod: Manifest = manifest["spec"]["template"]["spec"]
    return pod
