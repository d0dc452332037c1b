"""Annotation files: JSON as data sets publish it, and masks from COCO polygons and RLE."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco
from pydantic import ValidationError

from dtwinseger.evaluation.samples import DatasetError
from dtwinseger.twin import Mask

FEWEST_NUMBERS = 6  # of a polygon: three points, as COCO's own users ask for


def read_json(path: Path) -> Any:
    """What a JSON file holds, read as UTF-8 or, where it is not, as cp1252; some of ReasonSeg's are.

    Raises DatasetError where the file is missing, is in neither encoding, or is not JSON.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror or error}") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = data.decode("cp1252")
        except UnicodeDecodeError as error:
            raise DatasetError(f"{path}: neither UTF-8 nor cp1252: {error}") from error
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: not JSON: {error}") from error


def words(error: ValidationError) -> str:
    """The first thing that a model found wrong, and where."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])


def draw_parts(segmentation: Any, size: tuple[int, int]) -> list[NDArray[np.bool_]]:
    """The parts of a COCO annotation, [H, W] bool each, for an image of `size` (height, width).

    `segmentation` is a list of polygons, [x1, y1, x2, y2, …] each, or an RLE or a list of them, compressed or not.
    A polygon of fewer than three points encloses nothing and is left out; what lies outside the image is cut off.
    Raises ValueError where it is none of these, or an RLE is of another size or does not decode.
    """
    parts = segmentation if isinstance(segmentation, list) else [segmentation]
    return [drawn for part in parts if (drawn := _draw(part, size)) is not None]


def rle_size(segmentation: Any) -> tuple[int, int]:
    """(height, width) of an RLE, or of the first of a list of them. Raises ValueError where it has none."""
    first = segmentation[0] if isinstance(segmentation, list) and segmentation else segmentation
    return read_rle(first).size


def _draw(part: Any, size: tuple[int, int]) -> NDArray[np.bool_] | None:
    if isinstance(part, dict):
        return read_rle(part, size).decode()
    if isinstance(part, list):
        return _polygon(part, size)
    raise ValueError(f"a segmentation is a polygon or an RLE, not {type(part).__name__}")


def read_rle(rle: Any, size: tuple[int, int] | None = None) -> Mask:
    """The mask of a COCO RLE, compressed or not; of `size` (height, width) where that is given.

    Raises ValueError where it is another size or does not decode.
    """
    if not isinstance(rle, dict):
        raise ValueError(f"an RLE is an object, not {type(rle).__name__}")
    if isinstance(rle.get("counts"), list):
        mask = _uncompressed(rle)
    else:
        try:
            mask = Mask.model_validate(rle)
        except ValidationError as error:
            raise ValueError(words(error)) from error
    if size is not None and mask.size != size:
        raise ValueError(f"the RLE is {mask.size[0]}x{mask.size[1]} and the image {size[0]}x{size[1]} (height x width)")
    return mask


def _uncompressed(rle: dict[str, Any]) -> Mask:
    counts, size = rle["counts"], rle.get("size")
    if not isinstance(size, list) or len(size) != 2 or not all(type(n) is int and n >= 0 for n in [*size, *counts]):
        raise ValueError("size and runs of an RLE are whole numbers")
    if sum(counts) != size[0] * size[1] or not counts or not sum(counts):
        raise ValueError(f"the runs of the RLE do not fill an image of size {size}")
    return Mask.from_coco(coco.frPyObjects(rle, *size))


def _polygon(numbers: list[Any], size: tuple[int, int]) -> NDArray[np.bool_] | None:
    height, width = size
    try:
        points = np.asarray(numbers, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError("a polygon is a list of numbers") from error
    if points.ndim != 1 or not np.isfinite(points).all():
        raise ValueError("a polygon is a flat list of finite numbers")
    if len(points) % 2:
        raise ValueError("a polygon has an x without its y")
    if len(points) < FEWEST_NUMBERS:
        return None
    # pycocotools steps along an edge pixel by pixel, and counts in 32 bits.
    far = 16 * max(height, width)
    if np.abs(points).max() > far:
        raise ValueError(f"a polygon has a point more than {far} pixels from the image")
    decoded = coco.decode(coco.frPyObjects([points.tolist()], height, width))
    return np.asarray(decoded[..., 0], dtype=np.bool_)
