"""Realistic decoder outputs, to put in the place of those of random weights after these were really computed.

With random weights a predicted IoU is about 0 and a mask is noise of tens of thousands of runs, so everything that
comes after the decoder would cost what it never costs. Every contender gets the same masks and IoUs for a prompt.
"""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from segment_anything.modeling import Sam
from torch import Tensor
from torch.nn import functional as F

from services.perception.decoder import Decoder, Shared, Span, Trunk
from services.perception.frame import Frame
from training.scenes import Scene

STEEP = 8.0  # logits a pixel of the low resolution, at a mask's edge
JITTER = 2.0  # logits: two prompts on one thing do not give quite the same mask
PASSES = 0.88


class Bank:
    """Logits and IoUs for each point of a grid over a rendered scene: its part, object and what is near it."""

    def __init__(
        self, scene: Scene, frame: Frame, points_per_side: int, survivors: float, device: torch.device
    ) -> None:
        """survivors: share of masks that pass an IoU threshold of 0.88."""
        self._frame, self._side = frame, points_per_side
        rng = np.random.default_rng(0)
        masks, index = _masks(scene, points_per_side)
        self._logits = _logits(masks, frame).to(device)  # [U, low, low]
        self._index = torch.from_numpy(index).to(device)  # [n * n, 4]
        self._jitter = torch.from_numpy(rng.normal(0, JITTER, index.shape)).float().to(device)
        passes = rng.random(index.shape) < survivors
        iou = np.where(
            passes, rng.uniform(PASSES + 0.001, 1, index.shape), rng.uniform(0.3, PASSES - 0.001, index.shape)
        )
        self.predicted_iou = torch.from_numpy(iou).float().to(device)  # [n * n, 4]

    def nearest(self, points: Tensor) -> Tensor:
        """The grid's point in whose cell each of `points` [N, 2], x and y in the encoder's input, lies: [N]."""
        height, width = self._frame.input_size
        cells = (points / torch.tensor([width, height], device=points.device) * self._side).long()
        column, row = cells.clamp(0, self._side - 1).unbind(-1)
        return row * self._side + column

    def logits(self, rows: Tensor) -> Tensor:
        """[N, 4, low, low] for the grid's points `rows` [N]."""
        return self._logits[self._index[rows]] + self._jitter[rows, :, None, None]


class BankedDecoder(Decoder):
    """Computes everything, and answers from the bank."""

    def __init__(self, sam: Sam, bank: Bank) -> None:
        super().__init__(sam)
        self._bank = bank
        self._rows = torch.empty(0)

    def trunk(self, shared: Shared, points: Tensor, spans: list[Span]) -> Trunk:  # type: ignore[override]
        self._rows = self._bank.nearest(points)
        return replace(super().trunk(shared, points, spans), predicted_iou=self._bank.predicted_iou[self._rows])

    def upscale(self, shared: Shared, trunk: Trunk, prompts: Tensor, image: int) -> Tensor:
        super().upscale(shared, trunk, prompts, image)
        return self._bank.logits(self._rows[prompts])


def _masks(scene: Scene, points_per_side: int) -> tuple[list[NDArray[np.bool_]], NDArray[np.int64]]:
    """Masks [H, W], and [n * n, 4] which of them a point of the grid has: object, part, object, a larger one."""
    height, width = scene.image.shape[:2]
    masks = [~np.any([found.mask for found in scene.objects], axis=0)]
    owner = np.zeros((height, width, 3), dtype=np.int64)
    for found in scene.objects:
        masks += [found.mask, found.mask | scene.objects[len(masks) % len(scene.objects)].mask]
        owner[found.mask] = len(masks) - 2, len(masks) - 2, len(masks) - 1
        for part in found.parts:
            masks.append(part.mask)
            owner[part.mask, 0] = len(masks) - 1
    middles = (np.arange(points_per_side) + 0.5) / points_per_side
    y, x = np.meshgrid((middles * height).astype(int), (middles * width).astype(int), indexing="ij")
    return masks, owner[y.ravel(), x.ravel()][:, [1, 0, 1, 2]]


def _logits(masks: list[NDArray[np.bool_]], frame: Frame) -> Tensor:
    """Signed distances to the masks' edges at the low resolution, [U, low, low]; the padding is outside."""
    height, width = frame.low_size
    stacked = torch.from_numpy(np.stack(masks))[:, None].float()
    low = F.interpolate(stacked, (height, width), mode="area")[:, 0].numpy() > 0.5
    padded = np.pad(low, ((0, 0), (0, frame.low_side - height), (0, frame.low_side - width)))
    distance = [distance_transform_edt(mask) - distance_transform_edt(~mask) for mask in padded]
    return torch.from_numpy(np.stack(distance)).float().mul_(STEEP).clamp_(-20, 20)
