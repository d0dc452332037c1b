"""Does `eval run` keep its requests in flight, and does a kill lose or double anything? Against doubles.

`python -m benchmarks.evaluation_run --help`
"""

import asyncio
import multiprocessing
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.staged import gateway, services
from benchmarks.target import machine
from dtwinseger import api
from dtwinseger.evaluation.datasets.scenes import SceneLine, write
from dtwinseger.evaluation.runs.journal import places
from dtwinseger.evaluation.runs.record import RESULTS, Record
from dtwinseger.twin import Answer, DigitalTwin, ImageInfo, Mask, Provenance, build_objects
from tests.doubles.services import Script
from tests.doubles.serving import serving
from training.scenes.export import lines

IN_FLIGHT = 64
LATENCY_S = 1.0
OBJECTS = 30
SIZE = (256, 256)  # height, width: so small that neither side's work sets the rate
Rows = Iterator[tuple[str, str, str]]  # figure, measured, wanted


@contextmanager
def standing(samples: int, latency_s: float) -> Iterator[tuple[str, Path]]:
    """The URL of a gateway whose reasoner takes `latency_s`, and a folder with that many scenes under `scenes`."""
    script = Script(latency_s={"reason": latency_s})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        split = folder / "scenes" / "val"
        split.mkdir(parents=True)
        write(split, lines(split, range(1_000, 1_000 + samples), SIZE, 1))
        settings = {"log_level": "warning"}
        with services(script) as behind, gateway(behind, f"sqlite:///{folder}/twins.sqlite", **settings) as url:
            yield url, folder


def command(url: str, folder: Path, out: str, *more: str) -> list[str]:
    """`dtwinseger eval run` on the scenes."""
    arguments = ["--dataset", "scenes", "--root", str(folder / "scenes"), "--split", "val", "--url", url]
    run = [str(Path(sys.executable).with_name("dtwinseger")), "eval", "run", *arguments]
    return [*run, "--out", str(folder / out), "--concurrency", str(IN_FLIGHT), *more]


def rate(rounds: int) -> Rows:
    """Of runs of `rounds` times IN_FLIGHT samples against a double of the gateway."""
    samples = rounds * IN_FLIGHT
    with tempfile.TemporaryDirectory() as name, answering(LATENCY_S) as url:
        folder = Path(name)
        split = folder / "scenes" / "val"
        split.mkdir(parents=True)
        write(split, _same_picture(split, samples))
        for title, out, more in (("twins kept", "kept", "--twins"), ("twins not kept", "bare", "--no-twins")):
            before = _processor_s()
            told = _finish(command(url, folder, out, more))
            spent_ms = 1000 * (_processor_s() - before) / samples
            found = re.search(r"in ([\d.]+) s", told)
            if found is None:
                raise RuntimeError(f"the run did not say how long it asked: {told}")
            reached = samples / float(found[1])
            yield (
                f"{samples} samples, {IN_FLIGHT} in flight, {LATENCY_S:g} s each, {title}",
                f"{reached:.1f} a second, {reached / (IN_FLIGHT / LATENCY_S):.1%} of the ideal; "
                f"{spent_ms:.1f} ms of processor a sample, the start included",
                "at least 95 %",
            )


def _processor_s() -> float:
    """Processor time of all commands so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _same_picture(split: Path, count: int) -> Iterator[SceneLine]:
    """One scene under `count` names."""
    (line,) = lines(split, range(1_000, 1_001), SIZE, 1)
    return (line.model_copy(update={"sample_id": f"{k:06d}"}) for k in range(count))


@contextmanager
def answering(latency_s: float) -> Iterator[str]:
    """The URL of a double of the gateway, in a process of its own, that answers each request after `latency_s`."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, latency_s), daemon=True)
    process.start()
    there.close()
    try:
        yield here.recv()
    finally:
        here.close()
        process.join()


def _serve(pipe: "Connection[str, None]", latency_s: float) -> None:
    with serving(gateway_double(latency_s)) as url:
        pipe.send(url)
        with suppress(EOFError):
            pipe.recv()


def gateway_double(latency_s: float) -> Starlette:
    """An app with the gateway's routes that a run uses; every answer is the same one, a twin of OBJECTS objects."""
    twin = _twin()
    chosen = twin.objects[0]
    result = api.SegmentResult(
        twin_id=twin.id,
        query=twin.query,
        granularity=twin.granularity,
        indices=(chosen.index,),
        mask=chosen.mask,
        objects=(),
        path=(),
        usage=api.Usage(),
        timings_ms={"total": 1000 * latency_s},
    )
    info = api.GatewayInfo(version="double", services=())
    ready_now = api.Readiness(status="ok", needs={})
    models = {"twin": twin, "result": result, "info": info, "ready": ready_now}
    said = {name: model.model_dump_json() for name, model in models.items()}

    async def segment(request: Request) -> Response:
        due = time.perf_counter() + latency_s  # from the request's head on: reading the body is part of it
        await request.body()
        await asyncio.sleep(due - time.perf_counter())
        return Response(said["result"], media_type="application/json")

    async def stored(request: Request) -> Response:
        return Response(said["twin"], media_type="application/json")

    async def told(request: Request) -> Response:
        return Response(said["info"], media_type="application/json")

    async def ready(request: Request) -> Response:
        return Response(said["ready"], media_type="application/json")

    return Starlette(
        routes=[
            Route("/segment", segment, methods=["POST"]),
            Route("/dt/{identity}", stored),
            Route("/v1/info", told),
            Route("/readyz", ready),
        ]
    )


def _twin() -> DigitalTwin:
    masks = []
    for k in range(OBJECTS):
        mask = np.zeros(SIZE, dtype=np.bool_)
        mask[4 * k : 4 * k + 60 - k, 3 * k : 3 * k + 80] = True
        masks.append(Mask.encode(mask))
    said = [api.Semantics(semantic=f"a thing with the number {k}", category="thing") for k in range(OBJECTS)]
    return DigitalTwin(
        id="0" * 32,
        image=ImageInfo(width=SIZE[1], height=SIZE[0], sha256="0" * 64),
        query="a thing",
        granularity="object",
        objects=build_objects(masks, [0.9] * OBJECTS, said),
        answer=Answer(indices=(1,), path=()),
        provenance=Provenance(models={}, options={}, prompts="", created=datetime.now(UTC)),
        usage=api.Usage().model_dump(),
    )


def kills(times: int, samples: int) -> Rows:
    """Of a run that is killed `times` times at random sizes of its results, against one that is not."""
    draw = random.Random(0)  # noqa: S311 - a benchmark repeats
    with standing(samples, 0.2) as (url, folder):
        _finish(command(url, folder, "whole", "--concurrency", "4"))
        size = (folder / "whole" / RESULTS).stat().st_size
        killed = 0
        for moment in sorted(draw.randrange(size) for _ in range(times)):
            killed += _killed_at(
                command(url, folder, "killed", "--concurrency", "4"), folder / "killed" / RESULTS, moment
            )
        _finish(command(url, folder, "killed", "--concurrency", "4"))
        for out in ("whole", "killed"):
            _finish(
                [*command(url, folder, out)[:2], "merge", str(folder / out), "--out", str(folder / f"{out}-merged")]
            )
        whole, resumed = (_results(folder / f"{out}-merged") for out in ("whole", "killed"))
    same = "identical" if whole == resumed else "different"
    yield f"{samples} samples, kill -9 {killed} times, merged", f"{same}, {len(resumed)} samples", "identical"


def _killed_at(run: Sequence[str], results: Path, moment: int) -> bool:
    """Start a run and kill it once its results have `moment` bytes; False where it ended before."""
    with subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        while process.poll() is None and not (results.exists() and results.stat().st_size > moment):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    return process.returncode == -signal.SIGKILL


def _results(folder: Path) -> list[Record]:
    """A run's records in their order, without the time that the client waited."""
    list(places(folder / RESULTS))
    records = [Record.model_validate_json(line) for line in (folder / RESULTS).read_bytes().splitlines()]
    return [record.model_copy(update={"seconds": 0.0, "attempts": 1}) for record in records]


def _finish(run: Sequence[str]) -> str:
    done = subprocess.run(run, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def main(
    rounds: Annotated[int, typer.Option(help="Times that all places in flight are filled.")] = 20,
    times: Annotated[int, typer.Option(help="Kills.")] = 20,
    samples: Annotated[int, typer.Option(help="Of the run that is killed.")] = 120,
) -> None:
    """Print one table."""
    console = Console(width=150)
    table = Table("figure", "measured", "wanted", box=box.MARKDOWN)
    for rows in (rate(rounds), kills(times, samples)):
        for row in rows:
            table.add_row(*row)
    console.print(f"`eval run` against doubles, SQLite, {machine()}", highlight=False)
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
