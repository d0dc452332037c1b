"""dtwin-mini-sam: segment_anything's own classes in a small size, built from a config, and decoded fast in training."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from training.mini.sam_encoder import encode_fused

# What the service reads from config.json, beside name, version and the recommended threshold.
CONFIG: dict[str, Any] = {
    "image_encoder": {
        "img_size": 512,
        "patch_size": 16,
        "embed_dim": 256,
        "depth": 8,
        "num_heads": 8,
        "mlp_ratio": 4,
        "out_chans": 128,
        "qkv_bias": True,
        "use_rel_pos": True,
        "window_size": 8,
        "global_attn_indexes": [1, 3, 5, 7],
    },
    "prompt_encoder": {
        "embed_dim": 128,
        "image_embedding_size": [32, 32],
        "input_image_size": [512, 512],
        "mask_in_chans": 16,
    },
    "transformer": {"depth": 2, "embedding_dim": 128, "mlp_dim": 512, "num_heads": 4},
    "mask_decoder": {
        "num_multimask_outputs": 3,
        "transformer_dim": 128,
        "iou_head_depth": 3,
        "iou_head_hidden_dim": 128,
    },
    "pixel_mean": [123.675, 116.28, 103.53],
    "pixel_std": [58.395, 57.12, 57.375],
}


def build_sam(config: dict[str, Any]) -> Sam:
    """A `Sam` from the constructor arguments in `config`, with random weights."""
    norm = partial(nn.LayerNorm, eps=1e-6)
    return Sam(
        image_encoder=ImageEncoderViT(norm_layer=norm, **config["image_encoder"]),
        prompt_encoder=PromptEncoder(**config["prompt_encoder"]),
        mask_decoder=MaskDecoder(transformer=TwoWayTransformer(**config["transformer"]), **config["mask_decoder"]),
        pixel_mean=config["pixel_mean"],
        pixel_std=config["pixel_std"],
    )


def begin(sam: Sam, weights: dict[str, Tensor]) -> None:
    """Give `sam` the weights of one that is like it but for its image's side: tables of positions are interpolated."""
    own = sam.state_dict()
    for name, new in own.items():
        old = weights[name].float()
        if name.endswith("pos_embed"):  # [1, h, w, C]
            old = F.interpolate(old.permute(0, 3, 1, 2), new.shape[1:3], mode="bicubic").permute(0, 2, 3, 1)
        elif "rel_pos" in name:  # [2 * side - 1, C]
            old = F.interpolate(old.T[None], len(new), mode="linear")[0].T
        own[name] = old
    sam.load_state_dict(own)


@dataclass(frozen=True)
class Decoded:
    """For B images with P prompts each and the four mask tokens."""

    logits: Tensor  # [B, P, 4, 128, 128]
    iou: Tensor  # [B, P, 4]


def encode(sam: Any, images: Tensor) -> Tensor:
    """Embeddings [B, C, h, w] of normalised images [B, 3, 512, 512]; in bfloat16 under autocast."""
    device = images.device.type
    embeddings: Tensor = encode_fused(sam.image_encoder, images) if device == "cuda" else sam.image_encoder(images)
    return embeddings.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else embeddings


def decode(sam: Sam, embeddings: Tensor, points: Tensor) -> Decoded:
    """What `sam.mask_decoder` gives for each of points [B, P, 2], x and y in pixels, for all of them in one pass.

    Prompts share their image's side of the first layer, attention projects the few tokens instead of the many image
    positions, and the upscaling keeps channels last: the same numbers in a third of the time.
    """
    batch, prompts = points.shape[:2]
    decoder, transformer = sam.mask_decoder, sam.mask_decoder.transformer
    with torch.autocast(points.device.type, enabled=False):  # bf16 would round coordinates
        sparse = _prompted(sam.prompt_encoder, points.reshape(-1, 1, 2))
        place = sam.prompt_encoder.get_dense_pe().flatten(2).transpose(1, 2)  # [1, S, C]
    place = place.to(embeddings.dtype)
    output = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    tokens = torch.cat([output.expand(batch * prompts, -1, -1), sparse], dim=1)  # [BP, T, C]
    image = (embeddings + sam.prompt_encoder.no_mask_embed.weight.view(1, -1, 1, 1)).to(embeddings.dtype)
    image = image.flatten(2).transpose(1, 2)  # [B, S, C], and [BP, S, C] from the first write on
    pe = tokens
    for layer in transformer.layers:
        if layer.skip_first_layer_pe:
            tokens = layer.self_attn(q=tokens, k=tokens, v=tokens)
        else:
            tokens = tokens + layer.self_attn(q=tokens + pe, k=tokens + pe, v=tokens)
        tokens = layer.norm1(tokens)
        placed = image + place
        tokens = layer.norm2(tokens + _read(layer.cross_attn_token_to_image, tokens + pe, placed, image))
        tokens = layer.norm3(tokens + layer.mlp(tokens))
        written = _write(layer.cross_attn_image_to_token, placed, tokens + pe, tokens)
        image = _normed(layer.norm4, (image[:, None] + written).flatten(0, 1))
    read = _read(transformer.final_attn_token_to_image, tokens + pe, image + place, image)
    tokens = transformer.norm_final_attn(tokens + read)

    first, norm, _, second, _ = decoder.output_upscaling
    pixels = F.gelu(_normed(norm, _spread(image, first)))
    pixels = F.gelu(_spread(pixels, second)).flatten(1, 3)  # [BP, S * 4 * 4, c]
    hyper = [mlp(tokens[:, 1 + i]) for i, mlp in enumerate(decoder.output_hypernetworks_mlps)]
    logits = pixels @ torch.stack(hyper, dim=2)  # [BP, S * 4 * 4, 4]
    height, width = embeddings.shape[-2:]
    logits = logits.view(len(logits), height, width, 2, 2, 2, 2, -1).permute(0, 7, 1, 3, 5, 2, 4, 6)
    logits = logits.reshape(batch, prompts, -1, 4 * height, 4 * width)
    iou = decoder.iou_prediction_head(tokens[:, 0]).view(batch, prompts, -1)
    return Decoded(logits, iou.float())


def _prompted(encoder: Any, points: Tensor) -> Tensor:
    """What `encoder` gives for each of points [N, 1, 2] alone: [N, 2, C], the point and the place of one that is not.

    The reference finds points by their labels, for which it waits for the device.
    """
    there = encoder.pe_layer.forward_with_coords(points + 0.5, encoder.input_image_size)
    there = there + encoder.point_embeddings[1].weight
    return torch.cat([there, encoder.not_a_point_embed.weight.expand_as(there)], dim=1)


def _read(attention: Any, tokens: Tensor, placed: Tensor, image: Tensor) -> Tensor:
    """Tokens [BP, T, C] attend to their image, [B or BP, S, C]. The bias of the keys cancels in the softmax."""
    shape, heads = tokens.shape, attention.num_heads
    q = attention.q_proj(tokens).view(len(image), -1, heads, attention.internal_dim // heads)  # [G, Q, h, d]
    asked = torch.einsum("gqhd,hdc->ghqc", q, attention.k_proj.weight.view(heads, -1, shape[-1]))
    scores = asked.flatten(1, 2) @ placed.transpose(1, 2) * q.shape[-1] ** -0.5  # [G, h * Q, S]
    got = (_softmax(scores) @ image).view(asked.shape)
    out = torch.einsum("ghqc,hdc->gqhd", got, attention.v_proj.weight.view(heads, -1, shape[-1]))
    return attention.out_proj(out.reshape(*shape[:2], -1) + attention.v_proj.bias)  # type: ignore[no-any-return]


def _write(attention: Any, placed: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """The image, [G, S, C] with G = B or BP, attends to the tokens, [BP, T, C]; gives [G, BP / G, S, C]."""
    heads, (prompts, count, width) = attention.num_heads, keys.shape
    k = attention.k_proj(keys).view(prompts, count, heads, -1)
    v = attention.v_proj(values).view(prompts, count, heads, -1)
    scale = k.shape[-1] ** -0.5
    told = torch.einsum("bthd,hdc->bhtc", k, attention.q_proj.weight.view(heads, -1, width)) * scale
    bias = torch.einsum("bthd,hd->bht", k, attention.q_proj.bias.view(heads, -1)) * scale
    gives = torch.einsum("bthd,chd->bhtc", v, attention.out_proj.weight.view(width, heads, -1))
    groups = len(placed)
    told = told.reshape(groups, -1, width)  # [G, P * h * T, C]
    scores = placed @ told.transpose(1, 2) + bias.reshape(groups, 1, -1)  # [G, S, P * h * T]
    shares = _softmax(scores.unflatten(-1, (-1, heads, count)))  # [G, S, P, h, T]
    shares = shares.transpose(1, 2).flatten(3).flatten(0, 1)  # [BP, S, h * T]
    out: Tensor = shares @ gives.flatten(1, 2) + attention.out_proj.bias.to(shares.dtype)
    return out.view(groups, -1, *out.shape[1:])


def _normed(norm: Any, x: Tensor) -> Tensor:
    """`norm` over the last axis, in the type of `x`: autocast would double what is kept of it on a GPU."""
    with torch.autocast(x.device.type, enabled=False):
        return F.layer_norm(x, x.shape[-1:], norm.weight.to(x.dtype), norm.bias.to(x.dtype), norm.eps)


def _softmax(x: Tensor) -> Tensor:
    """Over the last axis, in the type of `x`."""
    with torch.autocast(x.device.type, enabled=False):
        return x.softmax(dim=-1)


def _spread(x: Tensor, up: Any) -> Tensor:
    """A transposed convolution of kernel and stride 2, channels last: [..., c] to [..., 4, c']."""
    weight = up.weight.permute(2, 3, 1, 0).flatten(0, 2)  # [4 * c', c]
    return F.linear(x, weight, up.bias.repeat(4)).view(*x.shape[:-1], 4, -1)
