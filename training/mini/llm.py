"""Trains the base of dtwin-mini-llm: a small Llama that reads a twin and a query and names the objects, without a path.

python -m training.mini.llm --run runs/llm                # on a GPU
python -m training.mini.llm --run runs/llm --workers 1    # on a CPU

It is trained on direct answers and, at less weight, on paths (training.mini.llm_data): what SFTDT adds to it can be
measured, since the adapter is trained on it by `training.sftdt`. Workers draw twins and queries without end. The
learning rate follows a cosine by the clock, not by steps; what is exported is the moving average of the weights.
`--run` holds a checkpoint that is always whole: a later call goes on from it, with the minutes that are left.

From nothing 20 minutes on two cores were not enough to find a row by its index; --begin starts with what another
one can do already.
"""

import argparse
import math
import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from training.mini.captured import stepping
from training.mini.course import optimizers
from training.mini.llm_batch import Batch, Batches, Sizes, states
from training.mini.llm_begin import begin
from training.mini.llm_data import READ_SHARE
from training.mini.llm_text import TOKENS, build

RATE, WARMUP = 1.5e-3, 0.03  # the highest learning rate; the share of the time that it takes to get there
AVERAGE = 0.998
SAVE_S = 30.0  # between two checkpoints
LOG_STEPS = 50
SHAPE = {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 5, "num_attention_heads": 8}
GPU, CPU = Sizes(tokens=131_072, twin=256, query=64), Sizes(tokens=4096, twin=64, query=32)


def new_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """An untrained model for the tokenizer, of about 4.9 M parameters."""
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            **SHAPE,
            vocab_size=len(tokenizer),
            max_position_embeddings=TOKENS,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            attn_implementation="packed",
        )
    )


def loss_of(model: LlamaForCausalLM, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy weighted by token, and the share of the answers' tokens that are right; scalars."""
    logits = model.lm_head(states(model, batch)).float().flatten(0, 1)  # [B * T, V]
    target = batch.ids.long().roll(-1, dims=1).flatten()  # the next token, wherever it counts
    weight, answer = batch.weight.flatten(), batch.answer.flatten()
    losses = F.cross_entropy(logits, target, reduction="none")
    with torch.no_grad():
        right = ((logits.argmax(-1) == target) & answer).sum() / answer.sum()
    return (losses * weight).sum() / weight.sum(), right


def gradients(model: LlamaForCausalLM, batch: Batch) -> torch.Tensor:
    """Add those of a batch to the parameters' own. Gives the loss, and the share of tokens that are right, [2]."""
    with torch.autocast(batch.ids.device.type, torch.bfloat16):
        loss, right = loss_of(model, batch)
    loss.backward()
    return torch.stack([loss.detach(), right])


def rate(share: float) -> float:
    """The learning rate's factor, from 0 to 1, when this share of the time is over: up, then down a cosine."""
    return min(1.0, share / WARMUP) * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


class Run:
    """A model in training: weights, their moving average, optimiser, and how far it is; its checkpoint in `folder`."""

    def __init__(self, folder: Path, seed: int, device: torch.device) -> None:
        self.tokenizer = build()
        self.model = new_model(self.tokenizer, seed).to(device)
        self.average = new_model(self.tokenizer, seed).to(device).requires_grad_(False)
        self.optimizers = optimizers(self.model, lambda name: "layers" in name, RATE, 0.01)
        self._take = stepping(self.model, lambda *given: gradients(self.model, Batch(*given)), device)
        self.step, self.seconds, self.tokens = 0, 0.0, 0
        self._file = folder / "checkpoint.pt"
        if self._file.exists():
            state = torch.load(self._file, weights_only=True, map_location=device)
            self.step, self.seconds, self.tokens = state["step"], state["seconds"], state["tokens"]
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            for optimizer, held in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(held)

    def save(self) -> None:
        """Replace the checkpoint, at once or not at all."""
        state = {"step": self.step, "seconds": self.seconds, "tokens": self.tokens}
        parts = {name: getattr(self, name).state_dict() for name in ("model", "average")}
        fresh = self._file.with_suffix(".new")
        torch.save(state | parts | {"optimizers": [one.state_dict() for one in self.optimizers]}, fresh)
        os.replace(fresh, self._file)

    def update(self, batch: Batch, at_rate: float) -> torch.Tensor:
        """One step at this learning rate; gives what `gradients` does."""
        said = self._take(batch.query, batch.count, *batch.tensors)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = at_rate
            optimizer.step()
        keep = min(AVERAGE, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - keep)
        self.step += 1
        self.tokens += batch.ids.numel()
        return said


def train(
    folder: Path,
    out: Path,
    minutes: float,
    seed: int,
    workers: int,
    sizes: Sizes | None = None,
    begun: Path | None = None,
    *,
    peak: float = RATE,
    read: float = READ_SHARE,
) -> None:
    """Train from the run's checkpoint, or from nothing, until it has been trained for `minutes`, and export to `out`.

    begun: folder of a model with which a run begins, see `llm_begin`; None is from nothing. workers: processes that
    draw the data; 0 draws it here. sizes: of batches; None is what the device can take. peak: the highest learning
    rate. read: share of the twins that are read out.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(folder, seed, device)
    if begun and not run.step:
        begin(run.model, run.tokenizer, begun)
        run.average.load_state_dict(run.model.state_dict())
    count = sum(p.numel() for p in run.model.parameters())
    print(f"{count} parameters, {len(run.tokenizer)} tokens, on {device}, step {run.step}", flush=True)
    share = multiprocessing.Value("d", min(1.0, run.seconds / (60 * minutes)))
    sizes = sizes or (GPU if device.type == "cuda" else CPU)
    data = Batches(run.tokenizer, sizes, seed + 1000 * run.step, share, read=read)
    ahead = 4 if workers else None
    pinned = device.type == "cuda"
    loader = DataLoader(data, batch_size=None, num_workers=workers, prefetch_factor=ahead, pin_memory=pinned)
    batches: Iterator[Batch] = iter(loader)
    batch = next(batches)
    before, began, saved = run.seconds, time.monotonic(), time.monotonic()
    first, seen, steps = run.tokens, torch.zeros(2, device=device), 0
    while share.value < 1:
        seen += run.update(batch.to(device), peak * rate(share.value))
        steps += 1
        now = time.monotonic()
        run.seconds = before + now - began
        share.value = min(1.0, run.seconds / (60 * minutes))
        if run.step % LOG_STEPS == 0 or share.value == 1:
            loss, right = (seen / steps).tolist()
            print(
                f"step {run.step} {share.value:.1%} loss {loss:.4f} tokens right {right:.4f} "
                f"{(run.tokens - first) / (now - began):,.0f} tokens/s",
                flush=True,
            )
            seen.zero_()
            steps = 0
        if now - saved > SAVE_S:
            run.save()
            saved = now
        batch = next(batches)
    run.save()
    export(run.average, run.tokenizer, out)
    print(f"{out}: trained for {run.seconds / 60:.1f} minutes, {run.step} steps, {run.tokens:,} tokens", flush=True)


def export(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Write the model in bfloat16, with its tokenizer, as a directory that `transformers serve` loads."""
    copy = LlamaForCausalLM(model.config)
    copy.load_state_dict(model.state_dict())
    copy.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="directory of the checkpoint")
    parser.add_argument("--out", type=Path, help="where to export (default: RUN/base)")
    parser.add_argument("--minutes", type=float, help="of training, over all calls; else 10 on a GPU, 240 on a CPU")
    parser.add_argument("--workers", type=int, default=8, help="processes that draw the data")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--begin", type=Path, metavar="MODEL", help="with what another one, no larger, has learned")
    parser.add_argument("--rate", type=float, default=RATE, help="the highest learning rate")
    parser.add_argument("--read", type=float, default=READ_SHARE, help="share of the twins that are read out")
    options = parser.parse_args()
    if options.rate <= 0 or not 0 <= options.read <= 1:
        parser.error("--rate is above 0, and --read a share from 0 to 1")
    out = options.out or options.run / "base"
    minutes = options.minutes or (10 if torch.cuda.is_available() else 240)
    train(
        options.run,
        out,
        minutes,
        options.seed,
        options.workers,
        begun=options.begin,
        peak=options.rate,
        read=options.read,
    )


if __name__ == "__main__":
    main()
