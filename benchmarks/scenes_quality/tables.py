"""The figures as tables: fractions, each with its 95 % bootstrap interval."""

from collections.abc import Sequence

from benchmarks.scenes_quality.figures import Ablated, Group, Oracle, Pipeline, Reasoner, Stage
from dtwinseger.evaluation.metrics import Interval
from dtwinseger.evaluation.report.tables import Row, Table, in_percent

INTERVALS = "Fractions with 95 % bootstrap intervals over scenes"


def of_pipeline(found: Pipeline) -> Table:
    """By part of the questions; below them how often nothing was answered."""
    rows = [
        Row((g.name, str(g.samples), str(g.giou), str(g.ciou), str(g.failed)), g.name == "all") for g in found.groups
    ]
    failures = ", ".join(f"{count} {code}" for code, count in found.failures.items()) or "none"
    note = (
        f"{INTERVALS}; a failed request counts 0. Where nothing fits {_or_none(found.no_answer_empty)} were answered "
        f"empty, and {_or_none(found.answered)} of the other queries by something. Failures: {failures}."
    )
    header = ("queries", "n", "gIoU [95 %]", "cIoU [95 %]", "failed")
    return Table("Whole pipeline, POST /segment", note, header, tuple(rows))


def of_stages(found: Sequence[Stage]) -> Table:
    """Each stage before the reasoner."""
    rows = tuple(Row((s.stage, s.measure, str(s.samples), str(s.share))) for s in found)
    note = f"{INTERVALS}. Twins of another level than the truth are left out below granularity."
    return Table("Stages", note, ("stage", "measure", "n", "share [95 %]"), rows)


def of_reasoner(found: Reasoner) -> Table:
    """A column for each mode that was run."""
    modes = tuple(found.failed)
    rows = [
        Row((g.name, str(g.samples), *(str(g.modes[mode]) for mode in modes), _or_none(g.gain)), g.name == "all")
        for g in found.groups
    ]
    failed = ", ".join(f"{mode} {count}" for mode, count in found.failed.items()) or "none"
    not_run = "".join(f" Not run: {mode}: {why}." for mode, why in found.not_run.items())
    note = f"{INTERVALS}, paired where modes are compared. Without a valid answer: {failed}.{not_run}"
    header = ("queries", "n", *(f"{mode}: exact set" for mode in modes), "sftdt − zero_shot")
    return Table("The reasoner, given the true twin", note, header, tuple(rows))


def of_oracles(found: Sequence[Oracle]) -> Table:
    """gIoU where one stage is perfect."""
    strata = tuple(g.name for g in found[0].strata)
    rows = tuple(
        Row((o.name, str(o.all.samples), str(o.all.giou), _signed(o.gain), *(_giou(o.strata, name) for name in strata),
             str(o.all.failed)), k == 0)
        for k, o in enumerate(found)
    )  # fmt: skip
    note = f"gIoU. {INTERVALS}; the gain is over the pipeline, paired."
    header = ("perfect stage", "n", "all", "gain", *strata, "failed")
    return Table("Where the pipeline loses", note, header, rows)


def of_ablation(found: Sequence[Ablated]) -> Table:
    """The paper's rows beside ours."""
    samples = next((row.figures.samples for row in found if row.figures), 0)
    note = (
        f"In percent with 95 % bootstrap intervals over {samples} scenes; the gain in gIoU is over the first row of "
        "the part, paired. The paper's figures are of ReasonSeg val."
    )
    header = ("part", "row", "gIoU", "cIoU", "gain", "failed", "paper, gIoU / cIoU")
    return Table("Ablation", note, header, tuple(_ablated(row) for row in found))


def _ablated(row: Ablated) -> Row:
    paper = " / ".join(str(figure) for figure in row.paper) if row.paper else ""
    if row.figures is None:
        return Row((row.part, row.row, f"not run: {row.not_run}", "", "", "", paper))
    own = row.figures
    gain = "" if row.gain is None else in_percent(row.gain) + ("" if beyond(row.gain) else ", within the interval")
    return Row((row.part, row.row, in_percent(own.giou), in_percent(own.ciou), gain, str(own.failed), paper), True)


def beyond(difference: Interval) -> bool:
    """Whether a difference is beyond its interval: 0 is outside."""
    return not difference.low <= 0 <= difference.high


def _signed(difference: Interval) -> str:
    return f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"


def _giou(strata: Sequence[Group], name: str) -> str:
    return next((str(g.giou) for g in strata if g.name == name), "")


def _or_none(share: Interval | None) -> str:
    return "none" if share is None else str(share)
