"""Measures dtwin-mini-sam on held-out scenes: point prompts by role, then proposals through the real service.

`python -m training.mini.sam_eval --help`
"""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import httpx2
import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file

from dtwinseger import api
from training.mini.sam import losses
from training.mini.sam_data import draw_batch, render
from training.mini.sam_model import build_sam, decode, encode
from training.scenes import render_scene

PORT = 8391  # of the service that is started where none is given
ROLES = ("0: part", "1: part", "2: object", "3: object")
PROMPTS = 16


def point_prompts(model: Path, seeds: range) -> Table:
    """IoU of each mask token at random points of `seeds`, and how far off its own prediction of that IoU is."""
    sam = build_sam(json.loads((model / "config.json").read_text()))
    sam.load_state_dict(load_file(model / "model.safetensors"))
    sam = sam.float().eval()
    scenes, rng = render(seeds), np.random.default_rng(0)
    found, predicted, background = [], [], []
    with torch.no_grad():
        for start in range(0, len(scenes), 8):
            indices = np.arange(start, min(start + 8, len(scenes)))
            batch = draw_batch(scenes, indices, PROMPTS, rng, augment=False)
            decoded = decode(sam, encode(sam, batch.images), batch.points)
            found.append(losses(decoded, batch)[2])
            predicted.append(decoded.iou[batch.hit])
            background.append(decoded.iou[~batch.hit])
    iou, claimed, nothing = torch.cat(found), torch.cat(predicted), torch.cat(background)
    table = Table("token", "mIoU", "IoU > 0.5", "|predicted - actual|", "predicted on background")
    for token, role in enumerate(ROLES):
        error = (claimed[:, token] - iou[:, token]).abs().mean()
        shares = (iou[:, token].mean(), (iou[:, token] > 0.5).float().mean(), error, nothing[:, token].mean())
        table.add_row(role, *(f"{float(share):.3f}" for share in shares))
    table.title = f"{len(iou)} points in objects, {len(nothing)} on the background, {len(scenes)} scenes"
    return table


def proposals(url: str, seeds: range, iou_threshold: float | None) -> Table:
    """Recall and best IoU of the proposals of both levels, by the service at `url`, for scenes of 256x256."""
    best: dict[api.Level, list[float]] = {"object": [], "part": []}
    counts: dict[api.Level, list[int]] = {"object": [], "part": []}
    options = api.ProposalOptions(iou_threshold=iou_threshold)
    request = api.ProposalsRequest(levels=("object", "part"), options=options).model_dump_json()
    with httpx2.Client(base_url=url, timeout=120) as client:
        for seed in seeds:
            scene = render_scene(seed)
            buffer = io.BytesIO()
            Image.fromarray(scene.image).save(buffer, "PNG")
            files = {"image": ("scene.png", buffer.getvalue(), "image/png")}
            response = client.post("/v1/proposals", data={"options": request}, files=files).raise_for_status()
            answer = api.ProposalsResponse.model_validate_json(response.content)
            true: dict[api.Level, list[NDArray[np.bool_]]] = {
                "object": [found.mask for found in scene.objects],
                "part": [part.mask for found in scene.objects for part in found.parts],
            }
            for level, proposed in answer.levels.items():
                masks = [proposal.mask.decode() for proposal in proposed]
                counts[level].append(len(masks))
                best[level] += [max((_iou(mask, m) for m in masks), default=0.0) for mask in true[level]]
    table = Table("level", "true masks", "recall@0.5", "recall@0.75", "mean best IoU", "proposals a scene")
    for level, values in best.items():
        found = np.array(values)
        shares = ((found >= 0.5).mean(), (found >= 0.75).mean(), found.mean())
        table.add_row(level, str(len(found)), *(f"{share:.3f}" for share in shares), f"{np.mean(counts[level]):.1f}")
    used = answer.options["object"]
    table.title = f"{answer.model}, IoU threshold {used.iou_threshold}, {len(seeds)} scenes"
    return table


def _iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / (a | b).sum())


@contextmanager
def service(model: Path) -> Iterator[str]:
    """A perception service with the weights in `model`, for as long as the block runs."""
    command = ["uvicorn", "--factory", "services.perception.app:create", "--port", str(PORT), "--no-access-log"]
    environment = os.environ | {"PERCEPTION_CHECKPOINT": str(model), "PERCEPTION_LOG_LEVEL": "warning"}
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", *command], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None  # noqa: S101
        said = ""
        for line in process.stderr:
            said += line
            if "running on" in line:
                break
        else:
            raise RuntimeError(f"the perception service did not start:\n{said}")
        try:
            yield f"http://127.0.0.1:{PORT}"
        finally:
            process.terminate()


def main(
    model: Annotated[Path, typer.Option(help="Folder with weights and config.")] = Path("models/dtwin-mini-sam"),
    scenes: Annotated[int, typer.Option(help="How many.")] = 100,
    first_seed: Annotated[int, typer.Option(help="Seeds below 10,000 are held out.")] = 0,
    perception: Annotated[str | None, typer.Option(help="URL of a service to ask; else one is started.")] = None,
    iou_threshold: Annotated[float | None, typer.Option(help="Else the one that the model recommends.")] = None,
) -> None:
    """Print point-prompt mIoU by role, then recall and best IoU of the proposals of the real pipeline."""
    seeds, console = range(first_seed, first_seed + scenes), Console()
    console.print(point_prompts(model, seeds))
    if perception is not None:
        console.print(proposals(perception, seeds, iou_threshold))
    else:
        with service(model) as url:
            console.print(proposals(url, seeds, iou_threshold))


if __name__ == "__main__":
    typer.run(main)
