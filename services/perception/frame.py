"""The three grids of an image in SAM: its own pixels, the encoder's padded input, and the decoder's low resolution."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from services.perception import overlap
from services.perception.encoder import input_size

FOUND = 0.0  # a logit above it is the mask; segment_anything's `mask_threshold`
_TOGETHER = 1 << 23  # logits at full size at once on a CPU, 32 MB: glibc keeps what is freed up to there
_TOGETHER_CUDA = 1 << 28


@dataclass(frozen=True)
class Measured:
    """M masks at full size, counted."""

    areas: NDArray[np.int64]  # [M] pixels above the threshold
    inner: NDArray[np.int64]  # [M] above it by the offset
    outer: NDArray[np.int64]  # [M] above it less the offset
    boxes: NDArray[np.int64]  # [M, 4] x1, y1, x2, y2, exclusive; zeros for an empty mask

    @classmethod
    def joined(cls, parts: "Sequence[Measured]") -> "Measured":
        """One after the other; at least one."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


@dataclass(frozen=True)
class Frame:
    """How an image lies in the grids. Points are x, y, boxes x1, y1, x2, y2; pixel i covers [i, i + 1)."""

    size: tuple[int, int]  # height, width of the image
    side: int  # of the encoder's square input
    low_side: int  # of the decoder's square masks

    @cached_property
    def input_size(self) -> tuple[int, int]:
        """Height, width of the image within the encoder's input; the rest is padding."""
        return input_size(*self.size, self.side)

    @cached_property
    def low_size(self) -> tuple[int, int]:
        """Height, width of the image within the decoder's masks; a position that is half padding counts."""
        height, width = (-(-n * self.low_side // self.side) for n in self.input_size)
        return height, width

    def to_input(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points [N, 2] of the image in the encoder's input."""
        (height, width), (old_height, old_width) = self.input_size, self.size
        return points * np.array([width / old_width, height / old_height])

    def from_low(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points [N, 2] of the decoder's masks in the image: pixel middles stay middles, clipped to the image."""
        (height, width), (new_height, new_width) = self.input_size, self.size
        scale = self.side / self.low_side * np.array([new_width / width, new_height / height])
        return np.clip((points + 0.5) * scale - 0.5, 0, [new_width - 1, new_height - 1])

    def low_masks(self, logits: Tensor) -> Tensor:
        """Masks [M, y, x] bool of logits [M, low_side, low_side], without the padding."""
        height, width = self.low_size
        return logits[:, :height, :width] > FOUND

    def full_size(self, logits: Tensor) -> Tensor:
        """Masks [M, H, W] bool, by SAM's own two steps: to the encoder's input, then to the image."""
        masks = torch.empty(len(logits), *self.size, dtype=torch.bool, device=logits.device)
        step = self.together(logits.device)
        for start in range(0, len(logits), step):
            torch.gt(self._upsampled(logits[start : start + step]), FOUND, out=masks[start : start + step])
        return masks

    def together(self, device: torch.device) -> int:
        """How many masks are brought to full size at once."""
        pixels = max(self.size[0] * self.size[1], self.input_size[0] * self.side)
        return max(1, (_TOGETHER_CUDA if device.type == "cuda" else _TOGETHER) // pixels)

    def measure(self, logits: Tensor, offset: float) -> Measured:
        """Count the masks of logits [M, low_side, low_side] at full size, `offset` logits around the threshold.

        On a CPU only where a mask can be: a pixel's logit is a mean of the few that it lies between, so one above a
        threshold has one above it among them.
        """
        counts = np.zeros((len(logits), 3), dtype=np.int64)
        boxes = np.zeros((len(logits), 4), dtype=np.int64)
        levels = torch.tensor([FOUND, FOUND + offset, FOUND - offset], device=logits.device)[:, None, None, None]
        if logits.is_cuda:
            step = max(1, self.together(logits.device) // len(levels))
            for start in range(0, len(logits), step):
                above = self._upsampled(logits[start : start + step]) > levels  # [3, m, H, W]
                counts[start : start + step] = overlap.areas(above.flatten(0, 1)).reshape(3, -1).T
                boxes[start : start + step] = overlap.boxes(above[0])
            return Measured(*counts.T, boxes)
        rows, columns = (
            _Axis.of(*sizes, self.side, self.low_side) for sizes in zip(self.input_size, self.size, strict=True)
        )
        for index, mask in enumerate(logits):
            possible = mask > FOUND - offset
            vertical, horizontal = rows.around(possible.any(1)), columns.around(possible.any(0))
            if vertical is None or horizontal is None:
                continue
            part = rows.weights[vertical.out, vertical.low] @ mask[vertical.low, horizontal.low]
            above = (part @ columns.weights[horizontal.out, horizontal.low].T) > levels[:, 0]  # [3, y, x]
            counts[index] = overlap.areas(above)
            if counts[index, 0]:
                left, top = horizontal.out.start, vertical.out.start
                boxes[index] = overlap.boxes(above[:1])[0] + np.array([left, top, left, top])
        return Measured(*counts.T, boxes)

    def _upsampled(self, logits: Tensor) -> Tensor:
        """Logits [M, H, W] of logits [M, low_side, low_side]."""
        scale = self.side // self.low_side
        height, width = self.input_size
        # A step of the padding more than is needed: what is cut off does not change what is left.
        low = logits[:, None, : self.low_size[0] + 1, : self.low_size[1] + 1]
        size = low.shape[-2] * scale, low.shape[-1] * scale
        middle = F.interpolate(low, size, mode="bilinear", align_corners=False)[..., :height, :width]
        return F.interpolate(middle, self.size, mode="bilinear", align_corners=False)[:, 0]


@dataclass(frozen=True)
class _Span:
    low: slice  # of low-resolution positions
    out: slice  # of pixels


@dataclass(frozen=True)
class _Axis:
    """Both steps of the upsampling along one axis, as weights."""

    weights: Tensor  # [pixels, low_side]
    first: Tensor  # [low_side] the first pixel that a position is part of
    last: Tensor  # [low_side] the last one; below `first` where there is none

    @classmethod
    def of(cls, input_size: int, size: int, side: int, low_side: int) -> "_Axis":
        eye = torch.eye(low_side)[None]
        middle = F.interpolate(eye, side, mode="linear", align_corners=False)[..., :input_size]
        weights = F.interpolate(middle, size, mode="linear", align_corners=False)[0].T.contiguous()
        used = weights > 0
        last = size - 1 - used.flip(0).int().argmax(0)
        return cls(weights, used.int().argmax(0), torch.where(used.any(0), last, -1))

    def around(self, possible: Tensor) -> "_Span | None":
        """The pixels that positions [low_side] bool are part of, and all positions that those are made of."""
        positions = torch.nonzero(possible & (self.last >= self.first))[:, 0]
        if not len(positions):
            return None
        out = slice(int(self.first[positions[0]]), int(self.last[positions[-1]]) + 1)
        made_of = torch.nonzero((self.weights[[out.start, out.stop - 1]] > 0).any(0))[:, 0]
        return _Span(slice(int(made_of[0]), int(made_of[-1]) + 1), out)
