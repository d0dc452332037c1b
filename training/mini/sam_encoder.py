"""segment_anything's ImageEncoderViT with fused attention, for training on a GPU: the same numbers and gradients.

The reference writes out each query's bias for each key, by row and by column. Here these are further channels of query
and key, whose dot product they are: no tensor of all pairs is kept for the backward pass.
"""

from typing import Any

import torch
from segment_anything.modeling.image_encoder import window_partition, window_unpartition
from torch import Tensor
from torch.nn import functional as F


def encode_fused(vit: Any, images: Tensor) -> Tensor:
    """What `vit` gives: [B, 3, S, S] to [B, C, h, w]. It must have absolute and relative positions, as SAM's have."""
    x = vit.patch_embed(images) + vit.pos_embed  # [B, h, w, E]
    for block in vit.blocks:
        x = x + _attended(block, block.norm1(x))
        x = x + block.mlp(block.norm2(x))
    embeddings: Tensor = vit.neck(x.permute(0, 3, 1, 2))
    return embeddings


def _attended(block: Any, x: Tensor) -> Tensor:
    """What each token of [B, h, w, E] gathers, from its window or from all."""
    if not block.window_size:
        return _attend(block.attn, x)
    windows, padded = window_partition(x, block.window_size)
    gathered: Tensor = window_unpartition(_attend(block.attn, windows), block.window_size, padded, x.shape[1:3])
    return gathered


def _attend(attention: Any, x: Tensor) -> Tensor:
    """Attention among the tokens of each of [G, h, w, E]."""
    groups, height, width, _ = x.shape
    qkv = attention.qkv(x).view(groups, height * width, 3, attention.num_heads, -1)
    q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind()  # [G, heads, N, d]
    grid, root = q.unflatten(2, (height, width)), q.shape[-1] ** 0.5
    by_row = torch.einsum("ghyxd,yvd->ghyxv", grid, _between(attention.rel_pos_h, height).to(q))
    by_column = torch.einsum("ghyxd,xud->ghyxu", grid, _between(attention.rel_pos_w, width).to(q))
    bias = root * torch.cat([by_row, by_column], dim=-1).flatten(2, 3)  # [G, heads, N, h + w]
    rows, columns = (torch.eye(side, device=q.device, dtype=q.dtype) for side in (height, width))
    place = torch.cat([rows.repeat_interleave(width, dim=0), columns.repeat(height, 1)], dim=1)  # [N, h + w], of keys
    gathered = F.scaled_dot_product_attention(
        torch.cat([q, bias], dim=-1),
        torch.cat([k, place.expand(*k.shape[:2], -1, -1)], dim=-1),
        F.pad(v, (0, height + width)),  # flash attention takes v at the width of q and k only
        scale=1 / root,
    )
    out: Tensor = attention.proj(gathered[..., : v.shape[-1]].transpose(1, 2).reshape(x.shape))
    return out


def _between(table: Tensor, side: int) -> Tensor:
    """[side, side, d]: the entry for each place of a query and of a key, of a table [2 * side - 1, d].

    What the reference's `get_rel_pos` gives, whose indices come from the CPU, which a CUDA graph cannot wait for.
    """
    place = torch.arange(side, device=table.device)
    return table[place[:, None] - place + side - 1]
