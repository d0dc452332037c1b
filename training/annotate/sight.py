"""How an object is drawn over its image: the border of its mask where there is one, else its box."""

from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from scipy.ndimage import distance_transform_edt

from dtwinseger.twin import Index, Mask, TwinRow
from dtwinseger.twin.polygons import to_polygons
from training.annotate.output import AnnotateError
from training.segdt.schema import SegDTSample

_MASKS = TypeAdapter(dict[Index, Mask])


class Drawn(BaseModel):
    """An object's shape in pixels of the image: the data of an SVG path (even-odd), and where its number stands."""

    model_config = ConfigDict(frozen=True)

    outline: str
    label: tuple[float, float]  # x, y
    is_box: bool


def draw(row: TwinRow, mask: Mask | None) -> Drawn:
    """The row's shape; mask: [H, W] of the image, where it is known."""
    if mask is None or not mask.area:
        x1, y1, x2, y2 = row.bbox
        return Drawn(outline=f"M{x1},{y1}H{x2}V{y2}H{x1}Z", label=(x1, y1), is_box=True)
    rings = (ring for polygon in to_polygons(mask) for ring in polygon)
    outline = "".join(f"M{'L'.join(f'{x},{y}' for x, y in ring[:-1])}Z" for ring in rings)
    return Drawn(outline=outline, label=_deepest(mask), is_box=False)


def masks_of(sample: SegDTSample, folder: Path) -> dict[int, Mask]:
    """The masks that a build wrote beside its samples, by index; none where it wrote none.

    Raises AnnotateError for masks that are not of the sample's image.
    """
    path = folder / f"{sample.id}.json"
    if path.parent != folder or not path.is_file():
        return {}
    try:
        masks = _MASKS.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise AnnotateError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    height, width = sample.image.height, sample.image.width
    if other := next((mask.size for mask in masks.values() if mask.size != (height, width)), None):
        raise AnnotateError(f"{path} has masks of {other[1]}x{other[0]}, the image is {width}x{height}")
    return masks


def _deepest(mask: Mask) -> tuple[float, float]:
    x1, y1, x2, y2 = mask.bbox
    inside = np.pad(mask.decode()[y1:y2, x1:x2], 1)
    y, x = np.unravel_index(np.argmax(distance_transform_edt(inside)), inside.shape)
    return float(x1 + x - 0.5), float(y1 + y - 0.5)
