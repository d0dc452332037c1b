"""What does the gateway add to its stages, how fast is the store, and what becomes of a crowd? Against doubles.

`python -m benchmarks.gateway --help`
"""

import asyncio
import io
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated
from urllib.parse import urlsplit

import numpy as np
import typer
from PIL import Image
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.staged import gateway, services
from benchmarks.target import machine
from dtwinseger import api
from tests.doubles.services import Script
from training.scenes import render_scene

SIZE = (640, 480)  # width, height
OBJECTS = 30
STAGES_S = {"granularity": 0.3, "proposals": 0.8, "semantics": 0.2, "reason": 0.1}
CRITICAL_S = max(STAGES_S["granularity"], STAGES_S["proposals"])
IDEAL_S = CRITICAL_S + STAGES_S["semantics"] + STAGES_S["reason"]
CROWD = 200
Rows = Iterator[tuple[str, str, str]]  # figure, measured, wanted


@dataclass(frozen=True)
class Answer:
    """Of one request. seconds: from its first byte sent to the last one received."""

    status: int
    body: bytes
    seconds: float


class Connection:
    """One kept-alive HTTP/1.1 connection; so little of a client that the gateway's time is what is measured."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    @asynccontextmanager
    async def to(cls, url: str) -> AsyncIterator["Connection"]:
        """Open until the block ends."""
        address = urlsplit(url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            yield cls(reader, writer)
        finally:
            writer.close()

    async def ask(self, request: bytes) -> Answer:
        """Send a request whole and read its response, whose length it must tell."""
        started = time.perf_counter()
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.partition(b":")[2]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
        )
        body = await self._reader.readexactly(length)
        return Answer(int(head.split(b" ", 2)[1]), body, time.perf_counter() - started)


def post(image: bytes, query: str, prefer: str = "") -> bytes:
    """`POST /segment` as bytes."""
    boundary = b"--------benchmark"
    parts = [b'name="query"\r\n\r\n' + query.encode(), b'name="image"; filename="a.jpg"\r\n\r\n' + image]
    body = b"".join(b"--" + boundary + b"\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts)
    body += b"--" + boundary + b"--\r\n"
    head = f"POST /segment HTTP/1.1\r\nHost: gateway\r\nContent-Length: {len(body)}\r\n"
    head += f"Content-Type: multipart/form-data; boundary={boundary.decode()}\r\n"
    head += f"Prefer: {prefer}\r\n" if prefer else ""
    return head.encode() + b"\r\n" + body


HEALTH = b"GET /livez HTTP/1.1\r\nHost: gateway\r\n\r\n"


def picture(seed: int) -> bytes:
    """A rendered scene as JPEG."""
    out = io.BytesIO()
    Image.fromarray(render_scene(seed, *SIZE).image).save(out, "JPEG", quality=90)
    return out.getvalue()


@contextmanager
def running(latency_s: dict[str, float], **settings: str) -> Iterator[str]:
    """A gateway with an empty SQLite store before services that answer OBJECTS objects."""
    boxes = [(20 * n, 10 * n, 20 * n + 30, 10 * n + 60) for n in range(OBJECTS)]
    script = Script(latency_s=latency_s, boxes=[(x % 600, y % 400, x % 600 + 30, y % 400 + 60) for x, y, *_ in boxes])
    with (
        tempfile.TemporaryDirectory() as folder,
        services(script) as behind,
        gateway(behind, f"sqlite:///{Path(folder)}/twins.sqlite", log_level="warning", **settings) as url,
    ):
        yield url


async def in_turn(url: str, requests: Sequence[bytes]) -> list[Answer]:
    """One after the other over one connection."""
    async with Connection.to(url) as connection:
        return [await connection.ask(request) for request in requests]


def overhead(repeats: int) -> Rows:
    """Of requests that nothing is stored for, over the latencies of their stages; the first is not counted."""
    with running(STAGES_S) as url:
        requests = [post(picture(seed), f"what is {seed}?") for seed in range(repeats + 1)]
        answers = asyncio.run(in_turn(url, requests))
    _all(answers, 200)
    took_ms = [1000 * answer.seconds for answer in answers[1:]]
    told_ms = [api.SegmentResult.model_validate_json(answer.body).timings_ms for answer in answers[1:]]
    both_ms = [max(told["perception"], told["granularity"]) for told in told_ms]
    stages_ms = [both + told["semantics"] + told["reasoning"] for both, told in zip(both_ms, told_ms, strict=True)]
    beyond_ms = [took - stages for took, stages in zip(took_ms, stages_ms, strict=True)]
    yield f"nothing stored: beyond its stages (n = {repeats})", f"p50 {median(beyond_ms):.1f} ms", "p50 at most 15 ms"
    over_ms = median(took_ms) - 1000 * IDEAL_S
    yield f"the same, over the {1000 * IDEAL_S:.0f} ms that the doubles sleep", f"p50 {over_ms:.1f} ms", ""
    longer, shorter = (f"{stage} of {1000 * STAGES_S[stage]:.0f} ms" for stage in ("proposals", "granularity"))
    yield (
        f"{longer} beside {shorter}",
        f"p50 {median(both_ms) / 1000 / CRITICAL_S:.3f} x the longer one",
        "at most 1.1",
    )


def stored(repeats: int) -> Rows:
    """Of requests that the store answers: alone, and as many as it can."""
    with running({}) as url:
        requests = [post(picture(seed), "what is it?") for seed in range(1, 33)]
        _all(asyncio.run(in_turn(url, requests)), 200)
        alone = asyncio.run(in_turn(url, requests * max(1, repeats // 4)))
        started = time.perf_counter()
        busy = asyncio.run(_many(url, requests, clients=16, each=10 * repeats))
        seconds = time.perf_counter() - started
    _all([*alone, *busy], 200)
    p50, p95 = np.percentile([1000 * answer.seconds for answer in alone], [50, 95])
    yield f"stored, one at a time ({len(alone)})", f"p50 {p50:.1f} ms, p95 {p95:.1f} ms", "p50 at most 10 ms"
    yield f"stored, 16 clients ({len(busy)} requests, 32 twins)", f"{len(busy) / seconds:.0f} a second", "at least 300"


async def _many(url: str, requests: Sequence[bytes], clients: int, each: int) -> list[Answer]:
    async def client(number: int) -> list[Answer]:
        turns = [requests[(number * 7 + turn) % len(requests)] for turn in range(each)]
        return await in_turn(url, turns)

    return [answer for answers in await asyncio.gather(*(client(n) for n in range(clients))) for answer in answers]


def crowd() -> Rows:
    """Of CROWD clients at once, each with a query of its own, half of them content with a 202, at 8 + 8 places."""
    with running(STAGES_S, max_running="8", max_queued="8") as url:
        image = picture(1)
        requests = [post(image, f"query {n}", "wait=1" if n % 2 else "") for n in range(CROWD)]
        answers, health = asyncio.run(_crowded(url, requests))
    counts = Counter(answer.status for answer in answers)
    told = ", ".join(f"{count} x {status}" for status, count in sorted(counts.items()))
    yield f"{CROWD} clients at 8 + 8 places", told, "200, 202 and 503 only"
    p50, p95 = np.percentile([answer.seconds for answer in health], [50, 95])
    yield f"/livez meanwhile ({len(health)} times)", f"p50 {p50:.3f} s, p95 {p95:.3f} s", "p95 below 0.5 s"


async def _crowded(url: str, requests: Sequence[bytes]) -> tuple[list[Answer], list[Answer]]:
    health: list[Answer] = []

    async def look() -> None:
        async with Connection.to(url) as connection:
            while True:
                health.append(await connection.ask(HEALTH))
                await asyncio.sleep(0.02)

    looking = asyncio.create_task(look())
    answers = await asyncio.gather(*(in_turn(url, [request]) for request in requests))
    looking.cancel()
    return [answer for [answer] in answers], health


def _all(answers: Sequence[Answer], status: int) -> None:
    for answer in answers:
        if answer.status != status:
            raise RuntimeError(f"{answer.status} and not {status}: {answer.body[:300]!r}")


def main(repeats: Annotated[int, typer.Option(help="Requests of the first row; the others follow.")] = 30) -> None:
    """Print one table."""
    console = Console(width=140)
    table = Table("figure", "measured", "wanted", box=box.MARKDOWN)
    for rows in (overhead(repeats), stored(repeats), crowd()):
        for row in rows:
            table.add_row(*row)
    console.print(f"{OBJECTS} objects, {SIZE[0]}x{SIZE[1]}, SQLite, {machine()}", highlight=False)
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
