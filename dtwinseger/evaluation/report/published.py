"""Figures as published, in percent: the paper's tables (DTwinSeger, arXiv 2506.07943) and newer systems."""

from dataclasses import dataclass

PAPER = "arXiv 2506.07943"


@dataclass(frozen=True)
class Column:
    """A column of a published table: a split, or a part of one, by a metric or two."""

    title: str
    split: str
    part: str | None = None  # of the split: "short" or "long" queries


@dataclass(frozen=True)
class Published:
    """One system's row: for each column gIoU and cIoU, or None where one was not published."""

    system: str
    source: str
    cells: tuple[tuple[float | None, float | None], ...]


@dataclass(frozen=True)
class PublishedTable:
    """A table with the columns in which our own row stands too."""

    title: str
    dataset: str
    columns: tuple[Column, ...]
    rows: tuple[Published, ...]


def _pairs(text: str) -> tuple[tuple[float | None, float | None], ...]:
    """From "61.3/62.9 48.3/46.3"; "-" stands for what was not published."""

    def number(word: str) -> float | None:
        return None if word == "-" else float(word)

    cells = [cell.partition("/") for cell in text.split()]
    return tuple((number(giou), number(ciou)) for giou, _, ciou in cells)


def _paper(rows: str) -> tuple[Published, ...]:
    """A line a system: its name, a colon, its cells."""
    named = [line.partition(":") for line in rows.strip().splitlines()]
    return tuple(Published(name.strip(), PAPER, _pairs(cells)) for name, _, cells in named)


def _ciou_only(rows: str) -> tuple[Published, ...]:
    return _paper("\n".join(_with_dashes(line) for line in rows.strip().splitlines()))


def _with_dashes(line: str) -> str:
    name, _, cells = line.partition(":")
    return f"{name}:{' '.join('-/' + cell for cell in cells.split())}"


REASONSEG = PublishedTable(
    "ReasonSeg",
    "reasonseg",
    (
        Column("val", "val"),
        Column("test, short", "test", "short"),
        Column("test, long", "test", "long"),
        Column("test", "test"),
    ),
    (
        *_paper("""
        LISA: 61.3/62.9 48.3/46.3 57.9/59.7 55.6/56.9
        LISA++: 64.2/68.1 49.6/51.1 59.3/61.7 57.0/59.5
        CoReS: 61.8/62.4 49.7/50.2 58.3/59.1 55.9/56.4
        LaSagnA: 45.1/47.2 40.2/41.1 42.2/42.4 42.5/43.6
        LLM-Seg: 55.4/45.6 42.7/41.9 51.7/50.2 49.9/48.5
        SAM4MLLM: 58.4/60.4 43.6/45.9 54.3/55.9 52.1/53.0
        SegLLM: 57.2/54.3 43.8/42.5 51.9/51.8 50.9/49.5
        DTwinSeger: 65.4/71.1 63.3/69.1 64.7/70.6 64.4/70.2
        DTwinSeger (ft): 73.1/72.4 69.7/70.3 71.6/70.9 70.5/70.6
    """),
        Published("SAM 3 Agent + Gemini 2.5 Pro", "as published", _pairs("76.0/- -/- -/- 73.8/-")),
        Published("EVOL-SAM3 (Qwen2.5-VL-7B)", "as published", _pairs("70.7/- -/- -/- 72.5/-")),
        Published("AnchorSeg", "as published", _pairs("67.2/75.15 -/- -/- 67.7/68.1")),
    ),
)

LLMSEG40K = PublishedTable(
    "LLM-Seg40K",
    "llmseg40k",
    (Column("val", "val"), Column("test", "test")),
    _paper("""
        CoReS: 43.52/50.81 41.68/47.69
        LISA: 43.16/50.79 41.23/47.33
        LISA++: 44.18/51.14 41.97/48.26
        LLM-Seg: 45.47/54.18 43.25/51.60
        SAM4MLLM: 43.29/49.65 42.35/48.97
        DTwinSeger: 52.74/57.77 50.82/54.71
        DTwinSeger (ft): 54.68/58.92 51.97/55.81
    """),
)

_REFERRING = (Column("val", "val"), Column("testA", "testA"), Column("testB", "testB"))

REFCOCO = PublishedTable(
    "RefCOCO, cIoU",
    "refcoco",
    _REFERRING,
    _ciou_only("""
        GSVA: 79.2 81.7 77.1
        CoReS: 76.0 78.6 72.5
        LaSagnA: 76.8 78.7 73.8
        LISA: 74.9 79.1 72.3
        LLaVaSeg: 76.2 79.1 72.9
        SAM4MLLM: 79.8 82.7 74.7
        DTwinSeger: 79.8 82.9 76.6
        DTwinSeger (ft): 80.0 83.1 78.9
    """),
)

REFCOCO_PLUS = PublishedTable(
    "RefCOCO+, cIoU",
    "refcoco+",
    _REFERRING,
    _ciou_only("""
        GSVA: 70.3 73.8 63.6
        CoReS: 65.1 70.0 58.6
        LaSagnA: 66.4 70.6 60.1
        LISA: 65.1 70.8 58.1
        LLaVaSeg: 65.7 71.4 57.7
        SAM4MLLM: 74.6 78.8 67.2
        DTwinSeger: 75.4 78.8 69.4
        DTwinSeger (ft): 77.5 79.5 70.2
    """),
)

REFCOCOG = PublishedTable(
    "RefCOCOg (UMD), cIoU",
    "refcocog",
    (Column("val", "val"), Column("test", "test")),
    _ciou_only("""
        GSVA: 75.7 77.0
        CoReS: 69.0 70.7
        LaSagnA: 70.6 71.9
        LISA: 67.9 70.6
        LLaVaSeg: 69.8 70.1
        SAM4MLLM: 75.5 76.4
        DTwinSeger: 76.6 77.1
        DTwinSeger (ft): 77.4 78.1
    """),
)

TABLES = (REASONSEG, LLMSEG40K, REFCOCO, REFCOCO_PLUS, REFCOCOG)

# The paper's ablation on ReasonSeg val, gIoU and cIoU: part, row, the file of `ablations/` that stands for it.
ABLATION: tuple[tuple[str, str, str | None, float, float], ...] = (
    ("Proposals", "SAM only", "proposals-sam-only", 37.6, 34.5),
    ("Proposals", "SAM with fine-tuning", "proposals-sam-tuned", 40.4, 41.1),
    ("Proposals", "SAM + VLM refinement", "full", 65.4, 71.1),
    ("Semantics", "OWLv2", "semantics-owlv2", 27.6, 24.5),
    ("Semantics", "VLM", "full", 65.4, 71.1),
    ("Prompting", "direct", "prompting-direct", 50.6, 50.2),
    ("Prompting", "in-context", "prompting-in-context", 59.4, 60.0),
    ("Prompting", "system-level", "full", 65.4, 71.1),
    ("VLM", "GPT-4o-mini", None, 60.1, 59.0),
    ("VLM", "Qwen2.5-VL-72B", None, 63.7, 65.5),
    ("VLM", "GPT-4o", None, 65.4, 71.1),
)
