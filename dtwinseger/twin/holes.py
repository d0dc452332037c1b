"""Holes of masks, found on the runs of their RLE: no mask is decoded."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dtwinseger.twin.mask import Mask, run_lengths, union

Ints = NDArray[np.int64]


def fill_holes(masks: Sequence[Mask]) -> list[Mask]:
    """Each mask with its holes filled, as `scipy.ndimage.binary_fill_holes` does; one without holes as it is.

    masks: N of one size. A hole is background that no steps up, down, left and right, never onto the mask, lead out
    of the image.
    """
    if not masks:
        return []
    height, width = masks[0].size
    starts, ends = _holes(*_background(masks), height, width)
    cuts = np.searchsorted(starts, np.arange(len(masks) + 1) * height * width)
    result = list(masks)
    for which in np.flatnonzero(np.diff(cuts)).tolist():
        one = slice(cuts[which], cuts[which + 1])
        edges = np.column_stack([starts[one], ends[one]]).ravel() - which * height * width
        runs = np.diff(edges, prepend=0, append=height * width)  # background first, as COCO has them
        [holes] = coco.frPyObjects([{"size": [height, width], "counts": runs}], height, width)
        result[which] = union([masks[which], Mask.from_coco(holes)], (height, width))
    return result


def _background(masks: Sequence[Mask]) -> tuple[Ints, Ints]:
    """Where runs of background start and end, [R] each, counted down the columns of all masks side by side.

    No run is empty and between two of them there is a pixel of a mask.
    """
    of_each = [run_lengths(mask.counts) for mask in masks]
    # The next mask begins with background again.
    lengths = np.concatenate([runs if len(runs) % 2 == 0 else np.append(runs, 0) for runs in of_each])
    bounds = np.cumsum(lengths)
    starts, ends = bounds[::2] - lengths[::2], bounds[::2]
    starts, ends = starts[starts < ends], ends[starts < ends]
    first, last = starts > np.append(-1, ends)[:-1], ends < np.append(starts, bounds[-1] + 1)[1:]
    return starts[first], ends[last]


def _holes(starts: Ints, ends: Ints, height: int, width: int) -> tuple[Ints, Ints]:
    """Those of the runs, as `_background` gives them, that are in holes.

    A run that reaches an edge of the image is in none. Any other lies within one column, and is in a hole unless runs
    that touch each other in neighboring columns join it to one that is not.
    """
    column = starts // height
    within = (starts % height > 0) & (ends % height > 0) & (column == ends // height)
    within &= (column % width > 0) & (column % width < width - 1)
    node = np.where(within, np.cumsum(within), 0)  # 0 is the outside, all of it
    one, other = [], []
    for shift in (-height, height):
        first = np.searchsorted(ends, starts[within] + shift, side="right")
        touched = np.searchsorted(starts, ends[within] + shift, side="left") - first
        skipped = np.cumsum(touched) - touched
        one.append(np.repeat(node[within], touched))
        other.append(node[np.arange(touched.sum()) + np.repeat(first - skipped, touched)])
    pairs = np.concatenate(one), np.concatenate(other)
    nodes = int(within.sum()) + 1
    _, part = connected_components(coo_array((np.ones(len(pairs[0]), np.bool_), pairs), shape=(nodes, nodes)), False)
    enclosed = part[node] != part[0]
    return starts[enclosed], ends[enclosed]
