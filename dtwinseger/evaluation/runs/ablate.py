"""`eval ablate`: a run for each file of options, and one table in the form of the paper's ablation."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from dtwinseger.evaluation.report.tables import Table, ablation
from dtwinseger.evaluation.runs.figures import Figures, figures
from dtwinseger.evaluation.runs.options import read_options
from dtwinseger.evaluation.runs.record import RunError
from dtwinseger.evaluation.runs.run import Plan, run

SUFFIXES = (".yaml", ".yml", ".json")


async def ablate(plan: Plan, folder: Path, out: Path, console: Console) -> dict[str, Figures]:
    """Run each file of `folder`, by name, into a folder of its own in `out`; row name -> its figures.

    All files are read before the first request. Raises as `run` does; what is done is not asked again.
    """
    files = sorted(file for file in await asyncio.to_thread(lambda: list(folder.iterdir())) if file.suffix in SUFFIXES)
    if not files:
        raise RunError(f"{folder}: no *.yaml or *.json here")
    rows = {path.stem: read_options(path) for path in files}
    if len(rows) < len(files):
        raise RunError(f"{folder}: two files share a name; a name is a row")
    for name, options in rows.items():
        await run(plan, options, out / name, console)
    return {name: figures(out / name) for name in rows}


def table(plan: Plan, rows: Mapping[str, Figures]) -> Table:
    """The rows beside the paper's."""
    samples = max(row.tally.samples for row in rows.values())
    told = {name: (row.giou, row.ciou, row.tally.failures.total()) for name, row in rows.items()}
    return ablation(told, f"{plan.dataset} {plan.split}, {samples} samples")
