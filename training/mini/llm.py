"""Trains dtwin-mini-llm: a small Llama that reads a twin and a query and writes the reasoning path and the indices.

python -m training.mini.llm --run /tmp/llm --steps 4000

A batch packs several queries with each twin (training.mini.llm_data). The learning rate warms up, stays, and falls over
the last third; what is exported is the moving average of the weights. `--run` holds the checkpoint that a later call
goes on from.
"""

import argparse
import itertools
import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F
from transformers import AttentionInterface, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from training.mini.llm_data import FIRST_SEED, MOST, Packed, scene_things, stream
from training.mini.llm_text import build

PROMPT_WEIGHT, PROMPT_STEPS = 0.05, 1000  # of predicting a token of the prompt, in the first steps; then 0
TOKENS_A_BATCH = 2048
CHUNK = 96  # packs that are sorted by length before they are batched
VERDICT_WEIGHT = 4.0  # of keeping or dropping, where another token of the answer counts 1
LEVELS = (3, 5, 8, MOST)  # at most so many objects, until this share of the answers' tokens is right
LEARNED = 0.95
WARMUP = 100
RATE = 2e-3
AVERAGE = 0.995
UNSEEN = -1e4


def new_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """An untrained model of about 2.3 M parameters for the tokenizer."""
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=192,
            intermediate_size=512,
            num_hidden_layers=4,
            num_attention_heads=6,
            max_position_embeddings=4096,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            attn_implementation="packed",
        )
    )


@dataclass(frozen=True)
class Batch:
    """B twins of P tokens, each followed by K queries of L tokens, padded: T = P + K * L tokens a row.

    ids, position, target [B, T] int64: target is the next token. weight [B, T] float32: what predicting it counts in
    the loss. bias [B, 1, L, P + L] float32: 0 where a query's token sees the twin or its own query, else UNSEEN.
    """

    ids: torch.Tensor
    position: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor


def collate(
    batch: Sequence[Packed], pad: int, prompt_weight: float, silent: NDArray[np.bool_], verdict: NDArray[np.bool_]
) -> Batch:
    """silent: [V] bool, the tokens that follow from nothing; predicting them in a prompt counts nothing.

    verdict: [V] bool, the tokens that keep or drop; they count VERDICT_WEIGHT.
    """
    count = max(len(packed.queries) for packed in batch)
    twin = max(len(packed.twin) for packed in batch)
    query = max(len(ids) for packed in batch for ids in packed.queries)
    shape = (len(batch), twin + count * query)
    ids, target, position = np.full(shape, pad), np.full(shape, pad), np.zeros(shape, np.int64)
    weight = np.zeros(shape, np.float32)
    bias = np.zeros((len(batch), query, twin + query), np.float32)
    bias[:, :, twin:] = np.triu(np.full((query, query), UNSEEN, np.float32), 1)

    def put(row: int, start: int, tokens: list[int], first: int, answer: int) -> None:
        n = len(tokens)
        ids[row, start : start + n] = tokens
        position[row, start : start + n] = np.arange(first, first + n)
        target[row, start : start + n - 1] = following = np.array(tokens[1:])
        heard = np.where(silent[following], 0, prompt_weight)
        told = np.where(verdict[following], VERDICT_WEIGHT, 1)
        weight[row, start : start + n - 1] = np.where(np.arange(1, n) >= answer, told, heard)

    for row, packed in enumerate(batch):
        put(row, 0, packed.twin, 0, len(packed.twin))
        bias[row, :, len(packed.twin) : twin] = UNSEEN
        for number, (tokens, answer) in enumerate(zip(packed.queries, packed.answers, strict=True)):
            put(row, twin + number * query, tokens, len(packed.twin), answer)
    return Batch(*(torch.from_numpy(array) for array in (ids, position, target, weight, bias[:, None])))


def packed_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,
    scaling: float,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of a Batch: twins among themselves, each query with its twin and itself. [B, H, T, D] each."""
    b, h, t, d = query.shape
    n = attention_mask.shape[-2]  # L
    p = attention_mask.shape[-1] - n  # P
    k = (t - p) // n  # K
    twin = F.scaled_dot_product_attention(
        query[:, :, :p], key[:, :, :p], value[:, :, :p], is_causal=True, scale=scaling
    )

    def seen(states: torch.Tensor) -> torch.Tensor:
        """[B * H * K, P + L, D]: the twin's states and the query's own, for each query."""
        shared = states[:, :, None, :p].expand(b, h, k, p, d)
        return torch.cat([shared, states[:, :, p:].view(b, h, k, n, d)], dim=3).view(b * h * k, p + n, d)

    asked = (query[:, :, p:] * scaling).reshape(b * h * k, n, d)
    scores = torch.bmm(asked, seen(key).transpose(1, 2)).view(b, h * k, n, p + n) + attention_mask.to(query.dtype)
    queries = torch.bmm(scores.softmax(-1).view(b * h * k, n, p + n), seen(value)).view(b, h, k * n, d)
    return torch.cat([twin, queries], dim=2).transpose(1, 2), None


AttentionInterface.register("packed", packed_attention)


def loss_of(model: LlamaForCausalLM, batch: Batch) -> tuple[torch.Tensor, float]:
    """Cross-entropy weighted by token, and the share of the answers' tokens that are right."""
    hidden = model.model(batch.ids, position_ids=batch.position, attention_mask=batch.bias, use_cache=False)[0]
    chosen = batch.weight > 0
    logits = model.lm_head(hidden[chosen]).float()  # [S, V]
    target, weight = batch.target[chosen], batch.weight[chosen]
    losses = F.cross_entropy(logits, target, reduction="none")
    answer = weight >= 1
    right = (logits[answer].argmax(-1) == target[answer]).float().mean().item()
    return (losses * weight).sum() / weight.sum(), right


def rate(step: int, steps: int) -> float:
    """The learning rate's factor: up over WARMUP steps, 1, and down over the last third."""
    return min(1.0, (step + 1) / WARMUP, max(0.01, 3 * (steps - step) / steps))


def train(run: Path, out: Path, steps: int, scenes: int, seed: int, minutes: float) -> None:
    """Train from the run's checkpoint, or from nothing, and export; stops early, with a checkpoint, after `minutes`."""
    torch.set_num_threads(1)
    tokenizer = build()
    pool = [scene_things(scene) for scene in range(FIRST_SEED, FIRST_SEED + scenes)]
    model = new_model(tokenizer, seed)
    average = new_model(tokenizer, seed).requires_grad_(False)
    words = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    silent = np.array([word.lstrip(",.").isdigit() for word in words])  # coordinates follow from nothing
    verdict = np.array(['"keep":' in word for word in words])
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.01)
    step = seen = level = 0
    checkpoint = run / "checkpoint.pt"
    run.mkdir(parents=True, exist_ok=True)
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        step, seen, level = state["step"], state["seen"], state.get("level", 0)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        if state["optimizer"]:
            optimizer.load_state_dict(state["optimizer"])
    count = sum(p.numel() for p in model.parameters())
    print(f"{count} parameters, {len(tokenizer)} tokens, {len(pool)} scenes, step {step}", flush=True)

    def save() -> None:
        fresh = checkpoint.with_suffix(".new")
        torch.save(
            {
                "step": step, "seen": seen, "level": level,
                "model": model.state_dict(), "average": average.state_dict(), "optimizer": optimizer.state_dict(),
            },
            fresh,
        )  # fmt: skip
        os.replace(fresh, checkpoint)
        export(average, tokenizer, out)

    started = saved = time.monotonic()
    logged: list[tuple[float, float]] = []
    while step < steps and time.monotonic() - started < 60 * minutes:
        most = LEVELS[level]
        samples = stream(tokenizer, pool, seed * 1_000_003 + step, most)
        chunk = sorted(itertools.islice(samples, CHUNK), key=lambda packed: packed.padded)
        batches = _batched(chunk)
        order = torch.randperm(len(batches), generator=torch.Generator().manual_seed(step)).tolist()
        for number in order:
            batch = collate(
                batches[number], tokenizer.pad_token_id, PROMPT_WEIGHT * (step < PROMPT_STEPS), silent, verdict
            )
            with torch.autocast("cpu", torch.bfloat16):
                loss, right = loss_of(model, batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.param_groups[0]["lr"] = RATE * rate(step, steps)
            optimizer.step()
            optimizer.zero_grad()
            keep = min(AVERAGE, (1 + step) / (10 + step))
            with torch.no_grad():
                torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - keep)
            step += 1
            seen += sum(len(packed.queries) for packed in batches[number])
            logged.append((loss.item(), right))
            if step % 50 == 0:
                mean_loss, mean_right = (sum(column) / len(logged) for column in zip(*logged, strict=True))
                print(
                    f"step {step} objects {most} queries {seen} loss {mean_loss:.4f} tokens right {mean_right:.4f} "
                    f"{time.monotonic() - started:.0f} s",
                    flush=True,
                )
                logged.clear()
                level += mean_right > LEARNED and most < MOST
        if time.monotonic() - saved > 180:
            save()
            saved = time.monotonic()
    save()


def _batched(chunk: Sequence[Packed]) -> list[list[Packed]]:
    """Neighbors in length together, each batch with about TOKENS_A_BATCH tokens."""
    batches: list[list[Packed]] = [[]]
    for packed in chunk:
        if batches[-1] and packed.padded * (len(batches[-1]) + 1) > TOKENS_A_BATCH:
            batches.append([])
        batches[-1].append(packed)
    return batches


def export(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Write the model in bfloat16, with its tokenizer, as a directory that `transformers serve` loads."""
    copy = LlamaForCausalLM(model.config)
    copy.load_state_dict(model.state_dict())
    copy.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="directory of the checkpoint")
    parser.add_argument("--out", type=Path, help="where to export (default: RUN/export)")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--scenes", type=int, default=1_200, help="scenes rendered for the pool of twins")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop with a checkpoint after so long")
    options = parser.parse_args()
    train(
        options.run, options.out or options.run / "export", options.steps, options.scenes, options.seed, options.minutes
    )


if __name__ == "__main__":
    main()
