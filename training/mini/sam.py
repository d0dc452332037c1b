"""Trains dtwin-mini-sam from scratch on rendered scenes: `python -m training.mini.sam --help`."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from safetensors.torch import load_file, save_file
from segment_anything.modeling import Sam
from torch import Tensor, nn
from torch.nn import functional as F

from training.mini.captured import stepping
from training.mini.course import Average, Clock, best_device, optimizers, prefetched, save, set_up
from training.mini.rendering import CLASSES
from training.mini.sam_data import Batch, Raw, prompted, taken
from training.mini.sam_model import CONFIG, Decoded, begin, build_sam, decode, encode
from training.mini.scene_store import Store, open_store

NAME, VERSION = "dtwin-mini-sam", "2.3"
IOU_THRESHOLD = 0.5  # recommended until `benchmarks.sam_quality --tune` has chosen one


@dataclass(frozen=True)
class Recipe:
    """Every number of the training."""

    minutes: float
    seed: int = 0
    batch: int = 6
    prompts: int = 32  # an image
    learning_rate: float = 1.5e-3
    warmup: float = 0.03  # share of the time
    weight_decay: float = 0.05
    average: float = 0.998  # of the weights, over steps; the average is what is exported
    mask_weight: float = 1.0
    edge_weight: float = 2.0  # what a pixel at a mask's boundary weighs more than others
    iou_weight: float = 3.0
    dense_weight: float = 0.5  # of the auxiliary task, which is dropped after training
    save_every_s: float = 60.0
    say_every_s: float = 10.0


class Dense(nn.Module):
    """The auxiliary task: from each patch's embedding, what is there and where its centroids are."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.classes = nn.Linear(width, 16 * (1 + len(CLASSES)))  # 4 x 4 places in a patch
        self.offsets = nn.Linear(width, 4)

    def loss(self, embeddings: Tensor, batch: Batch) -> Tensor:
        """embeddings: [B, C, h, w]."""
        x = embeddings.permute(0, 2, 3, 1)
        height, width = x.shape[1:3]
        scores = self.classes(x).view(-1, height, width, 4, 4, 1 + len(CLASSES))
        scores = scores.permute(0, 1, 3, 2, 4, 5).flatten(0, 4)
        wanted = batch.offsets.permute(0, 2, 3, 1)
        apart = F.smooth_l1_loss(self.offsets(x).float(), wanted, beta=0.1, reduction="none").mean(dim=-1)
        return F.cross_entropy(scores.float(), batch.classes.flatten()) + mean_where(apart, batch.inside)


def losses(decoded: Decoded, batch: Batch, edge_weight: float) -> tuple[Tensor, Tensor, Tensor]:
    """(mask loss, IoU loss, IoU [B, P, 4] of the masks as they are, 0 on the ground).

    Tokens 0 and 1 learn the part at the point, 2 and 3 the whole object. A point on the ground has no mask to learn,
    only that every predicted IoU is 0.
    """
    target = torch.stack([batch.part, batch.whole], dim=2)  # [B, P, 2, h, w]
    flat = target.flatten(0, 1)
    edge = (F.max_pool2d(flat, 3, 1, 1) + F.max_pool2d(-flat, 3, 1, 1) > 0.2).view_as(target)
    target, weight = target[:, :, :, None], (1 + edge_weight * edge)[:, :, :, None]  # [B, P, 2, 1, h, w]
    logits = decoded.logits.float().unflatten(2, (2, 2))  # [B, P, 2, 2, h, w]
    share = target.mean(dim=(4, 5))
    cross = F.binary_cross_entropy_with_logits(logits, target.expand_as(logits), weight, reduction="none")
    masks = logits.sigmoid()
    overlap = (masks * target).mean(dim=(4, 5))
    dice = 1 - (2 * overlap + 1e-5) / (masks.mean(dim=(4, 5)) + share + 1e-5)
    with torch.no_grad():
        found, true = logits > 0, target > 0.5
        both = (found & true).sum(dim=(4, 5))
        iou = (both / (found | true).sum(dim=(4, 5)).clamp(min=1)).flatten(2) * batch.hit[..., None]
    of_masks = (0.25 * cross.mean(dim=(4, 5)) / (share + 0.02) + dice).mean(dim=(2, 3))
    return mean_where(of_masks, batch.hit), F.mse_loss(decoded.iou, iou), iou


def mean_where(values: Tensor, where: Tensor) -> Tensor:
    """The mean of `values` where `where` holds, 0 where it holds nowhere.

    Not of what the mask picks out: the size of that would be waited for.
    """
    return (values * where).sum() / where.sum().clamp(min=1)


def gradients(sam: Sam, dense: Dense, recipe: Recipe, batch: Batch) -> Tensor:
    """Add those of a batch to the parameters' own. Gives the losses of masks, IoU and auxiliary task, and the mean IoU
    by token, [7].
    """
    with torch.autocast(batch.images.device.type, torch.bfloat16):
        embeddings = encode(sam, batch.images)
        decoded = decode(sam, embeddings, batch.points)
        auxiliary = dense.loss(embeddings, batch)
    masks, predicted, iou = losses(decoded, batch, recipe.edge_weight)
    loss = recipe.mask_weight * masks + recipe.iou_weight * predicted + recipe.dense_weight * auxiliary
    loss.backward()
    by_token = torch.stack([mean_where(each, batch.hit) for each in iou.unbind(-1)])
    return torch.cat([torch.stack([masks, predicted, auxiliary]).detach(), by_token])


def train(
    recipe: Recipe, scenes: Path, work: Path, output: Path, device: torch.device, begun: Path | None = None
) -> None:
    """Train for `recipe.minutes`, from the checkpoint in `work` where there is one; export to `output` as it goes.

    scenes: a folder that `training.mini.render` fills, or has filled. begun: folder of a SAM with whose weights a
    training begins, see `sam_model.begin`; None is from nothing.
    """
    torch.manual_seed(recipe.seed)
    store = open_store(scenes)
    sam = build_sam(CONFIG)
    nn.init.trunc_normal_(sam.image_encoder.pos_embed, std=0.02)
    if begun:
        begin(sam, load_file(begun / "model.safetensors"))
    dense = Dense(CONFIG["image_encoder"]["out_chans"])
    model = nn.ModuleDict({"sam": sam, "dense": dense}).to(device)
    optimizing = optimizers(model, inside, recipe.learning_rate, recipe.weight_decay)
    average = Average(sam, recipe.average)
    step, spent = 0, 0.0
    checkpoint = work / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        for optimizer, saved_state in zip(optimizing, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved_state)
        average.weights, step, spent = state["average"], state["step"], state["spent"]
        print(f"going on after {step} steps in {spent:.0f} s", flush=True)
    mean, deviation = sam.pixel_mean, sam.pixel_std  # [3, 1, 1]
    store.wait(8 * recipe.batch)
    with Clock(recipe.minutes, spent) as clock:

        def keep() -> None:
            state = {"model": model.state_dict(), "average": average.weights, "step": step, "spent": clock.spent}
            save(state | {"optimizers": [optimizer.state_dict() for optimizer in optimizing]}, checkpoint)
            export(average.weights, output)

        take = stepping(model, lambda *tensors: gradients(sam, dense, recipe, Batch(*tensors)), device)
        saved, said, seen, steps = spent, spent, torch.zeros(7, device=device), 0
        for raw in prefetched(lambda number: draw(store, recipe, number).pinned(device), step):
            if clock.over:
                break
            generator = torch.Generator(device).manual_seed(recipe.seed + 1000 * step)
            for optimizer in optimizing:
                for group in optimizer.param_groups:
                    group["lr"] = recipe.learning_rate * clock.rate(recipe.warmup)
            batch = prompted(raw.to(device), recipe.prompts, generator, mean, deviation)
            seen += take(*(getattr(batch, field.name) for field in fields(batch)))
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in optimizing:
                optimizer.step()
            step, steps = step + 1, steps + 1
            average.follow(sam, step)
            if clock.spent - said > recipe.say_every_s or clock.over:
                say(step, steps / (clock.spent - said), clock, store, (seen / steps).tolist())
                said, steps = clock.spent, 0
                seen.zero_()
            if clock.spent - saved > recipe.save_every_s:
                saved = clock.spent
                keep()
        keep()
        print(f"{output} holds the weights after {step} steps in {clock.spent:.0f} s", flush=True)


def inside(name: str) -> bool:
    """Whether a matrix of that name is one inside of a transformer."""
    return ("blocks" in name or "transformer" in name) and "rel_pos" not in name


def draw(store: Store, recipe: Recipe, step: int) -> Raw:
    """The scenes of a step, of those that are there."""
    rng = np.random.default_rng((recipe.seed, step))
    return taken(store, rng.choice(store.there(), recipe.batch))


def say(step: int, rate: float, clock: Clock, store: Store, means: list[float]) -> None:
    """One line: how far it is, and the means since the last one."""
    masks, iou, auxiliary, *tokens = means
    print(
        f"{100 * clock.progress:.0f} % {clock.left:.0f} s to go, step {step} ({rate:.1f} a second), "
        f"{len(store.there())} scenes, loss of masks {masks:.3f} IoU {iou:.4f} dense {auxiliary:.3f}, "
        f"IoU by token {' '.join(f'{value:.3f}' for value in tokens)}",
        flush=True,
    )


def export(weights: dict[str, Tensor], output: Path, iou_threshold: float = IOU_THRESHOLD) -> None:
    """Write `weights` in half precision, and config.json beside them."""
    output.mkdir(parents=True, exist_ok=True)
    half = {name: value.half().contiguous().cpu() for name, value in weights.items()}
    save_file(half, output / "model.safetensors.new")
    (output / "model.safetensors.new").chmod(0o644)  # safetensors makes files that only their owner reads
    (output / "model.safetensors.new").replace(output / "model.safetensors")
    config: dict[str, Any] = {"name": NAME, "version": VERSION, "iou_threshold": iou_threshold, **CONFIG}
    (output / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def main(
    minutes: Annotated[
        float | None,
        typer.Option(help="The learning rate falls to nearly 0 over them; else 10 on a GPU, 240 on a CPU."),
    ] = None,
    scenes: Annotated[Path, typer.Option(help="What `training.mini.render` fills.")] = Path("runs/scenes"),
    work: Annotated[Path, typer.Option(help="Where the checkpoint is, to resume from.")] = Path("runs/sam"),
    output: Annotated[Path, typer.Option(help="Where weights and config go.")] = Path("models/dtwin-mini-sam"),
    batch: Annotated[int | None, typer.Option(help="Images a step; else 48 on a GPU, 6 on a CPU.")] = None,
    learning_rate: float = Recipe.learning_rate,
    seed: int = 0,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
    begun: Annotated[Path | None, typer.Option("--begin", help="Folder of a SAM to begin with.")] = None,
) -> None:
    """Train dtwin-mini-sam on rendered scenes; run again with the same --work to resume."""
    device = best_device()
    set_up(device, threads)
    on_gpu = device.type == "cuda"
    time = minutes or (10 if on_gpu else 240)
    size = batch or (48 if on_gpu else 6)
    train(Recipe(time, seed, size, learning_rate=learning_rate), scenes, work, output, device, begun)


if __name__ == "__main__":
    typer.run(main)
