"""`eval report`: runs as one page that needs no other host, and as Markdown."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from dtwinseger.evaluation.metrics import Interval
from dtwinseger.evaluation.report.analysis import Analysis, Case
from dtwinseger.evaluation.report.faults import MATCH_IOU, RIGHT_IOU
from dtwinseger.evaluation.report.pictures import answer_overlay, histogram, truth_overlay
from dtwinseger.evaluation.report.published import ABLATION
from dtwinseger.evaluation.report.tables import Row, Table, ablation, beside_published, by_split, markdown
from dtwinseger.evaluation.runs.record import RunError
from dtwinseger.evaluation.runs.runner import models

EXPLAINED = {
    "right": f"IoU of at least {RIGHT_IOU}",
    "request failed": "no answer; counted as an empty one",
    "not proposed": f"no union of the twin's proposals, chosen greedily by the truth, has an IoU of {RIGHT_IOU}",
    "mis-described": "the proposals suffice, and with true descriptions the reasoner is right",
    "mis-reasoned": "the proposals suffice, and with true descriptions the reasoner is wrong all the same",
    "described or reasoned wrongly": "the proposals suffice; which of the two it was cannot be told without true "
    "descriptions and a reasoner to ask again",
    "no twin": "wrong, and no twin was kept that would say why",
}


@dataclass(frozen=True)
class Shown:
    """A case with its pictures."""

    case: Case
    truth: str  # data URLs
    answer: str
    targets: int  # pixels of the truth


def html(runs: Sequence[Analysis]) -> str:
    """The page. Raises RunError where jinja2 is not installed, OSError where an image cannot be read."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ModuleNotFoundError as error:
        raise RunError("the report is made with Jinja: pip install 'dtwinseger[eval]'") from error
    pages = Environment(
        loader=PackageLoader("dtwinseger.evaluation", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return pages.get_template("report.html.j2").render(
        runs=runs,
        published=_compared(runs),
        by_split={run.scored.name: by_split(run.scored.summary) for run in runs},
        taken={run.scored.name: time_and_cost(run) for run in runs},
        faults={run.scored.name: faults(run) for run in runs},
        histogram={run.scored.name: Markup(histogram(run.ious)) for run in runs},  # noqa: S704 - numbers alone
        worst={run.scored.name: [_shown(case) for case in run.worst] for run in runs},
        best={run.scored.name: [_shown(case) for case in run.best] for run in runs},
        models=models,
        to_json=json.dumps,
    )


def as_markdown(runs: Sequence[Analysis]) -> str:
    """The tables of the page."""
    parts = ["# Evaluation\n", *(markdown(table) for table in _compared(runs))]
    for run in runs:
        manifest = run.scored.manifest
        served = ", ".join(f"{role} {name}" for role, name in models(manifest.gateway).items())
        parts.append(f"## {run.scored.name}: {manifest.dataset} {manifest.split}\n")
        parts.append(f"{served}; options {json.dumps(manifest.options)}; {run.tally.failed}\n")
        parts += [markdown(table) for table in (by_split(run.scored.summary), faults(run), time_and_cost(run))]
    return "\n".join(parts)


def faults(run: Analysis) -> Table:
    """How many answers are right, and in which stage the others failed."""
    total = max(1, run.faults.total())
    rows = [
        Row((name, f"{count:,}", f"{100 * count / total:.1f}\u00a0%", EXPLAINED[name]))
        for name, count in sorted(run.faults.items(), key=lambda item: list(EXPLAINED).index(item[0]))
    ]
    note = f"By oracle substitution. A proposal is a true object from a mask IoU of {MATCH_IOU} on."
    if run.ceiling is not None:
        note += f" Perfect reasoning over the twins would reach a gIoU of {100 * run.ceiling:.1f}."
    return Table("Why answers are wrong", note, ("class", "n", "share", "meaning"), tuple(rows))


def time_and_cost(run: Analysis) -> Table:
    """Seconds a sample, by stage, and USD."""
    rows = [Row((part.name, f"{part.median:.2f}", f"{part.p95:.2f}", f"{part.samples:,}")) for part in run.taken]
    each = "" if run.tally.unpriced else f"; {run.tally.cost_usd / run.tally.samples:.5f} USD a sample"
    return Table(
        "Time and cost",
        f"Seconds; stages as they took when they were computed. {run.tally.cost} in all{each}.",
        ("what", "median", "95 %", "n"),
        tuple(rows),
    )


def _compared(runs: Sequence[Analysis]) -> list[Table]:
    tables = beside_published([run.scored for run in runs])
    named = {name for _, _, name, _, _ in ABLATION if name}
    rows = {run.scored.name: run for run in runs if run.scored.name in named}
    if rows:
        told = {name: (*_intervals(run), run.tally.failures.total()) for name, run in rows.items()}
        manifest = next(iter(rows.values())).scored.manifest
        tables.append(ablation(told, f"{manifest.dataset} {manifest.split}"))
    return tables


def _intervals(run: Analysis) -> tuple[Interval, Interval]:
    found = run.scored.summary
    return Interval(found.giou, *found.giou_ci95), Interval(found.ciou, *found.ciou_ci95)


def _shown(case: Case) -> Shown:
    truth = case.sample.load_truth()
    image = case.sample.image
    answer = answer_overlay(image, truth, case.record.mask.decode())
    return Shown(case, truth_overlay(image, truth), answer, int(truth.target.sum()))


def write(runs: Sequence[Analysis], out: Path) -> tuple[Path, Path]:
    """Write the page to `out` and the Markdown beside it; where they are."""
    beside = out.with_suffix(".md")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(html(runs), encoding="utf-8")
    beside.write_text(as_markdown(runs), encoding="utf-8")
    return out, beside
