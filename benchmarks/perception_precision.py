"""What does reduced precision change? Proposals with the encoder in bfloat16 against float32, on the same weights.

`python -m benchmarks.perception_precision --help`
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from pycocotools import mask as coco
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.optimize import linear_sum_assignment

from dtwinseger import api
from services.perception.checkpoint import Checkpoint, load_checkpoint
from services.perception.decoder import Decoder
from services.perception.device import Taken
from services.perception.encoder import Encoder
from services.perception.proposer import Job, Proposer
from services.perception.sam import Segmenter
from services.perception.settings import Architecture
from training.scenes import render_scene

LEVELS: tuple[api.Level, ...] = ("object", "part")
SAME = 0.5  # IoU from which two masks are one


def _proposer(checkpoint: Checkpoint, encoder: torch.dtype) -> Proposer:
    sam = checkpoint.sam
    segmenter = Segmenter(sam, Encoder(sam, encoder), Decoder(sam))
    return Proposer(segmenter, checkpoint.iou_threshold, embedding_bytes=0, decoded_bytes=0)


def _masks(proposer: Proposer, seed: int, size: int) -> dict[api.Level, list[dict[str, object]]]:
    job = Job(render_scene(seed, size, size).image, "", api.ProposalsRequest(levels=LEVELS))
    (outcome,) = proposer([Taken(job, lambda: False)])
    if isinstance(outcome, Exception):
        raise outcome
    return {level: [p.mask.to_coco() for p in found] for level, found in outcome.levels.items()}


def main(
    checkpoint: Annotated[Path, typer.Option(help="As PERCEPTION_CHECKPOINT.")] = Path("models/dtwin-mini-sam"),
    architecture: Annotated[Architecture | None, typer.Option(help="As PERCEPTION_ARCHITECTURE.")] = None,
    scenes: Annotated[int, typer.Option(help="Held-out scenes.")] = 50,
    size: Annotated[int, typer.Option(help="Pixels a side.")] = 512,
) -> None:
    """Print how many masks differ, and the IoU of those that are in both."""
    console = Console(width=120)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    loaded = load_checkpoint(checkpoint, architecture, device)
    exact, reduced = _proposer(loaded, torch.float32), _proposer(loaded, torch.bfloat16)
    counts = {level: np.zeros(2, dtype=int) for level in LEVELS}
    ious: dict[api.Level, list[float]] = {level: [] for level in LEVELS}
    for seed in track(range(scenes), console=console, transient=True):
        torch.set_float32_matmul_precision("highest")
        one = _masks(exact, seed, size)
        torch.set_float32_matmul_precision("high")  # as the service has it on CUDA
        other = _masks(reduced, seed, size)
        for level in LEVELS:
            counts[level] += len(one[level]), len(other[level])
            if one[level] and other[level]:
                iou = coco.iou(one[level], other[level], [0] * len(other[level]))
                pairs = iou[linear_sum_assignment(-iou)]
                ious[level] += pairs[pairs >= SAME].tolist()
    table = Table("level", "masks in fp32", "in bf16", "in both", "mIoU of these", "least", box=box.MARKDOWN)
    for level in LEVELS:
        matched = np.array(ious[level])
        numbers = (*map(str, counts[level]), str(len(matched)), f"{matched.mean():.4f}", f"{matched.min():.3f}")
        table.add_row(level, *numbers)
    console.print(f"{loaded.name} on {device.type}, {scenes} scenes of {size}x{size}", highlight=False)
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
