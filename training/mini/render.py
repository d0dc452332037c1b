"""Renders training scenes for SAM and VLM with a pool of processes: `python -m training.mini.render --help`.

Trainers may start as soon as this runs: they use what is there and take more as it comes. Run again to go on.
"""

import multiprocessing
import os
import time
from dataclasses import dataclass
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from training.mini.rendering import FIRST_SEED, Proposer, store_scene
from training.mini.scene_store import Contents, Store, create

SAY_EVERY_S = 10.0


@dataclass(frozen=True)
class Worker:
    """What each process of the pool has at hand."""

    store: Store
    first_seed: int
    propose: Proposer | None

    def __call__(self, index: int) -> None:
        store_scene(self.store, index, self.first_seed + index, self.propose)


_worker: list[Worker] = []  # of this process


def render(contents: Contents, folder: Path, workers: int, sam: Path | None) -> None:
    """Fill the store in `folder`, in order, leaving out what it holds."""
    store = create(folder, contents)
    missing = np.flatnonzero(~store.done).tolist()
    count, started, said = 0, time.monotonic(), time.monotonic()
    print(f"{len(missing)} of {contents.scenes} scenes to render into {folder}, {workers} processes", flush=True)
    with _pool(contents, folder, workers, sam) as pool:
        for _ in pool.imap_unordered(_render, missing, chunksize=4):
            count += 1
            if (now := time.monotonic()) - said > SAY_EVERY_S or count == len(missing):
                said, rate = now, count / (now - started)
                left = (len(missing) - count) / rate
                print(f"{count} of {len(missing)} scenes, {rate:.1f} a second, {left:.0f} s to go", flush=True)


def _pool(contents: Contents, folder: Path, workers: int, sam: Path | None) -> Pool:
    os.environ["OMP_NUM_THREADS"] = "1"  # of each process
    spawning = multiprocessing.get_context("spawn")
    return spawning.Pool(workers, _start, (folder, contents, sam))


def _start(folder: Path, contents: Contents, sam: Path | None) -> None:
    propose = None
    if sam is not None:
        from training.mini.sam_masks import proposer  # torch is loaded only where it is needed

        propose = proposer(sam)
    _worker.append(Worker(create(folder, contents), contents.first_seed, propose))


def _render(index: int) -> None:
    _worker[0](index)


def main(
    scenes: Annotated[int, typer.Option(help="How many; about 1.8 MB each.")] = 20_000,
    out: Annotated[Path, typer.Option(help="Folder of the store.")] = Path("runs/scenes"),
    workers: Annotated[int, typer.Option(help="Processes.")] = os.cpu_count() or 1,
    first_seed: Annotated[int, typer.Option(min=FIRST_SEED, help="Seeds below are held out.")] = FIRST_SEED,
    sam: Annotated[
        Path | None, typer.Option(help="Folder of a SAM, whose masks the VLM is then shown, not perturbed true ones.")
    ] = None,
) -> None:
    """Render training scenes into a store that the trainers of SAM and VLM read."""
    masks = "perturbed" if sam is None else str(sam)
    render(Contents(first_seed, scenes, masks), out, workers, sam)


if __name__ == "__main__":
    typer.run(main)
