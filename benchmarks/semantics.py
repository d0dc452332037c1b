"""What do descriptions cost in time and calls, and what becomes of bad answers? The service, and an engine double.

`python -m benchmarks.semantics --help`
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from statistics import median
from typing import Annotated

import httpx2
import openai
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.descriptions import DEFAULT, SIZE, Job, Told, ask, form, picture, read_answer, tiny
from benchmarks.malformed import replies
from benchmarks.scripted import Engine, Seen, engine, service
from benchmarks.target import machine
from dtwinseger import api
from tests.doubles.openai_server import Hangs, Limit, Says, rate, share, window

MASKS = 40
LATENCY_S = 0.2
CAP = 8  # SEMANTICS_ENGINE_MAX_IN_FLIGHT's default
IDEAL_S = MASKS / CAP * LATENCY_S
SIDES = (256, 768)  # of the views: with the first the engine is what takes time; the second is the default
GOOD = Says('{"semantic":"a red mug","category":"mug","attributes":["red"],"relevance":0.9}')
LONGEST_S = 180.0  # of a request


def by_rate(seed: int) -> Limit:
    """With which a naive client sees about 30 % of its calls for MASKS answered 429."""
    return rate(33.0, CAP)


def by_window(seed: int) -> Limit:
    """As where a minute's quota is used up."""
    return window(0.3, 0.8)


def by_dice(seed: int) -> Limit:
    """No limit of a rate: no engine is known to do this, but the figure is often stated so."""
    return share(0.3, LATENCY_S, seed)


LIMITS: dict[str, Callable[[int], Limit]] = {
    "a limit of 33 calls a second": by_rate,
    "half a second of nothing else": by_window,
    "dice, 30 % of calls": by_dice,
}
Rows = Iterator[tuple[str, str, str]]  # figure, measured, wanted


@contextmanager
def asked_of(double: Engine, side: int) -> Iterator[httpx2.Client]:
    """A client of a service in front of `double`, with views of `side` pixels."""
    with (
        service("semantics", double.url, SEMANTICS_VIEW_SIDE=str(side)) as url,
        httpx2.Client(base_url=url, timeout=LONGEST_S) as http,
    ):
        yield http


# --- the figures ---


def paced(repeats: int, side: int) -> Rows:
    """All masks as fast as the cap lets them."""
    job = picture(MASKS)
    with engine(GOOD, latency_s=LATENCY_S) as double, asked_of(double, side) as http:
        first = ask(http, job).seconds
        seconds = [ask(http, job).seconds for _ in range(repeats)]
        at_once = double.seen().most_at_once
    wanted = f"at most {1.3 * IDEAL_S:.1f} s, 1.3 × ideal"
    yield (
        f"{MASKS} masks, {LATENCY_S * 1000:.0f} ms a call, cap {CAP}, pictures of {side} px",
        f"{median(seconds):.2f} s, slowest {max(seconds):.2f} s, first request {first:.2f} s",
        wanted,
    )
    yield "  calls at once, most", str(at_once), f"at most {CAP}"


def limited(name: str, limit: Callable[[int], Limit], masks: int, repeats: int) -> Rows:
    """An engine that answers some calls 429: a naive client, then ours, each repeat with another seed."""
    job = picture(masks)
    naive, ours, seconds, told = [], [], [], []
    for seed in range(repeats):
        with engine(GOOD, latency_s=LATENCY_S, limit=partial(limit, seed)) as double:
            seconds.append(asyncio.run(_naive(double.url, masks)))
            naive.append(double.seen())
        with (
            engine(GOOD, latency_s=LATENCY_S, limit=partial(limit, seed)) as double,
            asked_of(double, SIDES[0]) as http,
        ):
            told.append(ask(http, job))
            ours.append(double.seen())
    extra = [seen.calls / masks - 1 for seen in ours]
    described = [one.described for one in told]
    errors = sum((one.errors for one in told), Counter[str]())
    lost = f"; in all {', '.join(f'{count} {code}' for code, count in errors.items())}" if errors else ""
    yield f"429 by {name}, {masks} masks: to a naive client", _refused(naive, seconds), "about 30 %"
    yield "  to ours", _refused(ours, [one.seconds for one in told]), ""
    yield "  ours: extra calls", f"{median(extra):.0%}, most {max(extra):.0%}", "at most 20 %"
    yield "  ours: masks described", f"{median(described):.0f}, fewest {min(described)}{lost}", f"{masks}"


def _refused(seen: Sequence[Seen], seconds: Sequence[float]) -> str:
    refused, calls = sum(one.limited for one in seen), sum(one.calls for one in seen)
    return f"{refused} of {calls} calls ({refused / calls:.0%}), {median(seconds):.1f} s, slowest {max(seconds):.1f} s"


async def _naive(url: str, masks: int) -> float:
    """Seconds of a client that tries each call again until it is answered, as long as the engine asks to wait."""
    slots = asyncio.Semaphore(CAP)
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=1_000) as client:

        async def call() -> None:
            async with slots:
                await client.chat.completions.create(model="scripted", messages=[{"role": "user", "content": "Hello"}])

        started = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(masks):
                tasks.create_task(call())
        return time.perf_counter() - started


def left(repeats: int) -> Rows:
    """The caller leaves while the engine is at work: in the middle of the answer, and before its first line."""
    job = picture(MASKS)
    for name, answered in (("in the middle", MASKS // 2), ("before the first line", 0)):
        seconds = []
        for _ in range(repeats):
            script = [GOOD] * answered + [Hangs()]
            with engine(*script, latency_s=0.01) as double, service("semantics", double.url) as url:
                seconds.append(asyncio.run(_leaving(double, url, job, answered)))
        yield f"the caller leaves {name}: calls in flight gone", f"{max(seconds) * 1000:.0f} ms at most", "at most 1 s"


async def _leaving(double: Engine, url: str, job: Job, lines: int) -> float:
    """Seconds from leaving, after so many lines and with CAP calls at work, until the engine sees none."""
    read = asyncio.Event()

    async def reads() -> None:
        async with (
            httpx2.AsyncClient(timeout=60) as client,
            client.stream("POST", f"{url}/v1/semantics", **form(job, DEFAULT)) as response,  # type: ignore[arg-type]
        ):
            told = 0
            async for _ in response.aiter_lines():
                told += 1
                if told == lines:
                    read.set()

    caller = asyncio.create_task(reads())
    if lines:
        await read.wait()
    await asyncio.to_thread(_until, lambda: double.seen().at_once == CAP)
    started = time.perf_counter()
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    await asyncio.to_thread(_until, lambda: double.seen().at_once == 0)
    return time.perf_counter() - started


def _until(true: Callable[[], bool]) -> None:
    while not true():
        time.sleep(0.001)


def spoiled(count: int, seed: int) -> Rows:
    """`count` malformed answers: to granularity, to one mask a call, to four."""
    job = tiny()
    kinds: list[Callable[[httpx2.Client], Told]] = [partial(ask, job=job)]
    kinds += [partial(ask, job=job, options=api.SemanticsOptions(batch=4))]
    kinds += [partial(_granularity, png=job.png)] * 50
    told: list[Told] = []
    started = time.perf_counter()
    with engine(*replies(count, seed)) as double, asked_of(double, 32) as http, ThreadPoolExecutor(4) as pool:
        while double.seen().calls < count:
            told += pool.map(lambda kind: kind(http), kinds)
        calls = double.seen().calls
    seconds = time.perf_counter() - started
    errors = sum((one.errors for one in told), Counter[str]())
    faults = sum((one.faults for one in told), Counter[str]())
    lines = ", ".join(f"{count:,} {code}" for code, count in errors.most_common())
    yield "malformed answers", f"{calls:,} in {len(told):,} requests, {seconds:.0f} s", f"{count:,}"
    yield "  typed errors", lines or "none", "one for each mask or request"
    yield "  5xx of ours, broken streams", ", ".join(f"{n} {fault}" for fault, n in faults.items()) or "0", "0"
    yield "  invalid objects that got through", str(sum(one.described for one in told)), "0"


def _granularity(http: httpx2.Client, png: bytes) -> Told:
    started = time.perf_counter()
    files = {"image": ("image", png, "image/png")}
    response = http.post("/v1/granularity", data={"request": '{"query":"the mug"}'}, files=files)
    if response.is_success:
        return Told(1, Counter(), Counter(), 0.0)
    return read_answer(response, set(), time.perf_counter() - started)


def main(
    repeats: Annotated[int, typer.Option(help="Runs of each timed figure.")] = 5,
    malformed: Annotated[int, typer.Option(help="Answers.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the malformed answers.")] = 0,
) -> None:
    """Print one table."""
    console = Console(width=160)
    table = Table("figure", "measured", "wanted", box=box.MARKDOWN)
    figures = [
        *(paced(repeats, side) for side in SIDES),
        *(limited(name, limit, MASKS, repeats) for name, limit in LIMITS.items()),
        limited("a limit of 33 calls a second", by_rate, 200, 1),
        left(repeats),
        spoiled(malformed, seed),
    ]
    for rows in figures:
        for row in rows:
            console.print(*row, sep=" | ", style="dim")  # it takes minutes
            table.add_row(*row)
    console.print(f"{SIZE[0]}x{SIZE[1]} pixels, {machine()}", highlight=False)
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
