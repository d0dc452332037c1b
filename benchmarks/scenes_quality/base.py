"""The LLM before SFTDT, served beside the one after it, so that zero-shot can be compared."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.scenes_quality.services import Services
from benchmarks.scripted import service
from benchmarks.target import Target
from dtwinseger.weights import weights_hash

BUNDLED = Path("models/dtwin-mini-llm")  # merged, with its adapter in a folder of it


def bundled_base(out: Path) -> Path | None:
    """The base of the bundled LLM, taken out of it into a folder of `out` once; None where its adapter is not there."""
    adapter = BUNDLED / "adapter"
    if not adapter.is_dir():
        return None
    base = out / f"base-llm-{weights_hash(BUNDLED)}"
    if not base.exists():
        from training.adapter import Adapter  # brings torch
        from training.unmerge import unmerge

        part = base.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)  # of a run that was killed here
        unmerge(BUNDLED, Adapter.load(adapter), part)
        part.rename(base)
    return base


@contextmanager
def base_services(where: Target, folder: Path) -> Iterator[Services]:
    """A reasoner of its own for the LLM in `folder`, on the engine of the stack."""
    settings = {"REASONER_ENGINE_MODEL": str(folder.resolve()), "REASONER_TUNED": "false"}
    with service("reasoner", f"{where.engine}/v1", **settings) as url, Services(where.semantics, url) as services:
        yield services
