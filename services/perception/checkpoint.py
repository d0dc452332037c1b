"""Loading of SAM weights: segment-anything's ViT-H, L and B, and small ones that bring a config.json."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from segment_anything import sam_model_registry
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import Tensor, nn

from services.perception.settings import Architecture
from services.perception.weights import RELEASES

SAM_IOU_THRESHOLD = 0.88  # what segment-anything's own mask generator recommends


class CheckpointError(Exception):
    """The weights cannot be served; the message says why and what to set."""


class SmallSam(BaseModel):
    """The config.json beside the weights of a small SAM: the constructor arguments of each class."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    iou_threshold: Annotated[float, Field(ge=0, le=1)]
    image_encoder: dict[str, Any]
    prompt_encoder: dict[str, Any]
    transformer: dict[str, Any]
    mask_decoder: dict[str, Any]
    pixel_mean: tuple[float, float, float]
    pixel_std: tuple[float, float, float]

    def build(self) -> Sam:
        """The network, with random weights. Raises TypeError where an argument is unknown."""
        norm = partial(nn.LayerNorm, eps=1e-6)
        return Sam(
            image_encoder=ImageEncoderViT(norm_layer=norm, **self.image_encoder),
            prompt_encoder=PromptEncoder(**self.prompt_encoder),
            mask_decoder=MaskDecoder(transformer=TwoWayTransformer(**self.transformer), **self.mask_decoder),
            pixel_mean=list(self.pixel_mean),
            pixel_std=list(self.pixel_std),
        )


@dataclass(frozen=True)
class Checkpoint:
    """Weights ready to serve, in fp32 and evaluation mode. `name` ends with the content hash of what was loaded."""

    sam: Sam
    name: str
    iou_threshold: float  # on the predicted IoU, as recommended for these weights


def load_checkpoint(path: Path, architecture: Architecture | None, device: torch.device) -> Checkpoint:
    """Load a .pth or .safetensors file of `architecture`; without one, by the config.json beside the file.

    A folder stands for its model.safetensors. Pickled code is never run. Raises CheckpointError.
    """
    weights = path / "model.safetensors" if path.is_dir() else path
    if not weights.is_file():
        raise CheckpointError(
            f"there is no checkpoint at {weights}; mount the weights there, set PERCEPTION_CHECKPOINT to "
            "where they are, or get some: `make weights`"
        )
    digest = hashlib.sha256()
    if architecture is None:
        config, text = _config(weights)
        digest.update(text)
        try:
            sam = config.build()
        except (TypeError, AssertionError) as error:
            raise CheckpointError(f"{weights.parent / 'config.json'} describes no SAM: {error}") from error
        name, threshold, kind = f"{config.name}-{config.version}", config.iou_threshold, config.name
    else:
        sam = sam_model_registry[architecture]()
        name, threshold, kind = f"sam-{architecture}", SAM_IOU_THRESHOLD, architecture
    _fill(sam, _tensors(weights), weights, kind)
    with weights.open("rb") as file:
        while block := file.read(1 << 24):
            digest.update(block)
    if architecture is not None:
        _require_published(weights, architecture, digest.hexdigest())
    sam.requires_grad_(False)
    return Checkpoint(sam.float().eval().to(device), f"{name}-{digest.hexdigest()[:12]}", threshold)


def _require_published(weights: Path, architecture: Architecture, sha256: str) -> None:
    """Raise CheckpointError where a file that bears the published checkpoint's name is another."""
    release = RELEASES[architecture]
    if weights.name == release.file and sha256 != release.sha256:
        raise CheckpointError(
            f"{weights} is not the checkpoint of that name: its SHA-256 is {sha256}, not {release.sha256}; move it "
            f"away and get it again: `make weights MODEL={architecture}`"
        )


def _config(weights: Path) -> tuple[SmallSam, bytes]:
    file = weights.parent / "config.json"
    if not file.is_file():
        raise CheckpointError(
            f"{weights} has no config.json beside it; for a segment-anything checkpoint set PERCEPTION_ARCHITECTURE "
            "to vit_h, vit_l or vit_b"
        )
    text = file.read_bytes()
    try:
        return SmallSam.model_validate(json.loads(text)), text
    except (ValidationError, ValueError) as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from error


def _tensors(weights: Path) -> Mapping[str, Tensor]:
    try:
        if weights.suffix == ".safetensors":
            loaded: Any = load_file(weights)
        else:
            loaded = torch.load(weights, map_location="cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        reason = str(error).partition("\n")[0]  # torch adds a page of advice
        raise CheckpointError(f"{weights} cannot be read as a checkpoint: {reason}") from error
    if not isinstance(loaded, Mapping) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise CheckpointError(f"{weights} holds no mapping of names to tensors")
    return loaded


def _fill(sam: Sam, tensors: Mapping[str, Tensor], weights: Path, kind: str) -> None:
    wanted = sam.state_dict()
    missing = wanted.keys() - tensors.keys()
    unknown = tensors.keys() - wanted.keys()
    other = [
        f"{name} is {list(tensors[name].shape)}, not {list(wanted[name].shape)}"
        for name in wanted.keys() & tensors.keys()
        if tensors[name].shape != wanted[name].shape
    ]
    if missing or unknown or other:
        example = next(iter([*sorted(other), *sorted(missing), *sorted(unknown)]))
        raise CheckpointError(
            f"{weights} is no {kind}: {len(missing)} tensors are missing, {len(unknown)} unknown, "
            f"{len(other)} of another shape (for one, {example}); check PERCEPTION_ARCHITECTURE"
        )
    sam.load_state_dict(dict(tensors))
