"""The answer of `POST /segment`, and the forms of its masks."""

import base64
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dtwinseger.api.contract import Contract
from dtwinseger.api.usage import Usage
from dtwinseger.twin.mask import BBox, Mask
from dtwinseger.twin.model import Granularity
from dtwinseger.twin.path import Index, Step
from dtwinseger.twin.polygons import Polygon, from_polygons


class PngMask(Contract):
    """A mask as a PNG of 0 and 255, base64."""

    size: tuple[int, int]  # height, width
    png: str

    def decode(self) -> NDArray[np.bool_]:
        """The mask as [H, W] bool."""
        with Image.open(BytesIO(base64.b64decode(self.png)), formats=["PNG"]) as image:
            return np.asarray(image) > 0


class PolygonMask(Contract):
    """A mask as polygons whose rings follow the edges of its pixels: exact, parts and holes and all.

    A polygon is a list of rings, the first the outer one and the others its holes; a ring is a closed list of [x, y].
    They are corners of pixels, x right, y down: [0, 0] is the top left corner of the image, [width, height] its bottom
    right one, and the pixel in column c and row r the square from [c, r] to [c + 1, r + 1]. Pixels that meet at a
    corner only are polygons of their own (4-connectivity). See `dtwinseger.twin.polygons`.
    """

    size: tuple[int, int]  # height, width
    polygons: tuple[Polygon, ...]

    def decode(self) -> NDArray[np.bool_]:
        """The mask as [H, W] bool; raises ValueError where a vertex lies outside of the image."""
        return from_polygons(self.polygons, self.size)


AnyMask = Mask | PolygonMask | PngMask  # as `mask_format` asks for it; each has `size` and `decode`


class SegmentedObject(Contract):
    """One of the objects that answer the query."""

    index: Index
    semantic: str | None
    bbox: BBox
    area_percent: float
    confidence: float | None
    mask: AnyMask


class SegmentResult(Contract):
    """The answer of `POST /segment`. `indices` [] is an answer: nothing in the image fits."""

    twin_id: str
    query: str
    granularity: Granularity
    indices: tuple[Index, ...]
    mask: AnyMask  # union of the chosen objects
    objects: tuple[SegmentedObject, ...]
    path: tuple[Step, ...]
    usage: Usage
    timings_ms: dict[str, float]
    cached: tuple[str, ...] = ()  # stages that the store answered
    warnings: tuple[str, ...] = ()
