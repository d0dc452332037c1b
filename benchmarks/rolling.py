"""Is a request lost while everything is restarted, one process after the other, under load?

Two gateways and two perceptions behind nginx, real; semantics and reasoner real too, asking a scripted engine.
`python -m benchmarks.rolling --help`
"""

import asyncio
import io
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import httpx2
import numpy as np
import typer
from PIL import Image
from pydantic import ValidationError
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.fleet import Fleet, Instance, fleet, preload
from benchmarks.target import machine
from dtwinseger.api import SegmentResult
from dtwinseger.problems import Problem
from tests.doubles.answers import answers
from tests.doubles.openai_server import Says, openai_server

SIDE = 96  # pixels
OPTIONS = '{"proposals": {"points_per_side": 6}}'
ASKS_WITHIN_S = 180.0
Kind = Literal["ok", "shed", "lost"]


@dataclass(frozen=True)
class Outcome:
    """What became of a request. detail: of one that was lost, why."""

    kind: Kind
    seconds: float
    detail: str = ""


def picture(number: int) -> bytes:
    """A small image like no other: nothing that a store could answer."""
    pixels = np.full((SIDE, SIDE, 3), 200, np.uint8)
    pixels[20:60, 20:60] = (number % 200, 30, 30)
    pixels[0, 0] = (number // 65536 % 256, number // 256 % 256, number % 256)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


async def ask(http: httpx2.AsyncClient, number: int) -> Outcome:
    """One question; every third asks for its events, a response that is long under way."""
    started = time.perf_counter()
    streamed = number % 3 == 0
    form = {"query": f"what is number {number}?", "options": OPTIONS}
    headers = {"Accept": "text/event-stream"} if streamed else {}
    try:
        response = await http.post("/segment", data=form, files={"image": picture(number)}, headers=headers)
        kind, detail = judged(response, streamed)
    except httpx2.HTTPError as error:
        kind, detail = "lost", f"cut: {type(error).__name__} {error}"
    return Outcome(kind, time.perf_counter() - started, detail)


def judged(response: httpx2.Response, streamed: bool) -> tuple[Kind, str]:
    """Whether this is a whole answer, a well-formed refusal, or neither and what it says."""
    if response.status_code == 200:
        text = response.text
        if streamed:
            last = text.strip().rpartition("\n\n")[2]
            [name] = [line[7:] for line in last.splitlines() if line.startswith("event: ")] or ["none"]
            return ("ok", "") if name == "result" else ("lost", f"the events end with {name}: {last[:300]}")
        try:
            SegmentResult.model_validate_json(text)
        except ValidationError:
            return "lost", f"no result: {text[:200]}"
        return "ok", ""
    try:
        problem = Problem.from_body(response.json(), retry_after=None)
    except ValueError:
        problem = None
    if response.status_code == 503 and problem is not None and response.headers.get("retry-after", "").isdigit():
        return "shed", ""
    return "lost", f"{response.status_code}: {response.text[:200]}"


def under_load(url: str, clients: int, work: Callable[[], None]) -> list[Outcome]:
    """`work` while so many clients ask one question after the other; every answer they had, the last ones too."""
    return asyncio.run(_under_load(url, clients, work))


async def _under_load(url: str, clients: int, work: Callable[[], None]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    over = asyncio.Event()

    async def client(first: int) -> None:
        number = first
        while not over.is_set():
            outcomes.append(await ask(http, number))
            number += clients
            if outcomes[-1].kind == "shed":
                await asyncio.sleep(0.2)  # a caller who is told to wait does, if not as long

    async with httpx2.AsyncClient(base_url=url, timeout=ASKS_WITHIN_S) as http:
        asking = [asyncio.create_task(client(number)) for number in range(clients)]
        try:
            await asyncio.to_thread(work)
        finally:
            over.set()
        await asyncio.gather(*asking)
    return outcomes


def restarts(up: Fleet, rounds: int) -> Callable[[], None]:
    """Each process after the other, so many times round."""

    def work() -> None:
        for _ in range(rounds):
            for instance in (*up.gateways, *up.perceptions):
                instance.restart()

    return work


def row(name: str, times: int, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """Of the table."""
    counts = Counter(outcome.kind for outcome in outcomes)
    answered = [outcome.seconds for outcome in outcomes if outcome.kind == "ok"]
    p50, p95 = np.percentile(answered, [50, 95])
    told = (times, len(outcomes), counts["ok"], counts["shed"], counts["lost"])
    return (name, *map(str, told), f"{p50:.2f} s", f"{p95:.2f} s")


@contextmanager
def whole_fleet() -> Iterator[Fleet]:
    """With real perceptions, semantics and reasoner, each in a process of its own."""
    apps = {service: f"services.{service}.app:create" for service in ("perception", "semantics", "reasoner")}
    preload("gateway.app", "gateway.store.redis", *(app.partition(":")[0] for app in apps.values()))
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        engine = running.enter_context(openai_server(Says(answers)))
        behind = []
        for service in ("semantics", "reasoner"):
            settings = {"ENGINE_URL": engine.url, "ENGINE_MODEL": "scripted", "LOG_LEVEL": "warning"}
            environment = {f"{service.upper()}_{name}": value for name, value in settings.items()}
            behind.append(Instance(service, apps[service], environment, folder))
            running.callback(behind[-1].kill)
            behind[-1].start()
        for instance in behind:
            instance.wait()
        yield running.enter_context(fleet(apps["perception"], *(instance.url for instance in behind)))


def main(
    rounds: Annotated[int, typer.Option(help="Times that every process is restarted.")] = 5,
    clients: Annotated[int, typer.Option(help="Questions under way at once.")] = 4,
    calm_s: Annotated[float, typer.Option(help="Seconds of the row without restarts.")] = 20.0,
) -> None:
    """Print one table; exit 1 where a request was lost."""
    console = Console(width=140)
    table = Table("under way", "restarts", "requests", "ok", "shed", "lost", "p50", "p95", box=box.MARKDOWN)
    with whole_fleet() as up:
        calm = under_load(up.url, clients, lambda: time.sleep(calm_s))
        rolling = under_load(up.url, clients, restarts(up, rounds))
    table.add_row(*row("nothing", 0, calm))
    table.add_row(*row(f"each of 2 gateways and 2 perceptions, {rounds} times", 4 * rounds, rolling))
    console.print(f"{clients} clients, {SIDE}x{SIDE} pixels, {machine()}", highlight=False)
    console.print(table)
    lost = [outcome.detail for outcome in (*calm, *rolling) if outcome.kind == "lost"]
    for detail, count in Counter(lost).most_common(10):
        console.print(f"lost, {count} times: {detail}", highlight=False, markup=False)
    raise typer.Exit(1 if lost else 0)


if __name__ == "__main__":
    typer.run(main)
