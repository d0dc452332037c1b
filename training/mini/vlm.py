"""Train dtwin-mini-vlm from scratch on rendered scenes: `python -m training.mini.vlm --help`."""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from dtwinseger import prompts
from training.mini import vlm_answers as answers
from training.mini.vlm_data import FIRST_SEED, PARTS, Views, prepare
from training.mini.vlm_model import IMAGE, PATCH, SIDE, make_model, make_processor, save
from training.scenes import COLORS, KINDS, SIZES

SCENES_PER_SHARD = 1000
GRANULARITY_SHARE = 0.15  # of the examples
NO_QUERY_SHARE = 0.15  # of the descriptions
FITTING_SHARE = 0.4  # of the descriptions, at least: the query is one that the object answers
TOKENS_PER_PICTURE = (SIDE // PATCH) ** 2


@dataclass(frozen=True)
class Options:
    """The defaults are the recipe of the bundled model; its card tells where its own run differed."""

    data: Path = Path("data/mini/vlm")  # rendered once, about 0.45 MB a scene
    output: Path = Path("models/dtwin-mini-vlm")
    shards: int = 6  # of SCENES_PER_SHARD scenes
    steps: int = 2400
    batch: int = 48
    learning_rate: float = 1e-3
    warmup: int = 200
    weight_decay: float = 0.05
    clip: float = 1.0
    seed: int = 0
    hint_weight: float = 0.3
    save_every: int = 200
    threads: int = 1


class Hints(nn.Module):
    """Linear readings of the pooled pictures, for a faster start: what the crop shows, and how large it is."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.crop = nn.Linear(width, len(KINDS) + 1 + len(COLORS) + len(PARTS) + 1)
        self.marked = nn.Linear(width, len(SIZES))

    def forward(self, features: Tensor, records: np.ndarray) -> Tensor:
        """features: [N, 2, T, C] of N records. Returns the mean cross-entropy over what there is to read."""
        pooled = features.float().mean(dim=2)  # [N, 2, C]
        kind, color, part = self.crop(pooled[:, 1]).split((len(KINDS) + 1, len(COLORS), len(PARTS) + 1), dim=1)
        size = self.marked(pooled[:, 0])
        known = torch.from_numpy(records["kind"] >= 0)
        names = sorted(PARTS)
        parts = [
            len(names) if r["part"] < 0 else names.index(KINDS[list(KINDS)[r["kind"]]][r["part"]]) for r in records
        ]
        kinds = torch.from_numpy(records["kind"].astype(np.int64))
        colors, sizes = (torch.from_numpy(records[name].astype(np.int64)) for name in ("color", "size"))
        return (
            F.cross_entropy(kind, torch.where(known, kinds, len(KINDS)))
            + F.cross_entropy(part, torch.tensor(parts))
            + F.cross_entropy(color[known], colors[known])
            + F.cross_entropy(size[known], sizes[known])
        )


@dataclass(frozen=True)
class Batch:
    """B examples, their descriptions first. Sequences are padded at the right."""

    ids: Tensor  # [B, S]
    labels: Tensor  # [B, S], -100 where nothing is learned
    pictures: Tensor  # [P, 3, SIDE, SIDE] uint8, in the order of their places in `ids`
    records: np.ndarray  # [N] of the descriptions


def draw(shards: list[Views], processor: LlavaProcessor, options: Options, step: int) -> Batch:
    """The batch of a step; the same for the same seed and step."""
    rng = np.random.default_rng((options.seed, step))
    sequences: list[tuple[list[int], int]] = []
    pictures: list[np.ndarray] = []
    records = []
    granularities = round(options.batch * GRANULARITY_SHARE)
    for number in range(options.batch):
        views = shards[int(rng.integers(len(shards)))]
        index = int(rng.integers(len(views)))
        record, queries = views.records[index], views.queries[views.records[index]["scene"]]
        asked = queries[int(rng.integers(len(queries)))]
        if number < options.batch - granularities:
            if rng.random() < FITTING_SHARE:
                fitting = [query for query in queries if answers.semantics(record, query).relevance == 1.0]
                asked = fitting[int(rng.integers(len(fitting)))] if fitting else asked
            query = None if rng.random() < NO_QUERY_SHARE else asked
            messages = prompts.semantics(query.text if query else None, int(rng.integers(1, 41)), b"", b"")
            answer = answers.compact(answers.semantics(record, query))
            pictures += list(views.pictures[index])
            records.append(record)
        else:
            messages = prompts.granularity(asked.text, b"")
            answer = answers.compact(answers.granularity(asked))
            pictures.append(views.pictures[index, 0])
        sequences.append(encode(processor, messages, answer))
    longest = max(len(ids) for ids, _ in sequences)
    ids = torch.full((options.batch, longest), processor.tokenizer.pad_token_id)
    labels = torch.full_like(ids, -100)
    for row, (sequence, start) in enumerate(sequences):
        ids[row, : len(sequence)] = torch.tensor(sequence)
        labels[row, start : len(sequence)] = ids[row, start : len(sequence)]
    return Batch(ids, labels, torch.from_numpy(np.stack(pictures)), np.array(records))


def encode(processor: LlavaProcessor, messages: list[prompts.Message], answer: str) -> tuple[list[int], int]:
    """The tokens of a prompt and its answer, and where the answer starts."""
    text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    prompt = processor.tokenizer.encode(text.replace(IMAGE, IMAGE * TOKENS_PER_PICTURE))
    return [*prompt, *processor.tokenizer.encode(answer), processor.tokenizer.eos_token_id], len(prompt)


def pixels(processor: LlavaProcessor, pictures: Tensor) -> Tensor:
    """What the processor makes of padded and scaled pictures: [P, 3, SIDE, SIDE] float32."""
    own = processor.image_processor
    normalized = own.rescale_and_normalize(pictures, True, own.rescale_factor, True, own.image_mean, own.image_std)
    return torch.as_tensor(normalized)


def loss_of(
    model: LlavaForConditionalGeneration, hints: Hints, processor: LlavaProcessor, batch: Batch
) -> tuple[Tensor, Tensor]:
    """The mean cross-entropy of the answers' tokens, and that of the hints."""
    with torch.autocast("cpu", torch.bfloat16):
        # Padding is at the right, where no token of an answer sees it, so causality is all the mask that is needed.
        out = model.model(input_ids=batch.ids, pixel_values=pixels(processor, batch.pictures), use_cache=False)
        targets = batch.labels[:, 1:]
        learned = targets != -100
        logits = model.lm_head(out.last_hidden_state[:, :-1][learned])
    features = out.image_hidden_states[: 2 * TOKENS_PER_PICTURE * len(batch.records)]
    features = features.reshape(len(batch.records), 2, TOKENS_PER_PICTURE, -1)
    return F.cross_entropy(logits.float(), targets[learned]), hints(features, batch.records)


def rate(options: Options, step: int) -> float:
    """The learning rate's share: a linear warm-up, then a cosine down to 2 %."""
    if step < options.warmup:
        return (step + 1) / options.warmup
    done = (step - options.warmup) / max(1, options.steps - options.warmup)
    return float(0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * min(1.0, done))))


def train(options: Options) -> None:
    """Train from the last checkpoint beside the data, or from scratch, and export as often as it is saved."""
    torch.set_num_threads(options.threads)
    shards = [
        prepare(options.data / str(first), SCENES_PER_SHARD, first, perturbed=True)
        for first in range(FIRST_SEED, FIRST_SEED + options.shards * SCENES_PER_SHARD, SCENES_PER_SHARD)
    ]
    spoken = [query for queries in shards[0].queries for query in queries]
    processor = make_processor(answers.texts(spoken), answers.FRAGMENTS)
    model = make_model(processor.tokenizer, options.seed).train()
    model.set_attn_implementation("eager")  # on a CPU its backward pass takes half the time of the fused one
    hints = Hints(model.config.text_config.hidden_size)
    modules = nn.ModuleDict({"model": model, "hints": hints})
    groups: list[dict[str, Any]] = [
        {"params": [p for p in modules.parameters() if p.ndim > 1]},
        {"params": [p for p in modules.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, options.learning_rate, (0.9, 0.98), weight_decay=options.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(options, step))
    checkpoint = options.data / f"checkpoint-{options.seed}.pt"
    start = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        modules.load_state_dict(state["modules"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        start = state["step"]
    began = time.monotonic()
    for step in range(start, options.steps):
        batch = draw(shards, processor, options, step)
        loss, hint = loss_of(model, hints, processor, batch)
        (loss + options.hint_weight * hint).backward()
        nn.utils.clip_grad_norm_(modules.parameters(), options.clip)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        if (step + 1) % 20 == 0:
            seconds = round(time.monotonic() - began)
            print(
                json.dumps(
                    {"step": step + 1, "loss": round(loss.item(), 4), "hint": round(hint.item(), 3), "s": seconds}
                ),
                flush=True,
            )
        if (step + 1) % options.save_every == 0 or step + 1 == options.steps:
            state = {"modules": modules.state_dict(), "optimizer": optimizer.state_dict()}
            torch.save(state | {"schedule": schedule.state_dict(), "step": step + 1}, checkpoint)
            save(model, processor, options.output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    for name, value in vars(Options()).items():
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=type(value) if not isinstance(value, Path) else Path, default=value
        )
    train(Options(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
