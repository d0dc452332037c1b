"""How masks overlap: exact areas, boxes, pairwise intersections, IoU and containment of a thousand masks at once.

Masks are tensors [M, h, w] bool on the CPU or a GPU, of at most 2^24 pixels each (counts are exact in float32 up to
there). Results are numpy arrays: what is decided from them is decided on the host. Rows and columns of [M, M] results
are in the order of the masks.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TILE = 32  # pixels; a row of a tile is one 32-bit word
BLOCK = 1 << 18  # elements of a temporary array on the CPU: what stays in its cache
DEVICE_BLOCK = 1 << 28  # the same on a GPU: half a gigabyte in bfloat16

Ints = NDArray[np.int64]
Counts = NDArray[np.int32]
Floats = NDArray[np.float64]


def counts(masks: Tensor, dim: int) -> Tensor:
    """Set pixels along `dim`, 1 (of each column, [M, w]) or 2 (of each row, [M, h]): int64, on the masks' device."""
    # Bytes summed as bytes are a hundred times faster than widened ones; 128 of them cannot overflow.
    parts = torch.split(masks.view(torch.uint8), 128, dim)
    return torch.stack([part.sum(dim, dtype=torch.uint8) for part in parts]).sum(0)


def areas(masks: Tensor) -> Ints:
    """Pixels set in each mask: [M] int64."""
    area: Ints = counts(masks, 1).sum(1).cpu().numpy()
    return area


def boxes(masks: Tensor) -> Ints:
    """The box around each mask: [M, 4] int64 x1, y1, x2, y2 in its pixels, x2 and y2 exclusive; zeros if empty."""
    height, width = masks.shape[1:]
    pixels = masks.view(torch.uint8)  # as bytes, because a maximum of bools is ten times slower
    columns, rows = pixels.amax(1), pixels.amax(2)  # [M, w], [M, h]
    left, top = columns.argmax(1), rows.argmax(1)
    right, bottom = width - columns.flip(1).argmax(1), height - rows.flip(1).argmax(1)
    corners = torch.stack([left, top, right, bottom], dim=1) * rows.amax(1, keepdim=True)
    box: Ints = corners.cpu().numpy()
    return box


def areas_and_intersections(masks: Tensor) -> tuple[Ints, Counts]:
    """Pixels set in each mask, [M] int64, and pixels that each two of them share, [M, M] int32 with areas as diagonal.

    All pairs, exactly. Meant for the decoder's resolution: a thousand masks of 256 x 256 take some 35 ms on a CPU core,
    twelve thousand 4 s. Memory is what the result takes, 4 M^2 bytes, and the masks at one bit a pixel twice.
    """
    shared = _product(masks) if masks.is_cuda else _tiled(masks.numpy())
    return shared.diagonal().astype(np.int64), shared


def iou(shared: Counts, area: Ints) -> Floats:
    """|i ∩ k| / |i ∪ k| of intersections [M, M] and areas [M]: [M, M] float64, 0 where both are empty."""
    union = np.add.outer(area, area, dtype=np.float64)
    union -= shared
    np.maximum(union, 1, out=union)
    return np.divide(shared, union, out=union)


def containment(shared: Counts, area: Ints) -> Floats:
    """|i ∩ k| / |i|, the share of i that lies in k, as `iou`: [M, M] float64, 0 where i is empty."""
    share: Floats = shared / np.maximum(area, 1)[:, None]
    return share


def _product(masks: Tensor) -> Counts:
    """One matrix product: 0 and 1 are exact in bfloat16, their sums in float32."""
    pixels = masks.flatten(1)
    shared = torch.zeros(len(masks), len(masks), device=masks.device)
    for part in torch.split(pixels, max(1, DEVICE_BLOCK // max(1, len(masks))), dim=1):
        part = part.bfloat16()
        shared += torch.mm(part, part.T, out_dtype=torch.float32)
    result: Counts = shared.int().cpu().numpy()
    return result


def _tiled(masks: NDArray[np.bool_]) -> Counts:
    """Tile by tile: a mask that fills a tile shares all that another has there, and most tiles are filled or empty.

    So only masks whose outlines pass through the same tile are compared bit by bit.
    """
    count = len(masks)
    tiles = _packed(masks)
    inside = np.bitwise_count(tiles).sum(2, dtype=np.int32)  # [T, M]
    full = inside == TILE * TILE
    outlined = (inside > 0) & ~full
    fills, holds, rest = (of.T.astype(np.float32) for of in (full, inside, inside * outlined))  # [M, T]
    shared = np.empty((count, count), np.int32)
    for rows in _blocks(count, count):
        shared[rows] = fills[rows] @ holds.T + rest[rows] @ fills.T
    for tile, crossing in zip(tiles, outlined, strict=True):
        which = np.flatnonzero(crossing)
        words = np.ascontiguousarray(tile[which].T)  # [TILE * TILE / 64, N]
        for rows in _blocks(len(which), len(which)):
            found = np.zeros((len(which[rows]), len(which)), np.uint16)
            for word in words:
                found += np.bitwise_count(word[rows, None] & word)
            shared[which[rows, None], which] += found
    return shared


def _blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of `rows` that make blocks of about BLOCK elements."""
    step = max(1, BLOCK // max(1, columns))
    return (slice(start, start + step) for start in range(0, rows, step))


def _packed(masks: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Masks [M, h, w] cut into T square tiles, zeros past the edges, eight pixels a byte: [T, M, TILE * TILE / 64]."""
    count, height, width = masks.shape
    down, across = -(-height // TILE), -(-width // TILE)
    bits = np.zeros((count, down * TILE, across * TILE // 8), np.uint8)
    bits[:, :height, : -(-width // 8)] = np.packbits(masks, axis=2)
    tiles = bits.view(np.uint32).reshape(count, down, TILE, across).transpose(1, 3, 0, 2)
    return np.ascontiguousarray(tiles).view(np.uint64).reshape(down * across, count, TILE * TILE // 64)
