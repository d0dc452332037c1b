"""Where the numbers of objects stand in a picture: apart from each other, on or near what they number, hiding little.

Pixels of the picture, x right, y down.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_cdt

Floats = NDArray[np.float64]

# What a place costs. A plate that hides a whole object costs HIDES; one outside of its own object OUTSIDE, and AWAY for
# each of its heights of distance; one at the far end of its object OFF_CENTER.
HIDES, OUTSIDE, AWAY, OFF_CENTER = 6.0, 0.6, 0.4, 0.5
SAMPLES = 96  # pixels of the longer side at which the middle of an object is looked for


@dataclass(frozen=True)
class Region:
    """An object in the picture: the offset (left, top) of its box, and what is set there, [H, W] bool, never empty."""

    left: int
    top: int
    inside: NDArray[np.bool_]

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the picture that the box covers."""
        height, width = self.inside.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    def holds(self, x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.bool_]:
        """[P] bool: which of the pixels (x, y) are set."""
        height, width = self.inside.shape
        column, row = x - self.left, y - self.top
        near: NDArray[np.bool_] = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        near[near] = self.inside[row[near], column[near]]
        return near


@dataclass(frozen=True)
class Label:
    """The plate of a number: its center and size, and where a line leads from it, if it stands outside its object."""

    x: int
    y: int
    width: int
    height: int
    points_at: tuple[int, int] | None


def place(
    regions: Mapping[int, Region], plates: Mapping[int, tuple[int, int]], first: Sequence[int], size: tuple[int, int]
) -> dict[int, Label]:
    """A label for each of `regions`, under the same key; `plates` are their (width, height), `size` the picture's.

    Those in `first` choose their places before the others, of which the smaller objects choose before the larger. No
    two overlap while there is room, and each lies in the picture if it fits there.
    """
    hidden = _Hidden(regions, size)
    order = sorted(regions, key=lambda key: (key not in first, int(regions[key].inside.sum())))
    placed: dict[int, Label] = {}
    taken = np.zeros((0, 4))
    for key in order:
        label = _best(regions[key], plates[key], size, hidden, taken)
        placed[key] = label
        taken = np.vstack([taken, (label.x, label.y, label.width, label.height)])
    return placed


class _Hidden:
    """How many objects a plate hides, each as the share of it that is hidden."""

    def __init__(self, regions: Mapping[int, Region], size: tuple[int, int]) -> None:
        width, height = size
        shares = np.zeros((height + 1, width + 1))
        for region in regions.values():
            shares[1:, 1:][region.window] += region.inside / region.inside.sum()
        self._below = shares.cumsum(axis=0).cumsum(axis=1)

    def by(self, x: NDArray[np.int64], y: NDArray[np.int64], plate: tuple[int, int]) -> Floats:
        """[P] by a plate with its center at each (x, y)."""
        bottom, right = self._below.shape[0] - 1, self._below.shape[1] - 1
        x1, x2 = (np.clip(x + side, 0, right) for side in (-(plate[0] // 2), plate[0] // 2))
        y1, y2 = (np.clip(y + side, 0, bottom) for side in (-(plate[1] // 2), plate[1] // 2))
        below = self._below
        shares: Floats = below[y2, x2] - below[y1, x2] - below[y2, x1] + below[y1, x1]
        return shares


def _best(region: Region, plate: tuple[int, int], size: tuple[int, int], hidden: _Hidden, taken: Floats) -> Label:
    """The cheapest of many places: the middle of the object, and a lattice over the picture."""
    width, height = plate
    middle = _middle(region)
    x, y = _candidates(middle, plate, size)
    rows, columns = region.window
    beside = np.hypot(x - np.clip(x, columns.start, columns.stop), y - np.clip(y, rows.start, rows.stop))
    own = region.holds(x, y)
    cost = HIDES * hidden.by(x, y, plate) + np.where(own, 0.0, OUTSIDE + AWAY * beside / height)
    cost += OFF_CENTER * np.hypot(x - middle[0], y - middle[1]) / max(height, *region.inside.shape)
    at = _first_free(np.argsort(cost, kind="stable"), x, y, plate, taken)
    center = int(x[at]), int(y[at])
    return Label(*center, width, height, None if own[at] else _nearest(region, center))


def _first_free(
    order: NDArray[np.int64], x: NDArray[np.int64], y: NDArray[np.int64], plate: tuple[int, int], taken: Floats
) -> int:
    """The first of the places `order` where the plate lies on none of `taken`; the first of all where there is none.

    taken: [N, 4] center x, y, width and height of plates.
    """
    reach = (taken[:, 2:] + plate) / 2 + 1
    for start in range(0, len(order), 64):
        some = order[start : start + 64]
        centers = np.stack([x[some], y[some]], axis=1)
        free = np.all(np.any(np.abs(centers[:, None] - taken[:, :2]) > reach, axis=2), axis=1)
        if free.any():
            return int(some[free.argmax()])
    return int(order[0])


def _candidates(
    middle: tuple[int, int], plate: tuple[int, int], size: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """[P] x and [P] y of centers for which the plate lies in the picture."""
    axes = []
    for center, extent, whole in zip(middle, plate, size, strict=True):
        least, most = extent // 2, max(extent // 2, whole - 1 - extent // 2)
        # From the middle out, so that equal places beside it are equally far.
        steps = np.arange(center % (plate[1] // 2), whole, plate[1] // 2)
        axes.append(np.unique(np.clip(np.append(steps, center), least, most)))
    x, y = np.meshgrid(*axes)
    return x.ravel(), y.ravel()


def _nearest(region: Region, point: tuple[int, int]) -> tuple[int, int]:
    """x, y of the pixel of the object that is nearest to `point`."""
    rows, columns = np.nonzero(region.inside)
    x, y = columns + region.left, rows + region.top
    at = int(((x - point[0]) ** 2 + (y - point[1]) ** 2).argmin())
    return int(x[at]), int(y[at])


def _middle(region: Region) -> tuple[int, int]:
    """x, y of a pixel deep inside the object: that of a ring is on the ring, not in its hole."""
    step = -(-max(region.inside.shape) // SAMPLES)
    sampled = region.inside[step // 2 :: step, step // 2 :: step]
    if not sampled.any():  # thinner than a step
        step, sampled = 1, region.inside
    depth = distance_transform_cdt(np.pad(sampled, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    offset = step // 2 if step > 1 else 0
    return region.left + int(column) * step + offset, region.top + int(row) * step + offset
