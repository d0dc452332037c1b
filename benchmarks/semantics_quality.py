"""What does the bundled VLM say of true masks, under each prompting and so many masks a call? Held-out scenes.

It was taught every prompting with one mask a call; several masks are foreign to it. OWLv2 is left out: no weights of it
are bundled.
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import httpx2
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.samples import SIDE, Sample, samples
from benchmarks.target import machine
from dtwinseger import api
from dtwinseger.prompts.questions import Prompting
from dtwinseger.twin import Mask
from embedded.ports import free_ports
from embedded.stack import Stack
from training.scenes import SceneObject

BATCHES = (1, 2, 4)
LONGEST_S = 110.0  # of a request
RECOVERS_S = 30.0  # an engine that failed is left alone for a while


@dataclass(frozen=True)
class Outcome:
    """One mask: what is right in its description, or why there is none."""

    category: bool = False
    color: bool = False
    words: bool = False  # size, color and kind, in the sentence
    error: str | None = None


@dataclass(frozen=True)
class Measured:
    """All masks under one way of asking."""

    outcomes: tuple[Outcome, ...]
    groups: int  # of several masks that were asked about in one call
    usage: api.EngineUsage
    seconds: float


def describe(
    http: httpx2.Client, sample: Sample, options: api.SemanticsOptions
) -> tuple[list[Outcome], api.EngineUsage]:
    """Every object of a scene, by its true mask."""
    objects = dict(enumerate(sample.scene.objects, start=1))
    masks = tuple(api.DescribedMask(index=index, mask=Mask.encode(found.mask)) for index, found in objects.items())
    asked = api.SemanticsRequest(query=sample.query.text, masks=masks, options=options)
    files = {"image": ("scene.png", sample.png, "image/png")}
    response = http.post("/v1/semantics", data={"request": asked.model_dump_json()}, files=files)
    *lines, end = response.raise_for_status().text.splitlines()
    parsed = [api.SemanticsLine.model_validate_json(line) for line in lines]
    usage = api.SemanticsEnd.model_validate_json(end).usage
    return [_outcome(line, objects[line.index]) for line in parsed], usage


def _outcome(line: api.SemanticsLine, truth: SceneObject) -> Outcome:
    if line.error:
        return Outcome(error=line.error.detail)
    assert line.semantics  # noqa: S101 - a line has one or the other
    said = line.semantics
    return Outcome(
        category=said.category == truth.kind,
        color=truth.color in said.attributes,
        words=said.semantic == truth.semantic,
    )


def granularity(http: httpx2.Client, scenes: Iterable[Sample]) -> list[bool]:
    """Whether each scene's query is answered at the right granularity. It is asked in one way only."""
    right = []
    for sample in scenes:
        files = {"image": ("scene.png", sample.png, "image/png")}
        body = api.GranularityRequest(query=sample.query.text).model_dump_json()
        response = http.post("/v1/granularity", data={"request": body}, files=files)
        said = api.GranularityResponse.model_validate_json(response.content) if response.is_success else None
        right.append(said is not None and said.granularity == sample.query.granularity)
    return right


def measure(http: httpx2.Client, scenes: Sequence[Sample], options: api.SemanticsOptions) -> Measured:
    """All scenes, one after the other, once the engine is well."""
    _recovered(http)
    outcomes: list[Outcome] = []
    usage = api.EngineUsage()
    started = time.perf_counter()
    for sample in scenes:
        described, cost = describe(http, sample, options)
        outcomes += described
        usage += cost
    counts = [divmod(len(sample.scene.objects), options.batch) for sample in scenes]
    groups = sum(full + (rest > 1) for full, rest in counts) if options.batch > 1 else 0
    return Measured(tuple(outcomes), groups, usage, time.perf_counter() - started)


def _recovered(http: httpx2.Client) -> None:
    """Wait until the service calls its engine well, after one that failed too often."""
    ends_at = time.monotonic() + RECOVERS_S
    while not http.get("/readyz").is_success and time.monotonic() < ends_at:
        time.sleep(0.2)


def row(prompting: str, batch: int, measured: Measured) -> tuple[str, ...]:
    """Of the table. Shares are of all masks: one without a description is wrong."""
    outcomes, calls = measured.outcomes, measured.usage.calls
    failed = Counter(outcome.error for outcome in outcomes if outcome.error)
    why = f": {failed.most_common(1)[0][0]}" if failed else ""
    return (
        prompting,
        str(batch),
        *(_share([getattr(o, name) for o in outcomes]) for name in ("category", "color", "words")),
        f"{failed.total()}{why}"[:160],
        f"{calls} ({len(outcomes) + 2 * measured.groups})",
        f"{measured.usage.prompt_tokens / max(calls, 1):,.0f}",
        f"{measured.seconds / len(outcomes):.2f} s",
    )


def _share(hits: Sequence[bool]) -> str:
    return f"{sum(hits) / len(hits):.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.semantics_quality", description=__doc__)
    parser.add_argument("--scenes", type=int, default=20)
    asked = parser.parse_args()
    console = Console(width=200)
    scenes = list(samples(asked.scenes))
    masks = sum(len(sample.scene.objects) for sample in scenes)
    table = Table("prompting", "masks a call", "category", "color", "size, color, kind", box=box.MARKDOWN)
    for name in (
        "without a description",
        "calls (if no answer on several were valid)",
        "prompt tokens a call",
        "time a mask",
    ):
        table.add_column(name)
    ways = [(prompting, batch) for prompting in reversed(get_args(Prompting)) for batch in BATCHES]
    with (
        tempfile.TemporaryDirectory() as folder,
        Stack(free_ports(), run_dir=Path(folder)) as stack,
        httpx2.Client(timeout=LONGEST_S + 10, headers={api.TIMEOUT_HEADER: f"{LONGEST_S * 1000:.0f}"}) as http,
    ):
        stack.wait(lambda name, state: console.print(f"{name}: {state}", style="dim"))
        http.base_url = httpx2.URL(f"http://127.0.0.1:{stack.ports['semantics']}")
        right = granularity(http, scenes)
        for prompting, batch in track(ways, description="ways", console=console, transient=True):
            options = api.SemanticsOptions.model_validate({"prompting": prompting, "batch": batch})
            table.add_row(*row(prompting, batch, measure(http, scenes, options)))
    console.print(f"{len(scenes)} scenes of {SIDE}x{SIDE} pixels, {masks} true masks, {machine()}", highlight=False)
    console.print(table)
    console.print(
        "An answer on several masks that is invalid twice costs 2 calls; each of them is then asked about alone.",
        highlight=False,
    )
    console.print(f"granularity, which is asked in one way: {_share(right)} of {len(right)} queries", highlight=False)


if __name__ == "__main__":
    main()
