"""The commands that build: `python -m training.segdt build scenes`, `perceived`, `reasonseg`."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console

from dtwinseger import __version__, api
from dtwinseger.evaluation.datasets import load
from dtwinseger.evaluation.samples import DatasetError
from dtwinseger.problems import Problem, in_words
from dtwinseger.service.engine import Engine
from training.segdt import draft, perceived, reasonseg, scenes
from training.segdt.build import Make, as_table, build
from training.segdt.output import BuildError, Made, Output
from training.segdt.perceive import Services
from training.segdt.world import HELD_OUT, SMALLEST, true_scene

app = typer.Typer(
    help="Write a folder: segdt.jsonl and images. The same command goes on where it was interrupted.",
    no_args_is_help=True,
)

Out = Annotated[Path, typer.Argument(help="Folder to write; made where it is not there.")]
Split = Annotated[str, typer.Option(help="Name of the split that is written.")]
Count = Annotated[int, typer.Option("--scenes", min=1, help="How many.")]
FirstSeed = Annotated[int, typer.Option(min=0, help=f"Of the first scene. Below {HELD_OUT:,} nothing is trained on.")]
Queries = Annotated[int, typer.Option(min=1, max=50, help="About a scene, at most.")]
Size = Annotated[tuple[int, int], typer.Option(help="Height and width of a scene, pixels.")]
Perception = Annotated[str, typer.Option(help="URL of the perception service.")]
Semantics = Annotated[str, typer.Option(help="URL of the semantics service.")]
Options = Annotated[str, typer.Option(help="JSON: `proposals` and `semantics` as in POST /segment.")]
Threshold = Annotated[float, typer.Option(min=0.0, max=1.0, help="IoU with the truth from which targets are found.")]
AtOnce = Annotated[int, typer.Option(min=1, help="Images at work at once.")]

DEFAULT_SIZE = (512, 512)
_CONSOLE = Console(stderr=True)


@app.command("scenes")
def build_scenes(
    out: Out,
    split: Split = "train",
    count: Count = 1000,
    first_seed: FirstSeed = HELD_OUT,
    queries: Queries = 4,
    size: Size = DEFAULT_SIZE,
) -> None:
    """From rendered scenes, with their true twins."""
    with _told():
        asked = _world_asked(scenes.GENERATOR, split, first_seed, queries, size)

        async def one(seed: int) -> Made:
            return scenes.make(true_scene(seed, size, queries), split)

        asyncio.run(_run(Output(out, asked), _by_seed(one, first_seed, count), at_once=1))


@app.command("perceived")
def build_perceived(
    out: Out,
    perception: Perception,
    semantics: Semantics,
    split: Split = "train",
    count: Count = 1000,
    first_seed: FirstSeed = HELD_OUT,
    queries: Queries = 4,
    size: Size = DEFAULT_SIZE,
    options: Options = "{}",
    threshold: Threshold = 0.5,
    at_once: AtOnce = 2,
) -> None:
    """From rendered scenes, as running services perceive them; targets by IoU with the truth."""

    async def work() -> None:
        how = _options(options)
        async with Services(perception, semantics, how) as services:
            asked = _world_asked(perceived.GENERATOR, split, first_seed, queries, size)
            asked |= await _perception_asked(services, how, threshold)
            one_twin = how.semantics.scope == "image"

            async def one(seed: int) -> Made:
                scene = await asyncio.to_thread(true_scene, seed, size, queries)
                return await perceived.make(scene, split, services, threshold, one_twin)

            await _run(Output(out, asked), _by_seed(one, first_seed, count), at_once)

    with _told():
        asyncio.run(work())


@app.command("reasonseg")
def build_reasonseg(
    out: Out,
    root: Annotated[Path, typer.Option(help="Folder of ReasonSeg, or of data in its format.")],
    perception: Perception,
    semantics: Semantics,
    split: Annotated[str, typer.Option(help="The split that is read.")] = "train",
    options: Options = "{}",
    threshold: Threshold = 0.5,
    predicted_iou: Annotated[float, typer.Option(min=0.0, max=1.0, help="Of a target, at least.")] = 0.8,
    at_once: AtOnce = 2,
) -> None:
    """From photographs with masks; paths are drafted by the LLM of SEGDT_ENGINE_URL and SEGDT_ENGINE_MODEL."""

    async def work() -> None:
        how, settings = _options(options), _draft_settings()
        samples = load("reasonseg", root, split)
        async with Services(perception, semantics, how) as services, Engine(settings.engine, "llm") as engine:
            drafter = draft.Drafter(engine)
            asked: dict[str, Any] = {"builder": reasonseg.GENERATOR, "version": __version__, "split": split}
            asked |= await _perception_asked(services, how, threshold)
            asked |= {"predicted_iou": predicted_iou, "llm": settings.engine.identity, "prompts": draft.digest()}
            units: dict[str, Make] = {
                each.sample_id: partial(reasonseg.make, each, split, services, drafter, threshold, predicted_iou)
                for each in samples
            }
            await _run(Output(out, asked), units, at_once)
            usage = drafter.usage
            _CONSOLE.print(
                f"LLM: {usage.calls:,} calls, {usage.prompt_tokens:,} + {usage.completion_tokens:,} tokens"
                + ("" if usage.cost_usd is None else f", {usage.cost_usd:.2f} USD")
            )

    with _told():
        asyncio.run(work())


async def _run(output: Output, units: Mapping[str, Make], at_once: int) -> None:
    await build(output, units, at_once, _CONSOLE)
    _CONSOLE.print(as_table(output))
    if not output.samples:
        raise BuildError("no sample was written")


def _by_seed(one: Callable[[int], Awaitable[Made]], first: int, count: int) -> dict[str, Make]:
    return {str(seed): partial(one, seed) for seed in range(first, first + count)}


def _world_asked(builder: str, split: str, first_seed: int, queries: int, size: tuple[int, int]) -> dict[str, Any]:
    """What `build.json` says. How many scenes is not in it: more may follow."""
    if split == "train" and first_seed < HELD_OUT:
        raise BuildError(f"scenes below seed {HELD_OUT:,} are held out; a train split begins there")
    if min(size) < SMALLEST:
        raise BuildError(f"a scene is at least {SMALLEST} pixels high and wide")
    return {
        "builder": builder,
        "version": __version__,
        "split": split,
        "first_seed": first_seed,
        "queries": queries,
        "size": size,
    }


async def _perception_asked(services: Services, how: api.SegmentOptions, threshold: float) -> dict[str, Any]:
    return {
        "models": await services.models(),
        "proposals": how.proposals.model_dump(mode="json"),
        "semantics": how.semantics.model_dump(mode="json"),
        "threshold": threshold,
    }


def _options(text: str) -> api.SegmentOptions:
    try:
        options = api.SegmentOptions.model_validate_json(text)
    except ValidationError as error:
        raise BuildError(f"--options: {in_words(error)}") from error
    if other := options.model_fields_set - {"proposals", "semantics"}:
        raise BuildError(f"--options: {', '.join(sorted(other))} has no place here; give proposals and semantics")
    return options


def _draft_settings() -> draft.DraftSettings:
    try:
        return draft.DraftSettings()
    except ValidationError as error:
        raise BuildError(f"the LLM that drafts is set by SEGDT_ENGINE_…: {in_words(error)}") from error


@contextmanager
def _told() -> Iterator[None]:
    """Errors that the user can mend are told in a line, with exit code 1."""
    try:
        yield
    except (BuildError, DatasetError) as error:
        _CONSOLE.print(f"[red]error[/] {error}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error
    except Problem as problem:
        _CONSOLE.print(f"[red]error[/] {problem.detail}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from problem
