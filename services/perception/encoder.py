"""SAM's image encoder: segment_anything's ImageEncoderViT with its own weights, in less time and memory.

Where it departs from the reference, exactly:

- Relative positions. Query i at (y, x) attends to key j at (v, u), of d channels a head, by the softmax over j of

      q_i·k_j / √d + q_i·R_h[y, v] + q_i·R_w[x, u]

  and the reference writes these out, heads x tokens x tokens. On CUDA the bias becomes part of the dot product,

      [q_i, √d R_h[y] q_i, √d R_w[x] q_i] · [k_j, onehot(v), onehot(u)] / √d

  so that a fused attention kernel needs no mask. On the CPU three times as many channels cost more than a mask that is
  still in the cache when it is read: there the bias of a few heads at a time is written over the last one's.
- Windows. A token of padding is zero after the norm, so its q, k and v are the bias of that projection: they are
  filled in after projecting the real tokens, and only those are projected back.
- The tables R, which depend on weights alone, are looked up once.

In bfloat16 the products with weights and the attention are; the stream that blocks add to, the norms, the patch
embedding and the neck stay in fp32.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from segment_anything.modeling.image_encoder import get_rel_pos
from segment_anything.utils.transforms import ResizeLongestSide
from torch import Tensor, nn
from torchvision.transforms.functional import resize, to_pil_image

SLAB = 1 << 22  # elements of bias at a time, or one head's where that is more: 16 MB in fp32, about a CPU's cache


def input_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Height and width of an image as resized for an encoder of `side` pixels: SAM's, and never less than a pixel."""
    resized = ResizeLongestSide.get_preprocess_shape(height, width, side)
    return max(resized[0], 1), max(resized[1], 1)


class Encoder(nn.Module):
    """Images to embeddings, on the device of `sam`, whose own parameters it uses wherever they have `dtype`.

    dtype: float32, or bfloat16 on CUDA; the weights are cast once, here.
    """

    __call__: Callable[..., Tensor]

    def __init__(self, sam: Sam, dtype: torch.dtype) -> None:
        super().__init__()
        vit = sam.image_encoder
        grid = vit.img_size // vit.patch_embed.proj.stride[0]
        self.side: int = vit.img_size
        self.normalise_and_pad = sam.preprocess
        self.device: torch.device = sam.device
        self.patch_embed = vit.patch_embed
        self.pos_embed = vit.pos_embed  # [1, h, w, E] or None
        self.blocks = nn.ModuleList(Block(block, grid, dtype, self.device.type == "cuda") for block in vit.blocks)
        self.neck = vit.neck

    def preprocess(self, images: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Images, each [H, W, 3] uint8 RGB, as SamPredictor prepares them: [B, 3, S, S] fp32 on the device.

        Resized by PIL to a longest side of S, normalised, then padded with 0 at the right and the bottom.
        """
        prepared = []
        for image in images:
            size = input_size(image.shape[0], image.shape[1], self.side)
            resized = np.array(resize(to_pil_image(image), size))  # [h, w, 3]
            pixels = torch.as_tensor(resized, device=self.device).permute(2, 0, 1).contiguous()
            prepared.append(self.normalise_and_pad(pixels))
        return torch.stack(prepared)

    @torch.no_grad()
    def forward(self, pixels: Tensor) -> Tensor:
        """Embeddings [B, C, h, w] fp32 of `pixels` [B, 3, S, S] fp32, as preprocess() gives them."""
        x = self.patch_embed(pixels)  # [B, h, w, E]
        if self.pos_embed is not None:
            x = x + self.pos_embed
        x = x.contiguous()  # the convolution leaves channels first, which every norm would then undo
        for block in self.blocks:
            x = block(x)
        embedding: Tensor = self.neck(x.permute(0, 3, 1, 2))  # [B, C, h, w]
        return embedding.contiguous()


class Block(nn.Module):
    """A transformer block of the encoder, with the weights of the reference's `block`, over grid x grid tokens.

    widen: relative positions as further channels of q and k, instead of as a mask.
    """

    rel_h: Tensor | None  # R_h, or √d R_h to widen: [query, key, d]
    rel_w: Tensor | None
    place: Tensor | None  # of places(), to widen

    def __init__(self, block: Any, grid: int, dtype: torch.dtype, widen: bool) -> None:
        super().__init__()
        self.dtype = dtype
        self.heads: int = block.attn.num_heads
        self.window: int = block.window_size or grid  # tokens on a side; a global block is one window
        self.norm1, self.norm2, self.act = block.norm1, block.norm2, block.mlp.act
        self.qkv, self.proj = _cast(block.attn.qkv, dtype), _cast(block.attn.proj, dtype)
        self.lin1, self.lin2 = _cast(block.mlp.lin1, dtype), _cast(block.mlp.lin2, dtype)
        rel_h = rel_w = place = None
        if block.attn.use_rel_pos:
            learned = (block.attn.rel_pos_h.detach(), block.attn.rel_pos_w.detach())  # each [2 side - 1, d]
            channels = learned[0].shape[1]
            factor = channels**0.5 if widen else 1.0
            rel_h, rel_w = ((get_rel_pos(self.window, self.window, each) * factor).to(dtype) for each in learned)
            place = places(self.window, channels).to(rel_h) if widen else None
        self.register_buffer("rel_h", rel_h, persistent=False)
        self.register_buffer("rel_w", rel_w, persistent=False)
        self.register_buffer("place", place, persistent=False)

    def forward(self, x: Tensor) -> Tensor:  # [B, h, w, E] fp32
        x = x + self.proj(self.attention(self.norm1(x).to(self.dtype)))
        hidden = self.act(self.lin1(self.norm2(x).to(self.dtype)))  # [B, h, w, 4 E]
        added: Tensor = self.lin2(hidden)
        return x + added

    def attention(self, x: Tensor) -> Tensor:
        """What each token gathers from its window, before the projection: [B, h, w, E] to the same."""
        qkv = split(self.qkv(x), self.window, self.heads, self.qkv.bias)
        q, k, v = qkv.unbind()  # each [G, heads, N, d]
        if self.rel_h is None or self.rel_w is None:
            gathered = F.scaled_dot_product_attention(q, k, v)
        elif self.place is None:
            gathered = attend_in_slabs(q, k, v, self.rel_h, self.rel_w)
        else:
            gathered = attend_widened(q, k, v, self.rel_h, self.rel_w, self.place)
        return join(gathered, self.window, *x.shape[:3])


def split(qkv: Tensor, window: int, heads: int, padding: Tensor | None) -> Tensor:
    """[B, h, w, 3 E] to [3, G, heads, N, d]: the tokens of G windows, each of window * window = N, by head.

    padding: [3 E], the value of a token past the right or the bottom; None is zero.
    """
    batch, height, width, channels = qkv.shape
    rows, columns = -(-height // window), -(-width // window)  # of windows
    if (rows * window, columns * window) != (height, width):
        fill = qkv.new_zeros(channels) if padding is None else padding
        padded = fill.expand(batch, rows * window, columns * window, channels).contiguous()
        padded[:, :height, :width] = qkv
        qkv = padded
    parts = qkv.view(batch, rows, window, columns, window, 3, heads, -1).permute(5, 0, 1, 3, 6, 2, 4, 7)
    return parts.reshape(3, batch * rows * columns, heads, window * window, -1)


def join(tokens: Tensor, window: int, batch: int, height: int, width: int) -> Tensor:
    """[G, heads, N, d] as split() orders them to [B, h, w, E], without the padding."""
    rows, columns = -(-height // window), -(-width // window)
    heads, channels = tokens.shape[1], tokens.shape[-1]
    parts = tokens.view(batch, rows, columns, heads, window, window, channels).permute(0, 1, 4, 2, 5, 3, 6)
    return parts.reshape(batch, rows * window, columns * window, -1)[:, :height, :width]


def places(side: int, channels: int) -> Tensor:
    """Where the keys of a window are: [N, P] fp32, for each its row and its column as one-hot vectors, then zeros.

    The zeros make channels + P a multiple of 8, which fused attention kernels want.
    """
    onehot = torch.eye(side)
    place = torch.cat([onehot.repeat_interleave(side, dim=0), onehot.repeat(side, 1)], dim=1)
    return F.pad(place, (0, -(channels + 2 * side) % 8))


def attend_widened(q: Tensor, k: Tensor, v: Tensor, rel_h: Tensor, rel_w: Tensor, place: Tensor) -> Tensor:
    """Attention with relative positions as further channels: q, k, v [G, heads, N, d] to the same.

    rel_h, rel_w: √d times the tables, [side, side, d] for windows of N = side * side tokens. place: of places().
    """
    channels, more = q.shape[-1], place.shape[-1]
    by_row, by_column = relative(q, rel_h, rel_w)
    spare = more - by_row.shape[-1] - by_column.shape[-1]
    wide_q = torch.cat([q, by_row, F.pad(by_column, (0, spare))], dim=-1)  # [G, heads, N, d + P]
    wide_k = torch.cat([k, place.expand(*k.shape[:2], -1, -1)], dim=-1)
    wide_v = F.pad(v, (0, more))  # flash attention takes v at the width of q and k only
    return F.scaled_dot_product_attention(wide_q, wide_k, wide_v, scale=channels**-0.5)[..., :channels]


def attend_in_slabs(q: Tensor, k: Tensor, v: Tensor, rel_h: Tensor, rel_w: Tensor) -> Tensor:
    """Attention with relative positions as a mask, a few heads at a time: q, k, v [G, heads, N, d] to the same.

    rel_h, rel_w: the tables, [side, side, d] for windows of N = side * side tokens.
    """
    (windows, heads, tokens, _), side = q.shape, rel_h.shape[0]
    step = min(max(1, SLAB // tokens**2), windows * heads)
    mask = q.new_empty(step, 1, tokens, side, side)
    # One head of many windows each, [step, 1, N, d] and [step, 1, N, side]: fused kernels want four dimensions.
    slabs = [torch.split(part.flatten(0, 1)[:, None], step) for part in (q, k, v, *relative(q, rel_h, rel_w))]
    gathered = []
    for one_q, one_k, one_v, by_row, by_column in zip(*slabs, strict=True):
        bias = torch.add(by_row[..., :, None], by_column[..., None, :], out=mask[: len(one_q)])
        gathered.append(F.scaled_dot_product_attention(one_q, one_k, one_v, bias.flatten(-2)))
    return torch.cat(gathered).view(q.shape)


def relative(q: Tensor, rel_h: Tensor, rel_w: Tensor) -> tuple[Tensor, Tensor]:
    """The bias of a key by its row and by its column: q [G, heads, N, d] to two of [G, heads, N, side]."""
    grid = torch.unflatten(q, 2, rel_h.shape[:1] * 2)  # [G, heads, y, x, d]
    by_row = torch.einsum("ghyxd,yvd->ghyxv", grid, rel_h)
    by_column = torch.einsum("ghyxd,xud->ghyxu", grid, rel_w)
    return by_row.flatten(2, 3), by_column.flatten(2, 3)


def _cast(linear: nn.Linear, dtype: torch.dtype) -> nn.Linear:
    """`linear` in `dtype`: itself where it has it."""
    return linear if linear.weight.dtype == dtype else copy.deepcopy(linear).to(dtype)
