"""Tables of a report: rows of words, so that the page and the Markdown show the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dtwinseger.evaluation.metrics import Interval
from dtwinseger.evaluation.report.published import ABLATION, PAPER, TABLES, Column, PublishedTable
from dtwinseger.evaluation.runs.record import Manifest
from dtwinseger.evaluation.summary import Figures, Summary


@dataclass(frozen=True)
class Row:
    """Cells as words; `ours` where it is a run's and not a published one."""

    cells: tuple[str, ...]
    ours: bool = False


@dataclass(frozen=True)
class Table:
    title: str
    note: str
    header: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Scored:
    """A run and its figures."""

    name: str
    manifest: Manifest
    summary: Summary


def percent(value: float, bounds: tuple[float, float]) -> str:
    """A share with its interval, in percent."""
    return f"{100 * value:.1f} [{100 * bounds[0]:.1f}, {100 * bounds[1]:.1f}]"


def in_percent(interval: Interval) -> str:
    """An interval of shares, in percent."""
    return percent(interval.value, (interval.low, interval.high))


def figures(found: Figures) -> tuple[str, str]:
    """gIoU and cIoU in percent."""
    return percent(found.giou, found.giou_ci95), percent(found.ciou, found.ciou_ci95)


def beside_published(runs: Sequence[Scored]) -> list[Table]:
    """The published tables of the runs' data sets, with a row for each system that was run."""
    datasets = {run.manifest.dataset for run in runs}
    return [_beside(table, runs) for table in TABLES if table.dataset in datasets]


def _beside(table: PublishedTable, runs: Sequence[Scored]) -> Table:
    systems: dict[str, list[Scored]] = {}
    for run in runs:
        if run.manifest.dataset == table.dataset:
            same = run.manifest.model_dump_json(include={"options", "gateway", "client"})
            systems.setdefault(same, []).append(run)
    rows = [Row((row.system, row.source, *(_published(giou, ciou) for giou, ciou in row.cells))) for row in table.rows]
    for own in systems.values():
        name = ", ".join(f"{run.name} (n = {run.summary.samples})" for run in own)
        rows.append(Row((name, "this report", *(_own(column, own) for column in table.columns)), ours=True))
    note = "gIoU / cIoU in percent; this report's with 95 % bootstrap intervals; others published none."
    return Table(table.title, note, ("system", "source", *(column.title for column in table.columns)), tuple(rows))


def _published(giou: float | None, ciou: float | None) -> str:
    if giou is None and ciou is None:
        return ""
    return f"{'–' if giou is None else giou} / {'–' if ciou is None else ciou}"


def _own(column: Column, runs: Sequence[Scored]) -> str:
    for run in runs:
        split = "val" if run.manifest.split == "validation" else run.manifest.split
        if split == column.split:
            found: Figures | None = run.summary if column.part is None else run.summary.splits.get(column.part)
            return " / ".join(figures(found)) if found else ""
    return ""


def by_split(summary: Summary) -> Table:
    """A run's figures over all samples and by facet."""
    rows = [("all", summary), *summary.splits.items()]
    return Table(
        "By split",
        "By query, granularity, number and size of the target; small is below 1 % of the image, large from 10 % on.",
        ("split", "n", "gIoU [95 %]", "cIoU [95 %]"),
        tuple(Row((name, f"{found.samples:,}", *figures(found)), ours=name == "all") for name, found in rows),
    )


def ablation(rows: Mapping[str, tuple[Interval, Interval, int]], asked: str) -> Table:
    """Row name -> gIoU, cIoU and failed samples, beside the paper's ablation; rows that it lacks come last.

    asked: what was asked, in words.
    """
    told: set[str] = set()
    lines = []
    for part, title, name, giou, ciou in ABLATION:
        published = f"{giou} / {ciou}"
        if name is None or name not in rows:
            lines.append(Row((part, title, "", "", "", published)))
            continue
        told.add(name)
        lines.append(Row((part, f"{title} ({name})", *_ablated(rows[name]), published), ours=True))
    lines += [Row(("", name, *_ablated(row), ""), ours=True) for name, row in rows.items() if name not in told]
    note = f"{asked}, in percent with 95 % bootstrap intervals; the paper's ({PAPER}) are of ReasonSeg val."
    return Table("Ablation", note, ("part", "row", "gIoU", "cIoU", "failed", "paper, gIoU / cIoU"), tuple(lines))


def _ablated(row: tuple[Interval, Interval, int]) -> tuple[str, str, str]:
    giou, ciou, failed = row
    return in_percent(giou), in_percent(ciou), str(failed)


def markdown(table: Table) -> str:
    """The table in Markdown, our rows bold in their first cell."""
    lines = [f"### {table.title}", "", table.note, "", _line(table.header), _line(["---"] * len(table.header))]
    lines += [_line(_bold(row)) for row in table.rows]
    return "\n".join(lines) + "\n"


def _bold(row: Row) -> Sequence[str]:
    first = next((k for k, cell in enumerate(row.cells) if cell), 0)
    return [f"**{cell}**" if row.ours and k == first else cell for k, cell in enumerate(row.cells)]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
