"""Measures dtwin-mini-sam on held-out scenes: point prompts by role, then the proposals of the real pipeline.

`python -m benchmarks.sam_quality --help`
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, get_args

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from dtwinseger import api
from services.perception.checkpoint import Checkpoint, load_checkpoint
from services.perception.decoder import Decoder
from services.perception.device import Taken
from services.perception.encoder import Encoder
from services.perception.proposer import Job, Proposer
from services.perception.sam import Segmenter
from training.mini.course import best_device
from training.mini.rendering import frame, store_image
from training.mini.sam import Recipe, losses
from training.mini.sam_data import prompted, taken
from training.mini.sam_masks import load_sam
from training.mini.sam_model import decode, encode
from training.mini.scene_store import in_memory
from training.mini.shown import Truth, numbered
from training.scenes import render_scene
from training.scenes.twins import Level

ROLES = ("0: part", "1: part", "2: object", "3: object")
PROMPTS = 32
THRESHOLDS = tuple(round(0.2 + 0.05 * i, 2) for i in range(14))  # of which `--tune` chooses
LEVELS: tuple[Level, ...] = get_args(Level)
CACHE = 1 << 31  # bytes for the masks of a scene under all thresholds


def held_out(seeds: range) -> list[Truth]:
    """The scenes of `seeds`, of sizes as in training."""
    return [numbered(render_scene(seed, *frame(np.random.default_rng((seed, 1))))) for seed in seeds]


def point_prompts(model: Path, scenes: Sequence[Truth], device: torch.device) -> Table:
    """IoU of each mask token at random points of `scenes`, and how far off its own prediction of that IoU is."""
    sam, _ = load_sam(model)
    sam.to(device)
    store = in_memory(len(scenes))
    for index, truth in enumerate(scenes):
        store_image(store, index, truth)
    generator = torch.Generator(device).manual_seed(0)
    found, predicted, background = [], [], []
    with torch.no_grad():
        for start in range(0, len(scenes), 8):
            raw = taken(store, np.arange(start, min(start + 8, len(scenes)))).to(device)
            batch = prompted(raw, PROMPTS, generator, sam.pixel_mean, sam.pixel_std, augment=False)
            decoded = decode(sam, encode(sam, batch.images), batch.points)
            found.append(losses(decoded, batch, Recipe.edge_weight)[2][batch.hit])
            predicted.append(decoded.iou[batch.hit])
            background.append(decoded.iou[~batch.hit])
    iou, claimed, nothing = torch.cat(found), torch.cat(predicted), torch.cat(background)
    table = Table("token", "mIoU", "IoU > 0.5", "|predicted - actual|", "predicted on ground", box=box.MARKDOWN)
    for token, role in enumerate(ROLES):
        error = (claimed[:, token] - iou[:, token]).abs().mean()
        shares = (iou[:, token].mean(), (iou[:, token] > 0.5).float().mean(), error, nothing[:, token].mean())
        table.add_row(role, *(f"{float(share):.3f}" for share in shares))
    table.title = f"{len(iou)} points in objects, {len(nothing)} on the ground, {len(scenes)} scenes"
    return table


@dataclass
class Found:
    """Of one level and threshold: for each true mask the IoU of the best proposal, and the other way round."""

    of_true: list[float] = field(default_factory=list)
    of_proposals: list[float] = field(default_factory=list)

    def add(self, true: Sequence[NDArray[np.bool_]], proposed: Sequence[NDArray[np.bool_]]) -> None:
        overlaps = np.array([[(a & b).sum() / (a | b).sum() for b in proposed] for a in true]).reshape(
            len(true), len(proposed)
        )
        self.of_true += overlaps.max(axis=1, initial=0).tolist()
        self.of_proposals += overlaps.max(axis=0, initial=0).tolist()

    @property
    def recall(self) -> float:
        """Share of true masks that a proposal meets with an IoU of at least 0.5."""
        return float((np.array(self.of_true) >= 0.5).mean())

    @property
    def precision(self) -> float:
        """Share of proposals that meet a true mask so."""
        return float((np.array(self.of_proposals) >= 0.5).mean()) if self.of_proposals else 0.0

    @property
    def score(self) -> float:
        """F2: recall counts more, for what is missed is lost, and what is too much gets a description."""
        return 5 * self.precision * self.recall / max(1e-9, 4 * self.precision + self.recall)

    def row(self, scenes: int) -> tuple[str, ...]:
        best = np.array(self.of_true)
        interval = 1.96 * best.std() / np.sqrt(len(best))
        return (
            str(len(best)),
            f"{self.recall:.3f}",
            f"{(best >= 0.75).mean():.3f}",
            f"{best.mean():.3f} ± {interval:.3f}",
            f"{self.precision:.3f}",
            f"{len(self.of_proposals) / scenes:.1f}",
        )


def proposals(
    proposer: Proposer, scenes: Sequence[Truth], thresholds: Sequence[float | None]
) -> dict[float | None, dict[Level, Found]]:
    """How the proposals of both levels meet the truth under each threshold, in ascending order."""
    found: dict[float | None, dict[Level, Found]] = {t: {level: Found() for level in LEVELS} for t in thresholds}
    for number, truth in enumerate(track(scenes, "proposals", transient=True)):
        objects = [one.mask for one in truth.scene.objects]
        true = {"object": objects, "part": [part.mask for one in truth.scene.objects for part in one.parts]}
        for threshold in thresholds:
            request = api.ProposalsRequest(levels=LEVELS, options=api.ProposalOptions(iou_threshold=threshold))
            (outcome,) = proposer([Taken(Job(truth.scene.image, str(number), request), lambda: False)])
            if isinstance(outcome, Exception):
                raise outcome
            for level in LEVELS:
                found[threshold][level].add(true[level], [p.mask.decode() for p in outcome.levels[level]])
    return found


def as_served(checkpoint: Checkpoint, device: torch.device) -> Proposer:
    """The pipeline as the perception service runs it."""
    kind = torch.bfloat16 if device.type == "cuda" else torch.float32
    segmenter = Segmenter(checkpoint.sam, Encoder(checkpoint.sam, kind), Decoder(checkpoint.sam))
    return Proposer(segmenter, checkpoint.iou_threshold, embedding_bytes=1 << 24, decoded_bytes=CACHE)


def table_of(found: dict[float | None, dict[Level, Found]], scenes: int, title: str) -> Table:
    head = (
        "threshold",
        "level",
        "true masks",
        "recall@0.5",
        "recall@0.75",
        "mean best IoU",
        "precision@0.5",
        "a scene",
    )
    table = Table(*head, box=box.MARKDOWN, title=title)
    for threshold, levels in found.items():
        for level, one in levels.items():
            table.add_row("recommended" if threshold is None else f"{threshold:.2f}", level, *one.row(scenes))
    return table


def main(
    model: Annotated[Path, typer.Option(help="Folder with weights and config.")] = Path("models/dtwin-mini-sam"),
    scenes: Annotated[int, typer.Option(help="How many.")] = 100,
    first_seed: Annotated[int, typer.Option(help="Seeds below 10,000 are held out.")] = 0,
    tune: Annotated[
        bool, typer.Option(help="Try thresholds on the predicted IoU and write the best one into config.json.")
    ] = False,
) -> None:
    """Print point-prompt mIoU by role, then how the proposals of the real pipeline meet the truth."""
    console, device = Console(width=130), best_device()
    truths = held_out(range(first_seed, first_seed + scenes))
    console.print(point_prompts(model, truths, device))
    checkpoint = load_checkpoint(model, None, device)
    thresholds: Sequence[float | None] = THRESHOLDS if tune else (None,)
    found = proposals(as_served(checkpoint, device), truths, thresholds)
    console.print(table_of(found, scenes, f"{checkpoint.name} on {device.type}, {scenes} scenes"))
    if tune:
        best = max(found, key=lambda threshold: sum(one.score for one in found[threshold].values()))
        config = json.loads((model / "config.json").read_text())
        (model / "config.json").write_text(json.dumps(config | {"iou_threshold": best}, indent=2) + "\n")
        console.print(f"{model / 'config.json'} now recommends {best}")


if __name__ == "__main__":
    typer.run(main)
