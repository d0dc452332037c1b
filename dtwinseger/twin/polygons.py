"""Masks as polygons with holes whose rings follow the edges of pixels, so that no pixel is lost either way.

A vertex is (x, y), integers, in the frame of pixel corners: x right, y down, (0, 0) the top left corner of the image
and (W, H) its bottom right one; the pixel in column c and row r is the square from (c, r) to (c + 1, r + 1). The mask
is what lies inside by the even-odd rule: pixel (c, r) is set where (c + 0.5, r + 0.5) is inside.

Rings are closed (the last vertex repeats the first), go along rows and columns alone, and turn at each vertex. The
first ring of a polygon is its outer one, and has a positive area by the shoelace formula on (x, y), which RFC 7946
calls counterclockwise; it looks clockwise on a screen. The others are holes and run the other way.

Pixels are connected by their edges: those that meet at a corner only are polygons of their own. No ring touches itself,
and two rings meet in corners alone, so that the polygons are valid as OGC Simple Features has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dtwinseger.twin.mask import Mask, segments

Vertex = tuple[int, int]
Ring = tuple[Vertex, ...]
Polygon = tuple[Ring, ...]

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class _Corners:
    """Where the boundary turns, [C] each. One crack, an edge between a set pixel and one that is not, is horizontal."""

    x: Ints
    y: Ints
    right: Bools  # the horizontal crack lies right of the corner
    above: Bools  # the set pixel lies above the horizontal crack
    part: Ints  # that the set pixel belongs to

    def ordered(self, order: Ints) -> "_Corners":
        return _Corners(self.x[order], self.y[order], self.right[order], self.above[order], self.part[order])


def to_polygons(mask: Mask) -> tuple[Polygon, ...]:
    """The polygons of `mask` from left to right; none where it is empty. Time goes with its runs, not its pixels."""
    corners = _corners(*segments(mask), mask.size[0])
    corners = corners.ordered(_down_the_columns(corners))
    across, down = _paired(np.lexsort((corners.right, corners.x, corners.y))), _paired(np.arange(len(corners.x)))
    following = np.where(corners.right != corners.above, across, down)  # what is set is kept at the right hand
    vertices = list(zip(corners.x.tolist(), corners.y.tolist(), strict=True))
    polygons: dict[int, list[Ring]] = {}
    # The leftmost corner of a part is on its outer ring, which so comes first.
    for ring in _cycles(following):
        polygons.setdefault(int(corners.part[ring[0]]), []).append(tuple(vertices[at] for at in [*ring, ring[0]]))
    return tuple(tuple(rings) for rings in polygons.values())


def from_polygons(polygons: Sequence[Polygon], size: tuple[int, int]) -> NDArray[np.bool_]:
    """What `polygons`, with rings along rows and columns, hold by the even-odd rule: [H, W] bool.

    size: (height, width). A pixel is inside where an odd number of corners lie up and left of it. Raises ValueError
    for a vertex outside of the image.
    """
    height, width = size
    found = [vertex for rings in polygons for ring in rings for vertex in ring[:-1]]
    corners = np.array(found, dtype=np.int64).reshape(-1, 2)
    if (corners < 0).any() or (corners > (width, height)).any():
        raise ValueError(f"the polygons do not lie in an image of {height}x{width}")
    counts = np.bincount(corners[:, 1] * (width + 1) + corners[:, 0], minlength=(height + 1) * (width + 1))
    odd = (counts & 1).astype(np.bool_).reshape(height + 1, width + 1)
    rows = np.logical_xor.accumulate(odd, axis=1)
    return np.logical_xor.accumulate(rows, axis=0)[:height, :width]


def _parts(starts: Ints, ends: Ints, height: int) -> Ints:
    """[S] the number of the part that each segment belongs to; segments as offsets down the columns, in order."""
    first = np.searchsorted(ends, starts + height, side="right")
    touched = np.searchsorted(starts, ends + height, side="left") - first
    one = np.repeat(np.arange(len(starts)), touched)
    other = np.arange(len(one)) + np.repeat(first - (np.cumsum(touched) - touched), touched)
    graph = coo_array((np.ones(len(one), np.bool_), (one, other)), shape=(len(starts), len(starts)))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _corners(column: Ints, top: Ints, bottom: Ints, height: int) -> _Corners:
    """The corners of a mask that is given by its segments, in no order."""
    part = _parts(column * height + top, column * height + bottom, height)
    column, y, part = np.concatenate([column, column]), np.concatenate([top, bottom]), np.concatenate([part, part])
    above = np.repeat([False, True], len(top))
    # Each crack of one pixel ends in two corners, but two cracks that go straight on have none between them.
    key = (column * (height + 1) + y) * 2 + above
    further = key + 2 * (height + 1)  # a column to the right
    left, right = ~np.isin(key, further), ~np.isin(further, key)
    return _Corners(
        x=np.concatenate([column[left], column[right] + 1]),
        y=np.concatenate([y[left], y[right]]),
        right=np.repeat([True, False], [left.sum(), right.sum()]),
        above=np.concatenate([above[left], above[right]]),
        part=np.concatenate([part[left], part[right]]),
    )


def _down_the_columns(corners: _Corners) -> Ints:
    """The order of corners by x, then y, where the first is joined with the second by a vertical crack, and so on.

    Where two pixels meet at a corner there are two corners in one place, and the first takes the crack from above. It
    is that of the upper pixel, which keeps parts apart. Where both are of one part it is that of the lower: so the ring
    splits there, into two that touch, instead of touching itself.
    """
    order = np.lexsort((~corners.above, corners.y, corners.x))
    double = np.flatnonzero((np.diff(corners.x[order]) == 0) & (np.diff(corners.y[order]) == 0))
    swapped = double[corners.part[order[double]] == corners.part[order[double + 1]]]
    order[swapped], order[swapped + 1] = order[swapped + 1], order[swapped]
    return order


def _paired(order: Ints) -> Ints:
    """[C] the partner of each corner, where in `order` the first goes with the second, the third with the fourth..."""
    partner = np.empty_like(order)
    partner[order[0::2]], partner[order[1::2]] = order[1::2], order[0::2]
    return partner


def _cycles(following: Ints) -> list[list[int]]:
    """The cycles of a permutation, each from its least element on, in the order of these."""
    after: list[int] = following.tolist()
    seen = bytearray(len(after))
    cycles = []
    for start in range(len(after)):
        cycle, at = [], start
        while not seen[at]:
            seen[at] = True
            cycle.append(at)
            at = after[at]
        if cycle:
            cycles.append(cycle)
    return cycles
