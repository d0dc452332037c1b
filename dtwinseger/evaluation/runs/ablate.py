"""`eval ablate`: a run for each file of options, and one table in the form of the paper's ablation."""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from dtwinseger.evaluation.metrics import Interval
from dtwinseger.evaluation.report.published import ABLATION, PAPER
from dtwinseger.evaluation.runs.figures import Figures, figures
from dtwinseger.evaluation.runs.options import read_options
from dtwinseger.evaluation.runs.record import RunError
from dtwinseger.evaluation.runs.run import Plan, run

SUFFIXES = (".yaml", ".yml", ".json")


async def ablate(plan: Plan, folder: Path, out: Path, console: Console) -> dict[str, Figures]:
    """Run each file of `folder`, by name, into a folder of its own in `out`; row name -> its figures.

    All files are read before the first request. Raises as `run` does; what is done is not asked again.
    """
    files = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    if not files:
        raise RunError(f"{folder}: no *.yaml or *.json here")
    rows = {path.stem: read_options(path) for path in files}
    if len(rows) < len(files):
        raise RunError(f"{folder}: two files share a name; a name is a row")
    for name, options in rows.items():
        await run(plan, options, out / name, console)
    return {name: figures(out / name) for name in rows}


def markdown(plan: Plan, rows: Mapping[str, Figures]) -> str:
    """The rows that the paper has, in its order, with its figures beside; then the others. Figures in percent."""
    samples = max(row.tally.samples for row in rows.values())
    lines = [
        f"{plan.dataset} {plan.split}, {samples} samples, gIoU / cIoU in percent with 95 % bootstrap intervals; the paper's",
        f"({PAPER}) are of ReasonSeg val with its own models.",
        "",
        "| part | row | gIoU | cIoU | failed | paper |",
        "|---|---|---|---|---|---|",
    ]
    told = set()
    for part, title, name, paper_giou, paper_ciou in ABLATION:
        if name in rows:
            told.add(name)
            lines.append(_line(part, f"{title} (`{name}`)", rows[name], f"{paper_giou} / {paper_ciou}"))
        elif told:
            lines.append(f"| {part} | {title} | | | | {paper_giou} / {paper_ciou} |")
    lines += [_line("", f"`{name}`", row, "") for name, row in rows.items() if name not in told]
    return "\n".join(lines) + "\n"


def percent(interval: Interval) -> str:
    """An interval of shares, in percent."""
    return f"{100 * interval.value:.1f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def _line(part: str, title: str, row: Figures, paper: str) -> str:
    failed = row.tally.failures.total()
    return f"| {part} | {title} | {percent(row.giou)} | {percent(row.ciou)} | {failed} | {paper} |"
