"""Masks to COCO RLE without a loop over pixels: where runs start is found on the masks' device."""

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco
from torch import Tensor

from dtwinseger.twin.mask import Mask

CPU_PIXELS = 1 << 22  # looked at together: what stays in its cache
GPU_PIXELS = 1 << 27  # few waits for the device; its `nonzero` fails above 2^31

Ints = NDArray[np.int64]


def encode(masks: Tensor) -> list[Mask]:
    """Encode `masks`, [M, H, W] bool on the CPU or a GPU, as pycocotools would, byte for byte.

    Only the starts of runs cross to the host. Memory: some bytes a pixel for a few masks at a time, and the runs.
    """
    count, height, width = masks.shape
    step = max(1, (GPU_PIXELS if masks.is_cuda else CPU_PIXELS) // (height * width))
    chunks = (masks[start : start + step] for start in range(0, count, step))
    found = [{"size": [height, width], "counts": runs} for chunk in chunks for runs in _runs(chunk)]
    return [Mask.from_coco(rle) for rle in coco.frPyObjects(found, height, width)] if found else []


def _runs(masks: Tensor) -> list[Ints]:
    """For each mask the lengths of the runs down its columns, background first."""
    changes = _changes(masks)
    bounds = np.arange(len(masks) + 1) * masks[0].numel()
    places = np.searchsorted(changes, bounds)
    starts: Ints = np.insert(changes, places, bounds)
    lengths = np.diff(starts)
    return [lengths[first:last] for first, last in pairwise(places + np.arange(len(bounds)))]


def _changes(masks: Tensor) -> Ints:
    """Where a pixel differs from the one before it, the masks' first from 0: ascending, counted down the columns."""
    changed = torch.empty_like(masks)
    changed[:, 1:] = masks[:, 1:] ^ masks[:, :-1]
    changed[:, 0, 1:] = masks[:, 0, 1:] ^ masks[:, -1, :-1]
    changed[:, 0, 0] = masks[:, 0, 0]
    if changed.is_cuda:
        found: Ints = changed.transpose(1, 2).flatten().nonzero()[:, 0].cpu().numpy()
        return found
    # On the CPU to sort the few changes is cheaper than to transpose all pixels.
    which, row, column = np.unravel_index(np.flatnonzero(changed.numpy()), changed.shape)
    return np.sort((which * changed.shape[2] + column) * changed.shape[1] + row)
