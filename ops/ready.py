"""Is this commit what a release says it is? Run: `python -m ops.ready VERSION`."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).parents[1]
VERSION = re.compile(r"\d+\.\d+\.\d+")
IMAGE = re.compile(r"dtwinseger-[\w-]+(?:, newTag: |:)([\w.]+)")
IMAGES = (
    "k8s/components/images/kustomization.yaml",
    "k8s/eval/job.yaml",
    "k8s/eval/merge.yaml",
    "k8s/adapters/job.yaml",
)


def faults(version: str, changelog: str, project: str, manifests: str, changed: str) -> list[str]:
    """What keeps a release back, each in words that tell what to do.

    changelog, project, manifests: the text of CHANGELOG.md, pyproject.toml and what names our images for Kubernetes.
    changed: what `git status --porcelain` prints.
    """
    found = []
    if not VERSION.fullmatch(version):
        return [f"{version} is no version: give three numbers, as 1.2.3"]
    named = tomllib.loads(project)["project"]["version"]
    if named != version:
        found.append(f"pyproject.toml says {named}: set its version to {version} and run uv lock")
    section = re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |\Z)", changelog, re.M | re.S)
    if section is None:
        found.append(f"CHANGELOG.md has no section: ## [{version}] - YYYY-MM-DD")
    elif not section[1].strip():
        found.append(f"CHANGELOG.md says nothing of {version}")
    if stale := sorted(set(IMAGE.findall(manifests)) - {version}):
        found.append(
            f"k8s/ names images of {', '.join(stale)}: set components/images, eval/ and adapters/ to {version}"
        )
    if changed.strip():
        found.append(f"the tree is not clean: commit or remove\n{changed.rstrip()}")
    return found


def main(version: Annotated[str, typer.Argument(help="As in pyproject.toml: 1.2.3.")]) -> None:
    """Exit 1, and say why, where this commit is not the release VERSION."""
    changed = subprocess.run(
        ["git", "status", "--porcelain"],  # noqa: S607
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    changelog, project = ((ROOT / name).read_text() for name in ("CHANGELOG.md", "pyproject.toml"))
    manifests = "".join((ROOT / name).read_text() for name in IMAGES)
    found = faults(version, changelog, project, manifests, changed)
    for fault in found:
        typer.echo(f"error: {fault}", err=True)
    if found:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
