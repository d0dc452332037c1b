"""The three grids of an image in SAM: its own pixels, the encoder's padded input, and the decoder's low resolution."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from services.perception.encoder import input_size

FOUND = 0.0  # a logit above it is the mask; segment_anything's `mask_threshold`
_TOGETHER = 1 << 23  # logits at full size at once on a CPU, 32 MB: glibc keeps what is freed up to there
_TOGETHER_CUDA = 1 << 28


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
        scaled: NDArray[np.float64] = points * np.array([width / old_width, height / old_height])
        return scaled

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

    def _upsampled(self, logits: Tensor) -> Tensor:
        """Logits [M, H, W] of logits [M, low_side, low_side]."""
        scale = self.side // self.low_side
        height, width = self.input_size
        # A step of the padding more than is needed: what is cut off does not change what is left.
        low = logits[:, None, : self.low_size[0] + 1, : self.low_size[1] + 1]
        size = low.shape[-2] * scale, low.shape[-1] * scale
        middle = F.interpolate(low, size, mode="bilinear", align_corners=False)[..., :height, :width]
        return F.interpolate(middle, self.size, mode="bilinear", align_corners=False)[:, 0]
