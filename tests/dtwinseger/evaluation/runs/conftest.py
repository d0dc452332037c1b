"""A small data set of scenes, and a real gateway in front of scripted services."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from dtwinseger.cli import app
from dtwinseger.evaluation.datasets.scenes import SceneLine, write
from dtwinseger.evaluation.runs.journal import places
from dtwinseger.evaluation.runs.record import RESULTS, Record
from dtwinseger.twin import Mask
from tests.doubles.services import Script
from tests.gateway.conftest import Gateway, gateway

SAMPLES = 24
BOX = (32, 8, 50, 20)  # what the scripted reasoner keeps


def make_scenes(root: Path, count: int = SAMPLES) -> Path:
    """`count` images of 64x56, each with a color and a query of its own; every third query has no target."""
    images = root / "val" / "images"
    images.mkdir(parents=True)
    lines = []
    for k in range(count):
        Image.new("RGB", (64, 56), (k, 128, 255 - k)).save(images / f"{k:04d}.png")
        truth = np.zeros((56, 64), dtype=bool)
        if k % 3:
            truth[BOX[1] : BOX[3], BOX[0] : BOX[2]] = True
        lines.append(
            SceneLine(
                sample_id=f"{k:04d}",
                image=f"{k:04d}.png",
                query=f"thing {k}?",
                kind="name",
                granularity="object",
                targets=int(truth.any()),
                mask=Mask.encode(truth),
            )
        )
    write(root / "val", lines)
    return root


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    return make_scenes(tmp_path / "scenes")


@pytest.fixture
def front(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Gateway]:
    with gateway(Script(), monkeypatch, f"sqlite:///{tmp_path}/twins.sqlite") as running:
        yield running


def command(*arguments: object) -> list[str]:
    return [str(Path(sys.executable).with_name("dtwinseger")), "eval", *map(str, arguments)]


def evaluate(*arguments: object) -> Result:
    """`dtwinseger eval …` in this process."""
    return CliRunner().invoke(app, ["eval", *map(str, arguments)])


def asking(url: object, root: Path, out: Path, *more: object) -> tuple[object, ...]:
    """The arguments of `eval run` on all scenes."""
    return (
        "run",
        "--dataset",
        "scenes",
        "--root",
        root,
        "--split",
        "val",
        "--out",
        out,
        "--url",
        url,
        "--timeout",
        20,
        *more,
    )


def records(folder: Path) -> list[Record]:
    """By position, without what time alone decides."""
    list(places(folder / RESULTS))  # refuses what is torn or comes twice
    lines = [Record.model_validate_json(line) for line in (folder / RESULTS).read_bytes().splitlines()]
    timeless = [record.model_copy(update={"seconds": 0.0, "attempts": 1}) for record in lines]
    return sorted(timeless, key=lambda record: record.position)
