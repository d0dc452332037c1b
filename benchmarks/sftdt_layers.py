"""Steps of SFTDT at the layer shapes of 70B, with few layers on one CUDA GPU, and what they say of all its layers.

`python -m benchmarks.sftdt_layers --help`. The base is random, in bfloat16; its layers are computed twice.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForCausalLM, LlamaConfig

from training.sftdt.base import with_lora
from training.sftdt.config import Config, Machine, Shape
from training.sftdt.loss import score_tokens
from training.sftdt.plan import RUNTIME, plan

CONFIG = Path("training/sftdt/configs/llama-70b-8x80gb.toml")
SAMPLES, EPOCHS = 239, 5  # of the paper's run
STEPS = 5  # timed, after one that is not
ANSWER = 512  # supervised tokens of a sample


@dataclass(frozen=True)
class Measured:
    """Of a micro-batch of one sample, forward and backward and the optimiser's step."""

    layers: int
    seconds: float
    peak: int  # bytes that tensors took at most
    planned: int  # bytes, the assumed runtime left out


def measure(shape: Shape, config: Config, tokens: int, device: torch.device) -> Measured:
    """Train a random model of `shape` for some steps on samples of `tokens` tokens."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    with device:
        base = AutoModelForCausalLM.from_config(LlamaConfig(**shape.model_dump()), dtype=torch.bfloat16)
        model = with_lora(base, config, None).train()
    model.activation_checkpointing_enable()
    model.enable_input_require_grads()
    score_tokens(model)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], config.rate, weight_decay=0)
    ids = torch.randint(shape.vocab_size, (1, tokens), device=device)
    answer = torch.arange(tokens, device=device)[None] >= tokens - ANSWER
    batch = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "labels": ids.where(answer, -100),
        "weights": answer.float(),
    }
    started = 0.0
    for step in range(STEPS + 1):
        with torch.autocast(device.type, torch.bfloat16):
            loss = model(**batch) / ANSWER
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if not torch.isfinite(loss).item():  # waits for the device
            raise RuntimeError(f"the loss is {loss.item()}")
        if step == 0:
            started = time.perf_counter()
    seconds = (time.perf_counter() - started) / STEPS
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    return Measured(shape.num_hidden_layers, seconds, peak, plan(shape, config, tokens).total - RUNTIME)


def extrapolation(few: Measured, more: Measured, whole: int, planned: int) -> list[str]:
    """Time and memory of a model of `whole` layers from those of two; planned: its plan in bytes, without runtime."""
    between = more.layers - few.layers
    layer, size = (more.seconds - few.seconds) / between, (more.peak - few.peak) / between
    rest, outside = few.seconds - few.layers * layer, few.peak - few.layers * size
    sample, memory = rest + whole * layer, outside + whole * size
    hours = SAMPLES * EPOCHS * sample / 3600
    return [
        f"a layer: ({more.seconds:.3f} - {few.seconds:.3f}) s / {between} = {layer:.4f} s; "
        f"({more.peak / 1e9:.2f} - {few.peak / 1e9:.2f}) GB / {between} = {size / 1e9:.3f} GB",
        f"the rest: {few.seconds:.3f} - {few.layers} x {layer:.4f} = {rest:.3f} s; "
        f"{few.peak / 1e9:.2f} - {few.layers} x {size / 1e9:.3f} = {outside / 1e9:.2f} GB",
        f"{whole} layers: {rest:.3f} + {whole} x {layer:.4f} = {sample:.2f} s a sample; "
        f"{outside / 1e9:.2f} + {whole} x {size / 1e9:.3f} = {memory / 1e9:.1f} GB unsharded, "
        f"planned {planned / 1e9:.1f} GB",
        f"the paper's run: {SAMPLES} samples x {EPOCHS} epochs x {sample:.2f} s = {hours:.2f} h of one such device; "
        f"{hours / 8:.2f} h of eight, were gathering layers free",
    ]


def main(
    config: Annotated[Path, typer.Option(help="A configuration with a [shape].")] = CONFIG,
    layers: Annotated[tuple[int, int], typer.Option(help="Two numbers of layers that fit.")] = (4, 8),
    tokens: Annotated[int, typer.Option(help="Of a sample.")] = 4096,
) -> None:
    """Print one table, and the arithmetic."""
    if not torch.cuda.is_available():
        sys.exit("error: steps at these shapes are measured on a CUDA GPU, and none is here")
    asked = Config.load(config)
    if asked.shape is None:
        sys.exit(f"error: {config} has no [shape]")
    alone = asked.model_copy(update={"machine": Machine(), "nf4": False, "recompute": True})
    device = torch.device("cuda")
    shapes = [asked.shape.model_copy(update={"num_hidden_layers": count}) for count in layers]
    found = [measure(shape, alone, tokens, device) for shape in shapes]
    table = Table(
        title=f"{config.stem}, {torch.cuda.get_device_name()}, samples of {tokens:,} tokens", box=box.MARKDOWN
    )
    for name in ("layers", "seconds a sample", "tokens a second", "peak, GB", "planned, GB"):
        table.add_column(name, justify="right")
    for one in found:
        figures = (
            f"{one.seconds:.3f}",
            f"{tokens / one.seconds:,.0f}",
            f"{one.peak / 1e9:.2f}",
            f"{one.planned / 1e9:.2f}",
        )
        table.add_row(str(one.layers), *figures)
    console = Console(width=160)
    console.print(table)
    whole = plan(asked.shape, alone, tokens).total - RUNTIME
    for line in extrapolation(found[0], found[1], asked.shape.num_hidden_layers, whole):
        console.print(line)


if __name__ == "__main__":
    typer.run(main)
