"""What does scoring cost? `dtwinseger eval score` over made-up samples in ReasonSeg's format: time and peak memory."""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.target import machine
from dtwinseger.evaluation.datasets.outlines import TARGET, draw
from dtwinseger.evaluation.predictions import Prediction, write
from dtwinseger.twin import Mask

HEIGHT, WIDTH = 480, 640
POINTS = 80  # of an outline; ReasonSeg's have from 4 to 400
LABELS = ("target", "target", "ignore")
WORKERS = 2

Outline = list[tuple[float, float]]


@dataclass(frozen=True)
class Run:
    """One command: its time, that of its processes on a core, and the resident memory of the largest at its peak."""

    samples: int
    seconds: float
    cpu_seconds: float  # hardly more where other work crowds the machine
    peak_mb: float

    @property
    def rate(self) -> float:
        return self.samples / self.seconds


def outline(rng: random.Random) -> Outline:
    """A ragged closed outline somewhere in the image, (x, y) in pixels."""
    x, y, radius = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), rng.uniform(20, 160)
    turns = np.linspace(0, 2 * np.pi, POINTS, endpoint=False)
    radii = radius * np.array([rng.uniform(0.7, 1.0) for _ in turns])
    return list(zip((x + radii * np.cos(turns)).tolist(), (y + radii * np.sin(turns)).tolist(), strict=True))


def answer(outlines: list[Outline], rng: random.Random) -> Mask:
    """The targets, each a few pixels off: a mask such as a system sends."""
    dx, dy = rng.uniform(-9, 9), rng.uniform(-9, 9)
    moved = [np.array(points) + np.array([dx, dy]) for points in outlines]
    return Mask.encode(draw([(points.astype(np.int32), TARGET) for points in moved], (HEIGHT, WIDTH)) == TARGET)


def made(folder: Path, count: int) -> Iterator[Prediction]:
    """Write the samples into `folder` and say what is predicted for each."""
    rng = random.Random(0)  # noqa: S311 - a benchmark repeats
    jpeg = BytesIO()
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 128, dtype=np.uint8)).save(jpeg, "JPEG")
    for number in range(count):
        outlines = [outline(rng) for _ in LABELS]
        shapes = [{"label": label, "points": points} for label, points in zip(LABELS, outlines, strict=True)]
        content = {"text": ["what is asked here?"], "is_sentence": rng.random() < 0.5, "shapes": shapes}
        (folder / f"{number:06d}.jpg").write_bytes(jpeg.getvalue())
        (folder / f"{number:06d}.json").write_text(json.dumps(content))
        yield Prediction(sample_id=f"{number:06d}", mask=answer(outlines[:2], rng))


def run(root: Path, predictions: Path) -> Run:
    """Score in a process of its own, as a user does."""
    where = ("--dataset", "reasonseg", "--root", str(root), "--split", "val", "--predictions", str(predictions))
    dtwinseger = Path(sys.executable).with_name("dtwinseger")
    command = [str(dtwinseger), "eval", "score", *where, "--json", "--workers", str(WORKERS)]
    with (root / "answer.json").open("wb") as out, (root / "errors").open("wb") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=errors)  # noqa: S603 - our own command
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError((root / "errors").read_text())
    samples = json.loads((root / "answer.json").read_bytes())["samples"]
    cpu_seconds = used.ru_utime + used.ru_stime
    return Run(samples=samples, seconds=seconds, cpu_seconds=cpu_seconds, peak_mb=used.ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluation", description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[1_000, 10_000])
    asked = parser.parse_args()
    console = Console(width=120)  # markdown tables must not wrap
    runs = []
    for count in asked.counts:
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            folder = root / "reason_seg" / "ReasonSeg" / "val"
            folder.mkdir(parents=True)
            samples = track(made(folder, count), f"making {count:,}", count, console=console, transient=True)
            write(root / "predictions.jsonl", samples)
            with console.status(f"scoring {count:,}"):
                runs.append(run(root, root / "predictions.jsonl"))
    console.print(f"dtwinseger eval score, {WIDTH}x{HEIGHT}, {WORKERS} processes; {machine()}", highlight=False)
    table = Table("samples", "seconds", "samples a second", "CPU seconds", "peak MB, largest process", box=box.MARKDOWN)
    for each in runs:
        times = (f"{each.seconds:.1f}", f"{each.rate:,.0f}", f"{each.cpu_seconds:.1f}")
        table.add_row(f"{each.samples:,}", *times, f"{each.peak_mb:,.0f}")
    console.print(table)


if __name__ == "__main__":
    main()
