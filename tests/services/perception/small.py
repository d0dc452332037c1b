"""SAMs of random weights, for tests that are about the code and not about the masks."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from segment_anything import sam_model_registry
from segment_anything.modeling import Sam

from services.perception.checkpoint import SmallSam

BUNDLED = Path("models/dtwin-mini-sam")

CONFIG: dict[str, Any] = {
    "name": "random-sam",
    "version": "0",
    "iou_threshold": 0.0,
    "image_encoder": {
        "img_size": 128,
        "patch_size": 16,
        "embed_dim": 32,
        "depth": 2,
        "num_heads": 2,
        "out_chans": 32,
        "use_rel_pos": True,
        "window_size": 3,
        "global_attn_indexes": [1],
    },
    "prompt_encoder": {
        "embed_dim": 32,
        "image_embedding_size": [8, 8],
        "input_image_size": [128, 128],
        "mask_in_chans": 4,
    },
    "transformer": {"depth": 2, "embedding_dim": 32, "mlp_dim": 64, "num_heads": 2},
    "mask_decoder": {"num_multimask_outputs": 3, "transformer_dim": 32, "iou_head_hidden_dim": 32},
    "pixel_mean": [123.675, 116.28, 103.53],
    "pixel_std": [58.395, 57.12, 57.375],
}


def random_sam(seed: int = 0, depth: int = 2) -> Sam:
    """A few thousand weights."""
    torch.manual_seed(seed)
    config = CONFIG | {"transformer": CONFIG["transformer"] | {"depth": depth}}
    return filled(SmallSam.model_validate(config).build())


def random_vit_b(seed: int = 0) -> Sam:
    """segment_anything's smallest, at its full size."""
    torch.manual_seed(seed)
    return filled(sam_model_registry["vit_b"]())


def filled(sam: Sam) -> Sam:
    """`sam` with random numbers where its constructor has zeros and ones, so that nothing cancels by chance."""
    for name, parameter in sam.named_parameters():
        if "rel_pos" in name or "pos_embed" in name:
            torch.nn.init.normal_(parameter, std=0.1)
        elif parameter.ndim == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return sam.eval().requires_grad_(False)


def save(folder: Path, sam: Sam, config: dict[str, Any] | None = None) -> Path:
    """A checkpoint as the service takes it."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in sam.state_dict().items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config or CONFIG))
    return folder
