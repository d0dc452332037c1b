"""`eval run`: a data set, or a shard of it, through a gateway into a folder."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from dtwinseger import __version__
from dtwinseger.client import AsyncClient
from dtwinseger.evaluation.datasets import Dataset, load
from dtwinseger.evaluation.runs.journal import Journal
from dtwinseger.evaluation.runs.progress import Shown
from dtwinseger.evaluation.runs.record import Manifest, RunError, Shard, digest
from dtwinseger.evaluation.runs.retries import Gate
from dtwinseger.evaluation.runs.runner import Runner
from dtwinseger.evaluation.runs.tally import Tally
from dtwinseger.evaluation.samples import Sample


@dataclass(frozen=True)
class Plan:
    """What a run asks, and how."""

    dataset: Dataset
    root: Path
    split: str
    url: str
    concurrency: int  # requests in flight
    shard: Shard
    limit: int | None  # the first samples of the split alone
    timeout_s: float  # of one request
    patience_s: float  # that the gateway may be away
    keep_twins: bool


def samples_of(dataset: Dataset, root: Path, split: str, limit: int | None) -> Sequence[Sample]:
    """The samples, the first `limit` where that is set. Raises DatasetError, and RunError where images are missing."""
    samples = load(dataset, root, split)[:limit]
    missing = [sample.image for sample in samples if not sample.image.is_file()]
    if missing:
        raise RunError(f"{len(missing)} of {len(samples)} samples have no image, {missing[0]} the first")
    return samples


@dataclass(frozen=True)
class Done:
    """A run that ended: the figures of all that its folder holds, and what was asked this time."""

    tally: Tally
    asked: int
    seconds: float


async def run(plan: Plan, options: Mapping[str, Any], out: Path, console: Console) -> Done:
    """Ask what `out` does not hold yet.

    Raises Problem where the gateway does not answer at the start, RunError where the run cannot go on (Stopped: where
    the same command resumes it), DatasetError, and OSError.
    """
    samples = samples_of(plan.dataset, plan.root, plan.split, plan.limit)
    tally = Tally()
    gate = Gate(plan.url, plan.patience_s)
    try:
        async with AsyncClient(plan.url, timeout=plan.timeout_s) as client:
            info = await client.info()
            manifest = Manifest(
                dataset=plan.dataset,
                split=plan.split,
                samples=len(samples),
                sample_ids=digest(samples),
                options=dict(options),
                gateway=info,
                client=__version__,
                shard=plan.shard,
                root=str(plan.root.resolve()),
            )
            with Journal(out, manifest, tally) as journal:
                mine = [(position, samples[position]) for position in plan.shard.span(len(samples))]
                work = [(position, sample) for position, sample in mine if sample.sample_id not in journal.done]
                runner = Runner(client, gate, journal, info, options, plan.concurrency, plan.keep_twins)
                started = time.monotonic()
                with Shown(console, tally, gate, len(mine), out.name) as shown:
                    await runner.run(work, shown.update)
    finally:
        await gate.close()
    return Done(tally, len(work), time.monotonic() - started)
