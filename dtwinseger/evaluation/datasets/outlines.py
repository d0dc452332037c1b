"""Outlines drawn as LISA draws them (dvlab-research/LISA, utils/data_processing.py), with OpenCV's own rasteriser."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

TARGET, IGNORED = 1, 255
OLDEST = (4, 11)  # earlier ones fill past the outline (opencv/opencv#26187): a few pixels of most shapes

if tuple(int(part) for part in cv2.__version__.split(".")[:2]) < OLDEST:
    raise ImportError(f"OpenCV {cv2.__version__} fills polygons past their outline; 4.11 is the oldest that does not")

Points = NDArray[np.int32]


def draw(outlines: Sequence[tuple[Points, int]], size: tuple[int, int]) -> NDArray[np.uint8]:
    """[H, W] uint8: each outline's value where it was drawn last, the largest first, so that the smaller stay on top.

    outlines: points, [P, 2] int32 as (x, y) in pixels with P of at least 1, and value. size: (height, width). An
    outline covers its edge too; one of two points is a line. Of outlines of the same area the later is drawn first,
    as where LISA's sort is stable.
    """
    areas = [int(np.count_nonzero(_paint(np.zeros(size, dtype=np.uint8), points, 1))) for points, _ in outlines]
    drawn = np.zeros(size, dtype=np.uint8)
    for index in np.argsort(areas, kind="stable")[::-1]:
        _paint(drawn, *outlines[index])
    return drawn


def _paint(canvas: NDArray[np.uint8], points: Points, value: int) -> NDArray[np.uint8]:
    cv2.polylines(canvas, [points], isClosed=True, color=value, thickness=1)
    cv2.fillPoly(canvas, [points], value)
    return canvas
