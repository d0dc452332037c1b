"""Trains dtwin-mini-sam from scratch on rendered scenes: `python -m training.mini.sam --help`."""

import ctypes
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from safetensors.torch import save_file
from segment_anything.modeling import Sam
from torch import Tensor, nn
from torch.nn import functional as F

from training.mini.sam_data import CLASSES, Batch, draw_batch, prepare
from training.mini.sam_model import CONFIG, Decoded, build_sam, decode, encode

NAME, VERSION = "dtwin-mini-sam", "1.0"
IOU_THRESHOLD = 0.4  # recommended: the best mean IoU of proposals by `sam_eval` on scenes 40,000 to 40,029


@dataclass(frozen=True)
class Recipe:
    """Every number of the training."""

    minutes: float
    seed: int = 0
    scenes: int = 20_000
    batch: int = 6
    prompts: int = 16  # an image
    learning_rate: float = 1.5e-3
    warmup: float = 0.02  # share of the time
    weight_decay: float = 0.05
    average: float = 0.998  # of the weights, over steps; the average is what is exported
    mask_weight: float = 1.0
    iou_weight: float = 3.0
    dense_weight: float = 0.5  # of the auxiliary task, which is dropped after training
    save_every_s: float = 180.0


class Dense(nn.Module):
    """The auxiliary task: from each patch's embedding, what is there and where its centroids are."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.classes = nn.Linear(width, 16 * (1 + len(CLASSES)))  # 4 x 4 places in a patch
        self.offsets = nn.Linear(width, 4)

    def loss(self, embeddings: Tensor, batch: Batch) -> Tensor:
        """embeddings: [B, C, 16, 16]."""
        x = embeddings.permute(0, 2, 3, 1)
        height, width = x.shape[1:3]
        scores = self.classes(x).view(-1, height, width, 4, 4, 1 + len(CLASSES))
        scores = scores.permute(0, 1, 3, 2, 4, 5).flatten(0, 4)
        offsets = self.offsets(x)[batch.inside].float()
        moved = F.smooth_l1_loss(offsets, batch.offsets.permute(0, 2, 3, 1)[batch.inside], beta=0.1)
        return F.cross_entropy(scores.float(), batch.classes.flatten()) + moved


def losses(decoded: Decoded, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """(mask loss, IoU loss, IoU [hits, 4] of the masks as they are).

    Tokens 0 and 1 learn the part at the point, 2 and 3 the whole object. A point on the background has no mask to
    learn, only that every predicted IoU is 0.
    """
    hit = batch.hit
    part, whole = batch.part[hit], batch.whole[hit]
    target = torch.stack([part, part, whole, whole], dim=1)  # [hits, 4, 64, 64]
    logits = decoded.logits[hit].float()
    share = target.mean(dim=(2, 3))
    cross = F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(dim=(2, 3))
    masks = logits.sigmoid()
    overlap = (masks * target).mean(dim=(2, 3))
    dice = 1 - (2 * overlap + 1e-5) / (masks.mean(dim=(2, 3)) + share + 1e-5)
    with torch.no_grad():
        found, true = logits > 0, target > 0.5
        both = (found & true).sum(dim=(2, 3))
        iou = both / (found | true).sum(dim=(2, 3)).clamp(min=1)
    wanted = torch.zeros_like(decoded.iou)
    wanted[hit] = iou
    return (0.25 * cross / (share + 0.02) + dice).mean(), F.mse_loss(decoded.iou, wanted), iou


def train(recipe: Recipe, work: Path, output: Path) -> None:
    """Train for `recipe.minutes`, from the checkpoint in `work` where there is one; export to `output` as it goes."""
    keep_freed_memory()
    torch.manual_seed(recipe.seed)
    scenes = prepare(work / "scenes", recipe.scenes)
    sam = build_sam(CONFIG)
    dense = Dense(CONFIG["image_encoder"]["out_chans"])
    nn.init.trunc_normal_(sam.image_encoder.pos_embed, std=0.02)
    model = nn.ModuleDict({"sam": sam, "dense": dense})
    optimizers = _optimizers(model, recipe)
    average = {name: value.clone() for name, value in sam.state_dict().items()}
    checkpoint = work / "checkpoint.pt"
    step, spent = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        for optimizer, saved_state in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved_state)
        average, step, spent = state["average"], state["step"], state["spent"]
    started, saved, seen = time.monotonic() - spent, spent, np.zeros(7)
    while spent < 60 * recipe.minutes:
        rng = np.random.default_rng((recipe.seed, step))
        batch = draw_batch(scenes, rng.choice(len(scenes), recipe.batch, replace=False), recipe.prompts, rng)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * _schedule(spent / (60 * recipe.minutes), recipe.warmup)
        with torch.autocast("cpu", torch.bfloat16):
            embeddings = encode(sam, batch.images)
            decoded = decode(sam, embeddings, batch.points)
            auxiliary = dense.loss(embeddings, batch)
        mask_loss, iou_loss, iou = losses(decoded, batch)
        loss = recipe.mask_weight * mask_loss + recipe.iou_weight * iou_loss + recipe.dense_weight * auxiliary
        model.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        step += 1
        _follow(average, sam, min(recipe.average, step / (step + 10)))
        spent = time.monotonic() - started
        seen += [mask_loss.item(), iou_loss.item(), auxiliary.item(), *iou.mean(dim=0).tolist()]
        if step % 50 == 0:
            print(f"{step=} {spent=:.0f} " + " ".join(f"{value:.3f}" for value in seen / 50), flush=True)
            seen[:] = 0
        if spent - saved > recipe.save_every_s or spent >= 60 * recipe.minutes:
            saved = spent
            state = {"model": model.state_dict(), "average": average}
            state["optimizers"] = [optimizer.state_dict() for optimizer in optimizers]
            torch.save(state | {"step": step, "spent": spent}, checkpoint.with_suffix(".new"))
            checkpoint.with_suffix(".new").replace(checkpoint)
            export(average, output)


def export(weights: dict[str, Tensor], output: Path, iou_threshold: float = IOU_THRESHOLD) -> None:
    """Write `weights` in half precision, and config.json beside them."""
    output.mkdir(parents=True, exist_ok=True)
    half = {name: value.half().contiguous() for name, value in weights.items()}
    save_file(half, output / "model.safetensors.new")
    (output / "model.safetensors.new").chmod(0o644)  # safetensors makes files that only their owner reads
    (output / "model.safetensors.new").replace(output / "model.safetensors")
    config: dict[str, Any] = {"name": NAME, "version": VERSION, "iou_threshold": iou_threshold, **CONFIG}
    (output / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def keep_freed_memory() -> None:
    """Tell glibc not to hand memory back between steps: fetching it again cost half of the time."""
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # malloc.h
    libc = ctypes.CDLL(None)
    for parameter, value in ((trim_threshold, 2**31 - 1), (top_pad, 2**28), (mmap_threshold, 2**31 - 1)):
        libc.mallopt(parameter, value)


def _optimizers(model: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the transformers, AdamW for everything else."""
    inside = [
        p
        for name, p in model.named_parameters()
        if p.ndim == 2 and ("blocks" in name or "transformer" in name) and "rel_pos" not in name
    ]
    chosen = {id(p) for p in inside}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    return [
        torch.optim.Muon(
            inside,
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            adjust_lr_fn="match_rms_adamw",
        ),
        torch.optim.AdamW(rest, lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def _schedule(progress: float, warmup: float) -> float:
    """Linear warmup, then a cosine to 1 %."""
    if progress < warmup:
        return max(progress, 1e-4) / warmup
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warmup) / (1 - warmup))))


def _follow(average: dict[str, Tensor], sam: Sam, decay: float) -> None:
    with torch.no_grad():
        for name, value in sam.state_dict().items():
            average[name].lerp_(value, 1 - decay)


def main(
    minutes: Annotated[float, typer.Option(help="Training time; the learning rate falls to nearly 0 over it.")] = 60,
    work: Annotated[Path, typer.Option(help="Scenes and the checkpoint to resume from.")] = Path("data/mini-sam"),
    output: Annotated[Path, typer.Option(help="Where weights and config go.")] = Path("models/dtwin-mini-sam"),
    seed: int = 0,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
) -> None:
    """Train dtwin-mini-sam on rendered scenes; run again with the same --work to resume."""
    torch.set_num_threads(threads)
    train(Recipe(minutes=minutes, seed=seed), work, output)


if __name__ == "__main__":
    typer.run(main)
