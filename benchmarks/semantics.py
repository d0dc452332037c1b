"""What do descriptions cost in time and calls, and what becomes of bad answers? The service, and an engine double.

`python -m benchmarks.semantics --help`
"""

import asyncio
import io
import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Annotated

import httpx2
import numpy as np
import openai
import typer
from PIL import Image
from pydantic import ValidationError
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.malformed import replies
from benchmarks.scripted import Engine, engine, service
from benchmarks.target import machine
from dtwinseger import api
from dtwinseger.problems import ProblemDetails
from dtwinseger.twin import Mask
from tests.doubles.openai_server import Hangs, Limit, Says, rate, share, window
from training.scenes import render_scene

MASKS = 40
LATENCY_S = 0.2
CAP = 8  # SEMANTICS_ENGINE_MAX_IN_FLIGHT's default
IDEAL_S = MASKS / CAP * LATENCY_S
SIZE = (1024, 768)  # width, height
GOOD = Says('{"semantic":"a red mug","category":"mug","attributes":["red"],"relevance":0.9}')
LIMITS: dict[str, Callable[[], Limit]] = {
    "30 calls a second": partial(rate, 30.0, CAP),
    "0.5 s of nothing but 429": partial(window, 0.3, 0.8),
    "each call by a throw of dice, 30 %": partial(share, 0.3, 0.2),
}
TYPED = ("upstream_invalid", "upstream_unavailable")
MALFORMED_MASKS = 200  # a request's, as many as it may have
TINY = (96, 64)  # width, height: the answers count here, not the pictures

Rows = Iterator[tuple[str, str, str]]  # figure, measured, wanted


@dataclass(frozen=True)
class Job:
    """An image, PNG, and its masks."""

    png: bytes
    masks: tuple[api.DescribedMask, ...]


@dataclass(frozen=True)
class Told:
    """What a request was answered. `faults` are what should never be."""

    described: int
    errors: Counter[str]  # problem codes
    faults: Counter[str]
    seconds: float


def picture(masks: int) -> Job:
    """A rendered scene, with masks of objects and parts from as many scenes as it takes."""
    found = (
        mask
        for seed in itertools.count()
        for thing in render_scene(seed, *SIZE).objects
        for mask in (thing.mask, *(part.mask for part in thing.parts))
    )
    described = (
        api.DescribedMask(index=i, mask=Mask.encode(m)) for i, m in enumerate(itertools.islice(found, masks), 1)
    )
    return Job(_png(render_scene(0, *SIZE).image), tuple(described))


def tiny() -> Job:
    """A small gray image and many masks."""
    width, height = TINY
    masks = []
    for index in range(1, MALFORMED_MASKS + 1):
        mask = np.zeros((height, width), dtype=np.bool_)
        y, x = divmod(index, 20)
        mask[5 * y : 5 * y + 4, 4 * x : 4 * x + 3] = True
        masks.append(api.DescribedMask(index=index, mask=Mask.encode(mask)))
    return Job(_png(np.full((height, width, 3), 128, dtype=np.uint8)), tuple(masks))


def _png(pixels: np.typing.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def form(job: Job, options: api.SemanticsOptions) -> dict[str, object]:
    """A request's body, as the client library takes it."""
    asked = api.SemanticsRequest(query="the mug", masks=job.masks, options=options)
    return {"data": {"request": asked.model_dump_json()}, "files": {"image": ("image", job.png, "image/png")}}


def ask(url: str, job: Job, options: api.SemanticsOptions = api.SemanticsOptions()) -> Told:
    """Have the masks of `job` described."""
    body = form(job, options)
    started = time.perf_counter()
    response = httpx2.post(f"{url}/v1/semantics", timeout=180, **body)  # type: ignore[arg-type]
    return _told(response, {item.index for item in job.masks}, time.perf_counter() - started)


def _told(response: httpx2.Response, asked: set[int], seconds: float) -> Told:
    """Read the answer without trust: by the contract alone, and by what was asked."""
    if not response.is_success:
        code = ProblemDetails.model_validate_json(response.content).code
        return Told(0, Counter([code]), Counter([] if code in TYPED else [f"{response.status_code} {code}"]), seconds)
    *lines, end = response.text.splitlines()
    described, errors, faults = 0, Counter[str](), Counter[str]()
    for text in lines:
        try:
            line = api.SemanticsLine.model_validate_json(text)
        except ValidationError:
            faults["a line breaks the contract"] += 1
            continue
        if line.index not in asked:
            faults["a mask twice, or not asked about"] += 1
        asked.discard(line.index)
        if line.error:
            errors[line.error.code] += 1
            faults[f"line: {line.error.code}"] += line.error.code not in TYPED
        described += line.semantics is not None
    faults["a mask without a line"] += len(asked)
    faults["no closing line"] += json.loads(end).get("kind") != "end"
    return Told(described, errors, +faults, seconds)


# --- the figures ---


def paced(repeats: int) -> Rows:
    """All masks as fast as the cap lets them."""
    job = picture(MASKS)
    with (
        engine(GOOD, latency_s=LATENCY_S) as double,
        service(double.url, SEMANTICS_ENGINE_MAX_IN_FLIGHT=str(CAP)) as url,
    ):
        first = ask(url, job).seconds
        seconds = [ask(url, job).seconds for _ in range(repeats)]
        at_once = double.seen().most_at_once
    name = f"{MASKS} masks, {LATENCY_S * 1000:.0f} ms a call, cap {CAP}"
    wanted = f"at most {1.3 * IDEAL_S:.1f} s, 1.3 × ideal"
    yield name, f"{median(seconds):.2f} s, slowest {max(seconds):.2f} s, first request {first:.2f} s", wanted
    yield "calls at once, most", str(at_once), f"at most {CAP}"


def limited(name: str, limit: Callable[[], Limit], masks: int, repeats: int) -> Rows:
    """An engine that answers some calls 429: a naive client, then ours. Of the repeats the one with the most calls."""
    with engine(GOOD, latency_s=LATENCY_S, limit=limit) as double:
        seconds = asyncio.run(_naive(double.url, masks))
        seen = double.seen()
    naive = f"{seen.limited / seen.calls:.0%} of {seen.calls} calls, {seconds:.1f} s"
    job, runs = picture(masks), []
    for _ in range(repeats):
        with engine(GOOD, latency_s=LATENCY_S, limit=limit) as double, service(double.url) as url:
            told = ask(url, job)
            runs.append((double.seen().calls / masks - 1, told.described, told.seconds, told.errors))
    extra, described, seconds, errors = max(runs, key=lambda run: run[0])
    lost = f" ({', '.join(f'{count} {code}' for code, count in errors.items())})" if errors else ""
    yield f"429: {name}, {masks} masks: naive client", f"429 for {naive}", "30 %, to be comparable"
    yield "  ours: extra calls", f"{extra:.0%}", "at most 20 %"
    yield "  ours: masks described", f"{described} of {masks}{lost}", f"{masks}"
    yield "  ours: wall time", f"{seconds:.1f} s", ""


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
            with engine(*script, latency_s=0.01) as double, service(double.url) as url:
                seconds.append(asyncio.run(_leaving(double, url, job, answered)))
        yield f"the caller leaves {name}: calls in flight gone", f"{max(seconds) * 1000:.0f} ms at most", "at most 1 s"


async def _leaving(double: Engine, url: str, job: Job, lines: int) -> float:
    """Seconds from leaving, after so many lines and with CAP calls at work, until the engine sees none."""
    read = asyncio.Event()

    async def reads() -> None:
        async with (
            httpx2.AsyncClient(timeout=60) as client,
            client.stream("POST", f"{url}/v1/semantics", **form(job, api.SemanticsOptions())) as response,  # type: ignore[arg-type]
        ):
            told = 0
            async for _ in response.aiter_lines():
                told += 1
                if told == lines:
                    read.set()

    caller = asyncio.create_task(reads())
    if lines:
        await read.wait()
    while double.seen().at_once < CAP:
        await asyncio.sleep(0.01)
    started = time.perf_counter()
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    while double.seen().at_once:
        await asyncio.sleep(0.001)
    return time.perf_counter() - started


def spoiled(count: int, seed: int) -> Rows:
    """`count` malformed answers: to granularity, to one mask a call, to four."""
    job = tiny()
    one, four = api.SemanticsOptions(), api.SemanticsOptions(batch=4)
    kinds: list[Callable[[str], Told]] = [partial(ask, job=job, options=one), partial(ask, job=job, options=four)]
    kinds += [_granularity] * 50
    told: list[Told] = []
    started = time.perf_counter()
    with (
        engine(*replies(count, seed)) as double,
        service(double.url, SEMANTICS_VIEW_SIDE="32") as url,
        ThreadPoolExecutor(4) as pool,
    ):
        while double.seen().calls < count:
            told += pool.map(lambda kind: kind(url), kinds)
        calls = double.seen().calls
    seconds = time.perf_counter() - started
    errors = sum((one.errors for one in told), Counter[str]())
    faults = sum((one.faults for one in told), Counter[str]())
    lines = ", ".join(f"{count:,} {code}" for code, count in errors.most_common())
    yield "malformed answers", f"{calls:,} in {len(told):,} requests, {seconds:.0f} s", f"{count:,}"
    yield "  typed errors", lines or "none", "one for each mask or request"
    yield "  5xx of ours, broken streams", ", ".join(f"{n} {fault}" for fault, n in faults.items()) or "0", "0"
    yield "  invalid objects that got through", str(sum(one.described for one in told)), "0"


def _granularity(url: str) -> Told:
    started = time.perf_counter()
    files = {"image": ("image", tiny().png, "image/png")}
    response = httpx2.post(f"{url}/v1/granularity", data={"request": '{"query":"the mug"}'}, files=files, timeout=180)
    if response.is_success:
        return Told(1, Counter(), Counter(), 0.0)
    return _told(response, set(), time.perf_counter() - started)


def main(
    repeats: Annotated[int, typer.Option(help="Runs of each timed figure.")] = 5,
    malformed: Annotated[int, typer.Option(help="Answers.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the malformed answers.")] = 0,
) -> None:
    """Print one table."""
    console = Console(width=140)
    table = Table("figure", "measured", "wanted", box=box.MARKDOWN)
    figures = [
        paced(repeats),
        *(limited(name, limit, MASKS, repeats) for name, limit in LIMITS.items()),
        limited(next(iter(LIMITS)), next(iter(LIMITS.values())), 200, 1),
        left(repeats),
        spoiled(malformed, seed),
    ]
    for rows in figures:
        for row in rows:
            console.print(*row, sep=" | ", style="dim")
            table.add_row(*row)
    console.print(f"{SIZE[0]}x{SIZE[1]} pixels, {machine()}", highlight=False)
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
