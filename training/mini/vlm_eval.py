"""Held-out figures of dtwin-mini-vlm: `python -m training.mini.vlm_eval`. Answers are made as served, many at once."""

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from dtwinseger import prompts
from dtwinseger.prompts import views
from training.mini import vlm_answers as answers
from training.mini.asked import ask
from training.mini.course import best_device
from training.mini.rendering import FIRST_SEED, Proposer, frame
from training.mini.sam_masks import proposer
from training.mini.scene_store import QUERIES, VIEWS
from training.mini.shown import RECORD, Mask, Truth, numbered, perceived, record_of
from training.mini.vlm_model import SIDE, load
from training.scenes import render_scene
from training.scenes.vocabulary import COLORS, KINDS, held_out

TOGETHER = 64  # questions of one length

Messages = list[prompts.Message]
Tell = Callable[[Messages], str]


@dataclass(frozen=True)
class Question:
    """What is asked, the right answer, and the figures that it counts for."""

    messages: Messages
    truth: dict[str, Any]
    names: tuple[str, ...]


def questions(seed: int, propose: Proposer | None) -> Iterator[Question]:
    """Of the scene of a held-out seed: each object by its exact mask, VIEWS masks as perception gives them, queries."""
    rng = np.random.default_rng((seed, 1))
    truth = numbered(render_scene(seed, *frame(rng)))
    seen, unseen = (
        ask(truth.scene, random.Random(seed), QUERIES, held_out=phrasing)  # noqa: S311
        for phrasing in (False, True)
    )
    objects, parts = (seen[(seen["granularity"] == answers.PART) == which] for which in (False, True))
    exact = [one.mask for one in truth.scene.objects]
    masks = propose(rng, truth)[:VIEWS] if propose else perceived(rng, truth.scene, VIEWS)
    for k, mask in enumerate(exact):
        query = objects[int(rng.integers(len(objects)))] if k % 6 else None
        yield _described(truth, mask, k + 1, query, "exact")
    for k, mask in enumerate(masks):
        yield _described(truth, mask, k + 1, objects[int(rng.integers(len(objects)))], "perceived")
        yield _described(truth, mask, k + 1, parts[int(rng.integers(len(parts)))], "perceived, parts asked for")
    whole = views.png(views.scaled(truth.scene.image, SIDE))
    for phrasing, queries in (("seen", seen), ("held-out", unseen)):
        for query in queries[:8]:
            names = f"granularity, {phrasing} phrasings"
            yield Question(prompts.granularity(_text(query), whole), answers.granularity(query), (names,))


def local(model: LlavaForConditionalGeneration, processor: LlavaProcessor) -> Tell:
    """Answers by the model in this process, the way `transformers serve` does it."""
    return lambda messages: told(model, processor, [messages])[0]


def told(model: LlavaForConditionalGeneration, processor: LlavaProcessor, asked: Sequence[Messages]) -> list[str]:
    """Answers to all of `asked`; those of one length are made together, so that nothing is padded."""
    inputs = [
        processor.apply_chat_template(
            as_served(messages), add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )
        for messages in asked
    ]
    alike: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, one in enumerate(inputs):
        alike[one["input_ids"].shape[1], len(one["pixel_values"])].append(number)
    texts = [""] * len(inputs)
    for (length, _), numbers in alike.items():
        for start in range(0, len(numbers), TOGETHER):
            part = numbers[start : start + TOGETHER]
            together = {
                name: torch.cat([inputs[i][name] for i in part]).to(model.device)
                for name in ("input_ids", "attention_mask", "pixel_values")
            }
            with torch.inference_mode():
                out = model.generate(**together, max_new_tokens=100)
            for i, ids in zip(part, out[:, length:], strict=True):
                texts[i] = str(processor.decode(ids, skip_special_tokens=True))
    return texts


def evaluate(
    tell: Callable[[list[Messages]], list[str]], seeds: Sequence[int], propose: Proposer | None
) -> dict[str, list[bool]]:
    """Which answers are right, by figure. A description is right where sentence, category and attributes all are;
    relevance counts apart.
    """
    right: dict[str, list[bool]] = defaultdict(list)
    for seed in track(seeds, "scenes", transient=True):
        asked = list(questions(seed, propose))
        for question, text in zip(asked, tell([question.messages for question in asked]), strict=True):
            said = _read(text)
            compared = [name for name in question.truth if name != "relevance"]
            alike = all(said.get(name) == question.truth[name] for name in compared)
            for name in question.names:
                right[name].append(alike)
            if "relevance" in question.truth:
                first = question.names[0]
                right[f"{first}: category"].append(said.get("category") == question.truth["category"])
                right[f"{first}: relevance"].append(said.get("relevance") == question.truth["relevance"])
    return right


def _described(truth: Truth, mask: Mask, index: int, query: Any | None, case: str) -> Question:
    scene = truth.scene
    marked = views.png(views.marked(views.scaled(scene.image, SIDE), mask, index, SIDE))
    crop = views.png(views.crop(scene.image, mask, SIDE))
    record = np.array([record_of(truth, mask)], RECORD)[0]
    said = answers.semantics(record, query)
    of = "ground" if record["kind"] < 0 else "object" if said.attributes else "part"
    names: tuple[str, ...] = (f"{case}: {of}",)
    if record["kind"] >= 0 and held_out(list(COLORS)[record["color"]], list(KINDS)[record["kind"]]):
        names += (f"{case}: {of} of a held-out color and kind",)
    text = None if query is None else _text(query)
    return Question(prompts.semantics(text, index, marked, crop), said.model_dump(mode="json"), names)


def _text(query: Any) -> str:
    return str(query["text"].decode())


def _read(text: str) -> dict[str, object]:
    """The answer; empty where it is no JSON object."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def as_served(messages: Messages) -> Messages:
    """The protocol's messages as the server hands them to the processor."""
    served = []
    for message in messages:
        content = message["content"]
        parts: list[Any] = [{"type": "text", "text": content}] if isinstance(content, str) else content
        images = [{"type": "image", "url": p["image_url"]["url"]} if p["type"] == "image_url" else p for p in parts]
        served.append({"role": message["role"], "content": images})
    return served


def table_of(right: dict[str, list[bool]], title: str) -> Table:
    """Shares right, with 95 % intervals (Wald)."""
    table = Table("", "share right", "95 %", "of", title=title, box=box.MARKDOWN)
    for name, hits in sorted(right.items()):
        share = float(np.mean(hits))
        interval = 1.96 * (share * (1 - share) / len(hits)) ** 0.5
        table.add_row(name, f"{share:.3f}", f"± {interval:.3f}", str(len(hits)))
    return table


def main(
    model: Annotated[Path, typer.Option(help="Folder of the model.")] = Path("models/dtwin-mini-vlm"),
    scenes: Annotated[int, typer.Option(min=1, help="Held-out ones.")] = 100,
    first_seed: Annotated[int, typer.Option(min=0, help=f"Seeds below {FIRST_SEED:,} are held out.")] = 0,
    sam: Annotated[
        Path | None, typer.Option(help="Folder of a SAM, whose masks are shown, not perturbed ones.")
    ] = None,
    threads: int = 1,
) -> None:
    """Print shares of right answers on held-out scenes."""
    if first_seed + scenes > FIRST_SEED:
        raise typer.BadParameter(f"scenes of seeds from {FIRST_SEED:,} on are trained on: take fewer, or a lower seed")
    torch.set_num_threads(threads)
    device = best_device()
    vlm, processor = load(model)
    vlm.to(device)
    right = evaluate(
        lambda asked: told(vlm, processor, asked),
        range(first_seed, first_seed + scenes),
        proposer(sam) if sam else None,
    )
    Console(width=120).print(table_of(right, f"{model} on {device.type}, {scenes} scenes"))


if __name__ == "__main__":
    typer.run(main)
