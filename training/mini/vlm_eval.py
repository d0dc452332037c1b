"""Held-out figures of dtwin-mini-vlm: `python -m training.mini.vlm_eval`. Answers are made as served."""

import argparse
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from dtwinseger import prompts
from dtwinseger.prompts import views
from training.mini import vlm_answers as answers
from training.mini.vlm_data import FIRST_SEED, FRAMES, RECORD, Asked, Shown, ask, perceived, record_of
from training.mini.vlm_model import SIDE, load
from training.scenes import Scene, render_scene

Tell = Callable[[list[prompts.Message]], str]


def local(model: LlavaForConditionalGeneration, processor: LlavaProcessor) -> Tell:
    """Answers by the model in this process, the way `transformers serve` does it."""

    def tell(messages: list[prompts.Message]) -> str:
        inputs = processor.apply_chat_template(
            as_served(messages), add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )
        with torch.inference_mode():
            out = model.generate(**inputs, max_new_tokens=100)
        return str(processor.decode(out[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))

    return tell


def evaluate(tell: Tell, scenes: int) -> dict[str, float]:
    """Shares of right answers on the scenes of the seeds 0..scenes - 1, and seconds a description.

    `exact` is on the objects' own masks, `perceived` on perturbed masks of objects, parts and backgrounds. A
    description is right where its sentence, category and attributes are; relevance counts apart.
    """
    right: dict[str, list[bool]] = defaultdict(list)
    seconds: list[float] = []
    for seed in range(scenes):
        rng = np.random.default_rng((seed, 1))
        width, height = FRAMES[int(rng.integers(len(FRAMES)))]
        scene = render_scene(seed, width, height)
        queries = ask(scene, random.Random(seed))  # noqa: S311
        masks = [("exact", Shown(found.mask, found)) for found in scene.objects]
        masks += [("perceived", shown) for shown in perceived(rng, scene)]
        for index, (case, shown) in enumerate(masks, start=1):
            query = None if index % 6 == 0 else queries[int(rng.integers(len(queries)))]
            if case == "exact" and query and query.granularity == "part":
                query = None  # an exact mask is one of a whole object; parts are asked for among the perceived ones
            began = time.perf_counter()
            said = _described(tell, scene, shown, index, query)
            seconds.append(time.perf_counter() - began)
            record = np.array([record_of(seed, scene, shown)], RECORD)[0]
            truth = answers.semantics(record, query).model_dump(mode="json")
            alike = all(said.get(name) == truth[name] for name in ("semantic", "category", "attributes"))
            right[f"{case}.semantics"].append(alike)
            right[f"{case}.relevance"].append(said.get("relevance") == truth["relevance"])
            if case == "perceived":
                of = "background" if shown.found is None else "object" if truth["attributes"] else "part"
                right[f"perceived.{of}"].append(alike)
        whole = views.png(views.scaled(scene.image, SIDE))
        for query in queries[:6]:
            said = _read(tell(prompts.granularity(query.text, whole)))
            right["granularity"].append(said == answers.granularity(query))
    shares = {name: round(float(np.mean(hits)), 4) for name, hits in sorted(right.items())}
    counts = {f"{name}.n": len(hits) for name, hits in sorted(right.items())}
    return shares | counts | {"seconds": round(float(np.median(seconds)), 3)}


def _described(tell: Tell, scene: Scene, shown: Shown, index: int, query: Asked | None) -> dict[str, object]:
    marked = views.png(views.marked(views.scaled(scene.image, SIDE), shown.mask, index, SIDE))
    crop = views.png(views.crop(scene.image, shown.mask, SIDE))
    return _read(tell(prompts.semantics(query.text if query else None, index, marked, crop)))


def _read(text: str) -> dict[str, object]:
    """The answer; empty where it is no JSON object."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def as_served(messages: list[prompts.Message]) -> list[prompts.Message]:
    """The protocol's messages as the server hands them to the processor."""
    served = []
    for message in messages:
        content = message["content"]
        parts: list[Any] = [{"type": "text", "text": content}] if isinstance(content, str) else content
        images = [{"type": "image", "url": p["image_url"]["url"]} if p["type"] == "image_url" else p for p in parts]
        served.append({"role": message["role"], "content": images})
    return served


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/dtwin-mini-vlm"))
    parser.add_argument("--scenes", type=int, default=200, help=f"held-out ones, at most {FIRST_SEED}")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(json.dumps(evaluate(local(*load(options.model)), min(options.scenes, FIRST_SEED)), indent=1))


if __name__ == "__main__":
    main()
