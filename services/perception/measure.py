"""Areas, stability counts and boxes of masks at full size, at the cost of their outlines.

A pixel's logit is a weighted mean of the few low-resolution positions around it. So in a tile whose positions, and
those next to it, are all above a threshold (or all below) every pixel is: only tiles between are brought to full size.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from services.perception import overlap
from services.perception.frame import FOUND, Frame

TILE = 8  # positions a side
REACH = 2  # positions around a pixel's own that it can be a mean of: one for each of the two steps
_WINDOW = TILE + 2 * REACH
_TOGETHER = 1 << 22  # pixels at once

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Measured:
    """M masks at full size, counted."""

    areas: Ints  # [M] pixels above the threshold
    inner: Ints  # [M] above it by the offset
    outer: Ints  # [M] above it less the offset
    boxes: Ints  # [M, 4] x1, y1, x2, y2, exclusive; zeros for an empty mask

    @classmethod
    def joined(cls, parts: "Sequence[Measured]") -> "Measured":
        """One after the other; at least one."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


def measure(frame: Frame, logits: Tensor, offset: float) -> Measured:
    """Count the masks of logits [M, low_side, low_side] at full size, `offset` (0 or more) around the threshold."""
    rows, columns = (
        _Axis.of(*sizes, frame.side, frame.low_side, logits.device)
        for sizes in zip(frame.input_size, frame.size, strict=True)
    )
    extra = -frame.low_side % TILE
    padded = F.pad(logits[:, None], (REACH, REACH + extra) * 2, mode="replicate")[:, 0]
    tiles = padded.unfold(1, _WINDOW, TILE).unfold(2, _WINDOW, TILE)  # [M, Ty, Tx, _WINDOW, _WINDOW]
    pixels = rows.count[:, None] * columns.count  # [Ty, Tx]
    full = (tiles.amin((3, 4)) > FOUND + offset) & (pixels > 0)  # [M, Ty, Tx]
    clear = (tiles.amax((3, 4)) <= FOUND - offset) | (pixels == 0)

    counts = np.repeat((full * pixels).sum((1, 2)).cpu().numpy()[:, None], 3, axis=1)  # [M, 3]
    which, y, x = (index.cpu().numpy() for index in full.nonzero(as_tuple=True))
    found = [(which, rows.boxed(y, columns, x))]
    which, y, x = (index.cpu().numpy() for index in (~full & ~clear).nonzero(as_tuple=True))
    step = max(1, _TOGETHER // (rows.weights.shape[1] * columns.weights.shape[1]))
    for start in range(0, len(which), step):
        of, at_y, at_x = (index[start : start + step] for index in (which, y, x))
        values = rows.weights[at_y] @ tiles[of, at_y, at_x] @ columns.weights[at_x].mT  # [K, Py, Px], 0 past a tile
        for n, level in enumerate((FOUND, FOUND + offset, FOUND - offset)):
            above = values > level
            number = overlap.areas(above)
            if level < 0:
                number -= above[0].numel() - pixels.cpu().numpy()[at_y, at_x]
            np.add.at(counts[:, n], of, number)
            if n == 0:
                boxes = overlap.boxes(above) + rows.corners(at_y, columns, at_x)
                found.append((of[number > 0], boxes[number > 0]))
    of, boxes = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Measured(counts[:, 0], counts[:, 1], counts[:, 2], _around(len(logits), of, boxes))


@dataclass(frozen=True)
class _Axis:
    """Both steps of the upsampling along one axis, by tiles of which the i-th has pixels [first, first + count)."""

    weights: Tensor  # [T, P, _WINDOW] of a tile's pixels; zero past its last
    first: Tensor  # [T]
    count: Tensor  # [T]

    @classmethod
    def of(cls, input_size: int, size: int, side: int, low_side: int, device: torch.device) -> "_Axis":
        tiles = -(-low_side // TILE)
        pixel = torch.arange(size)
        tile = ((pixel + 0.5) * (input_size / size) * (low_side / side) / TILE).long().clamp(max=tiles - 1)
        count = torch.bincount(tile, minlength=tiles)
        first = count.cumsum(0) - count
        weights = torch.zeros(tiles, int(count.max()), _WINDOW, dtype=torch.float64)
        for middle, share in _between(pixel, input_size / size, input_size):
            for position, part in _between(middle, low_side / side, low_side):
                at = position - tile * TILE + REACH
                weights.index_put_((tile, pixel - first[tile], at), share * part, accumulate=True)
        return cls(weights.float().to(device), first.to(device), count.to(device))

    def boxed(self, y: Ints, across: "_Axis", x: Ints) -> Ints:
        """[K, 4] the boxes of tiles (y, x), self being the rows."""
        sizes = np.stack([across.count.cpu().numpy()[x], self.count.cpu().numpy()[y]], axis=1)
        corners = self.corners(y, across, x)
        corners[:, 2:] += sizes
        return corners

    def corners(self, y: Ints, across: "_Axis", x: Ints) -> Ints:
        """[K, 4] the first pixel of tiles (y, x), as x, y, x, y."""
        return np.tile(np.stack([across.first.cpu().numpy()[x], self.first.cpu().numpy()[y]], axis=1), 2)


def _between(index: Tensor, scale: float, length: int) -> list[tuple[Tensor, Tensor]]:
    """Bilinear interpolation as torch has it, middles on middles: the two of `length` that lie around, and shares."""
    at = ((index.double() + 0.5) * scale - 0.5).clamp(0, length - 1)
    low = at.floor().long()
    return [(low, 1 - (at - low)), ((low + 1).clamp(max=length - 1), at - low)]


def _around(count: int, which: Ints, boxes: Ints) -> Ints:
    """[count, 4] the box around all of `boxes` [K, 4] of each mask `which` [K]; zeros where there is none."""
    around = np.full((count, 4), np.iinfo(np.int64).max)
    around[:, 2:] = 0
    np.minimum.at(around[:, :2], which, boxes[:, :2])
    np.maximum.at(around[:, 2:], which, boxes[:, 2:])
    around[around[:, 2] == 0] = 0
    return around
