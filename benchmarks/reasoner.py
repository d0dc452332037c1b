"""What does the reasoner add to its engine's time, what becomes of bad answers, and how long are its prompts?

The service and an engine double, each a process of its own, over HTTP. `python -m benchmarks.reasoner --help`
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated

import httpx2
import typer
from pydantic import ValidationError
from rich import box
from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer

from benchmarks.crowds import crowd
from benchmarks.pieces import GPT4, QWEN, pieces
from benchmarks.scripted import engine, service
from benchmarks.target import machine
from dtwinseger import api, prompts
from dtwinseger.problems import ProblemDetails
from dtwinseger.twin import Decision, Step, TwinRow, render_answer, violations
from dtwinseger.twin.budget import estimated_tokens
from dtwinseger.twin.text import RENDERINGS, Rendering
from tests.doubles.openai_server import Says
from tests.services.reasoner.malformed import PRESENT, replies

OBJECTS = 50
WARM_UP = 20  # requests before any is timed
TWINS = (10, 50, 100, 200)  # objects
QUERY = "the thing that would keep me dry"
TYPED = "upstream_invalid"
AT_ONCE = 4  # requests
LONGEST_S = 180.0  # of a request
MODEL = Path("models/dtwin-mini-llm")

Rows = Iterator[tuple[str, str, str]]  # figure, measured, wanted


def answer(rows: Sequence[TwinRow]) -> tuple[tuple[Step, ...], tuple[int, ...]]:
    """A valid path in two steps, the first of which decides on each object, and the indices."""
    indices = [row.index for row in rows]
    kept = {index: row.semantic for index, row in zip(indices, rows, strict=True) if index % 10 == 0}
    last = max(kept)
    first = [
        Decision(
            index=row.index, reasoning=f"it is {row.semantic}", keep=row.index in kept, semantic=kept.get(row.index)
        )
        for row in rows
    ]
    second = [
        Decision(index=index, reasoning="its shape", keep=index == last, semantic=said if index == last else None)
        for index, said in kept.items()
    ]
    path = (
        Step(step=1, criterion="can be held", decisions=tuple(first)),
        Step(step=2, criterion="keeps off the rain", decisions=tuple(second)),
    )
    return path, (last,)


def overhead(requests: int) -> Rows:
    """The same call through the service and put to the engine, in turn."""
    rows = crowd(OBJECTS)
    path, indices = answer(rows)
    asked = api.ReasonRequest(query=QUERY, objects=rows).model_dump_json().encode()
    call = {"model": "scripted", "messages": prompts.reasoning(QUERY, rows), "temperature": 0, "max_tokens": 4_400}
    with (
        engine(Says(render_answer(path, indices))) as double,
        service("reasoner", double.url) as url,
        httpx2.Client(timeout=LONGEST_S) as http,
    ):

        def through_the_service() -> httpx2.Response:
            return http.post(f"{url}/v1/reason", content=asked, headers={"Content-Type": "application/json"})

        def to_the_engine() -> httpx2.Response:
            return http.post(f"{double.url}/chat/completions", json=call)

        if (said := api.ReasonResponse.model_validate_json(through_the_service().content)).indices != indices:
            raise RuntimeError(f"the service answered {said.indices}, the engine {indices}")
        for _ in range(WARM_UP):
            through_the_service(), to_the_engine()
        pairs = [(_ms(through_the_service), _ms(to_the_engine)) for _ in range(requests)]
    service_ms, engine_ms = (list(column) for column in zip(*pairs, strict=True))
    added = [both - alone for both, alone in pairs]
    yield f"{OBJECTS} objects, {requests} requests one after the other: through the service", _spread(service_ms), ""
    yield "  the same call put to the engine", _spread(engine_ms), ""
    yield "  what the service adds", _spread(added), "at most 10 ms p50"


def _ms(call: Callable[[], httpx2.Response]) -> float:
    started = time.perf_counter()
    call().raise_for_status()
    return (time.perf_counter() - started) * 1000


def _spread(milliseconds: Sequence[float]) -> str:
    return f"{median(milliseconds):.1f} ms p50, {quantiles(milliseconds, n=20)[-1]:.1f} ms p95"


def spoiled(count: int, seed: int) -> Rows:
    """`count` malformed answers, each of which the service may send back once."""
    rows = [TwinRow(index=index, semantic="a thing", bbox=(0, 0, 9, 9), area_percent=1.0) for index in PRESENT]
    body = api.ReasonRequest(query="the kite", objects=tuple(rows)).model_dump(mode="json")
    outcomes: Counter[str] = Counter()
    started = time.perf_counter()
    with (
        engine(*replies(count, seed)) as double,
        service("reasoner", double.url) as url,
        httpx2.Client(base_url=url, timeout=LONGEST_S) as http,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        while double.seen().calls < count:
            outcomes.update(pool.map(lambda _: outcome(http.post("/v1/reason", json=body)), range(10 * AT_ONCE)))
        calls = double.seen().calls
    seconds = time.perf_counter() - started
    results = {name: n for name, n in outcomes.items() if name in ("a valid result", "an invalid result")}
    ours = {name: n for name, n in outcomes.items() if name not in results and name != TYPED}
    yield "malformed answers", f"{calls:,} in {outcomes.total():,} requests, {seconds:.0f} s", f"{count:,}"
    yield f"  502 {TYPED}", f"{outcomes[TYPED]:,}", "one for each request"
    yield "  results that got through", _told(results), "0"
    yield "  5xx of ours and any other error", _told(ours), "0"


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{n:,} × {name}" for name, n in counts.items()) or "0"


def outcome(response: httpx2.Response) -> str:
    """What became of a request: read without trust."""
    if response.is_success:
        try:
            said = api.ReasonResponse.model_validate_json(response.content)
        except ValidationError:
            return "an invalid result"
        return "an invalid result" if violations(said.path, said.indices, PRESENT) else "a valid result"
    try:
        code = ProblemDetails.model_validate_json(response.content).code
    except ValidationError:
        return f"{response.status_code} that is no problem"
    return code if (response.status_code, code) == (502, TYPED) else f"{response.status_code} {code}"


def lengths() -> Table:
    """The prompt's text in every rendering, and the tokens that each way of counting finds in it."""
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    counts: dict[str, Callable[[str], int]] = {
        "dtwin-mini-llm": lambda text: len(tokenizer.encode(text).ids),
        "GPT-4 and Llama 3, at least": lambda text: pieces(text, GPT4),
        "Qwen2.5, at least": lambda text: pieces(text, QWEN),
        "estimated_tokens": estimated_tokens,
    }
    table = Table("objects", "rendering", "bytes", *counts, "a token of GPT-4's", box=box.MARKDOWN)
    for count in TWINS:
        rows = crowd(count)
        for name in RENDERINGS:
            text = prompt(rows, name)
            found = [of(text) for of in counts.values()]
            size = len(text.encode())
            table.add_row(
                str(count), name, f"{size:,}", *(f"{n:,}" for n in found), f"at most {size / found[1]:.1f} bytes"
            )
    return table


def prompt(rows: Sequence[TwinRow], rendering: Rendering) -> str:
    """Instructions, twin and query, without the model's own marks between messages."""
    system, user = prompts.reasoning(QUERY, rows, rendering)
    return f"{system['content']}\n{user['content']}"


def main(
    requests: Annotated[int, typer.Option(help="Timed requests.")] = 300,
    malformed: Annotated[int, typer.Option(help="Answers.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the malformed answers.")] = 0,
) -> None:
    """Print two tables."""
    console = Console(width=160)
    table = Table("figure", "measured", "wanted", box=box.MARKDOWN)
    for rows in (overhead(requests), spoiled(malformed, seed)):
        for row in rows:
            console.print(*row, sep=" | ", style="dim")  # it takes minutes
            table.add_row(*row)
    console.print(machine(), highlight=False)
    console.print(table, lengths(), sep="\n")
    console.print(
        "Prompts: instructions, twin, query. GPT-4, Llama 3 and Qwen2.5: the pieces that their tokenizers cut a text "
        "into before they merge, which are no more than its tokens; estimated_tokens errs high.",
        highlight=False,
    )


if __name__ == "__main__":
    typer.run(main)
