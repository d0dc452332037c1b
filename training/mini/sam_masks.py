"""Masks of scenes as a trained SAM gives them, for the renderer: what the VLM is shown when it is served."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from training.mini.rendering import Proposer, at_side
from training.mini.sam_model import build_sam, decode, encode
from training.mini.scene_store import SIDE, VIEWS
from training.mini.shown import Mask, Truth

PROMPTS = 2 * VIEWS
ALIKE = 0.8  # IoU above which of two masks one is left out
LEAST = 4  # low-resolution pixels of a mask


def load_sam(folder: Path) -> tuple[Any, float]:
    """The SAM in `folder`, float32 in evaluation mode, and the threshold on the predicted IoU that it recommends."""
    config = json.loads((folder / "config.json").read_text())
    sam = build_sam(config)
    sam.load_state_dict(load_file(folder / "model.safetensors"))
    return sam.float().eval().requires_grad_(False), config["iou_threshold"]


def prepared(sam: Any, image: npt.NDArray[np.uint8]) -> Tensor:
    """[1, 3, SIDE, SIDE] of an image [h, w, 3] with its longest side at SIDE, normalised and padded as served."""
    pixels: Tensor = sam.preprocess(torch.from_numpy(image.copy()).permute(2, 0, 1).float())
    return pixels[None]


def proposer(folder: Path) -> Proposer:
    """Proposes masks by the SAM in `folder`: the part and the object at points in parts and anywhere, each once."""
    torch.set_num_threads(1)
    sam, threshold = load_sam(folder)

    def propose(rng: np.random.Generator, truth: Truth) -> list[Mask]:
        image, owners = at_side(truth)
        points = torch.from_numpy(_points(rng, owners)).float()[None]
        decoded = decode(sam, encode(sam, prepared(sam, image)), points)
        logits = _chosen(decoded.logits[0], decoded.iou[0], threshold)
        order = torch.from_numpy(rng.permutation(len(logits)))
        kept = logits[order[_distinct(logits[order] > 0)]][:VIEWS]
        masks = _full_size(kept, owners.shape, truth.owners.shape)
        return [mask for mask in masks if mask.any()]

    return propose


def _points(rng: np.random.Generator, owners: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """[PROMPTS, 2] x and y: five of six in parts, each as likely as others, and the rest anywhere."""
    numbers = np.unique(owners[owners > 0])
    points = []
    for k in range(PROMPTS):
        where = np.ones_like(owners, np.bool_) if k % 6 == 0 or not len(numbers) else owners == rng.choice(numbers)
        pixel = int(rng.choice(np.flatnonzero(where)))
        points.append((pixel % owners.shape[1], pixel // owners.shape[1]))
    return np.array(points)


def _chosen(logits: Tensor, iou: Tensor, threshold: float) -> Tensor:
    """Of logits [P, 4, h, w] what passes: by turns a prompt's part, by token 0, and the largest of the other three."""
    areas = (logits > 0).sum(dim=(2, 3))
    passing = (iou >= threshold) & (areas >= LEAST)
    prompts = torch.arange(len(logits))
    largest = 1 + torch.where(passing, areas, -1)[:, 1:].argmax(dim=1)
    token = torch.where(prompts % 2 == 0, 0, largest)
    kept = prompts[passing[prompts, token]]
    return logits[kept, token[kept]]


def _distinct(masks: Tensor) -> list[int]:
    """Indices of masks [M, h, w] of which none is like an earlier one."""
    flat = masks.flatten(1).float()
    shared = flat @ flat.T
    areas = shared.diagonal()
    iou = shared / (areas[:, None] + areas - shared).clamp(min=1)
    kept: list[int] = []
    for i in range(len(flat)):
        if not kept or iou[i, kept].max() < ALIKE:
            kept.append(i)
    return kept


def _full_size(logits: Tensor, inside: tuple[int, ...], size: tuple[int, ...]) -> list[Mask]:
    """Low-resolution logits [M, h, w] as masks of the scene's size; inside: height and width that the image fills."""
    if not len(logits):
        return []
    padded = F.interpolate(logits[:, None], (SIDE, SIDE), mode="bilinear")[..., : inside[0], : inside[1]]
    masks = F.interpolate(padded, (size[0], size[1]), mode="bilinear")[:, 0] > 0
    return list(masks.numpy())
