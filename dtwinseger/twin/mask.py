"""Binary masks as COCO compressed RLE, encoded and decoded by pycocotools."""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

BBox = tuple[int, int, int, int]


class Mask(BaseModel):
    """A binary mask in COCO compressed RLE.

    `size` is (height, width) in pixels; `counts` is the compressed run string, column-major as COCO has it.
    Validation rejects a string whose runs do not add up to `size`.
    """

    model_config = ConfigDict(frozen=True)

    size: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]]
    counts: str

    @field_validator("counts")
    @classmethod
    def _runs_fill_the_image(cls, counts: str, info: ValidationInfo) -> str:
        if "size" in info.data:
            height, width = info.data["size"]
            runs = run_lengths(counts)
            if sum(runs) != height * width or min(runs, default=0) < 0:
                raise ValueError(f"the runs of the RLE do not fill an image of {height}x{width}")
        return counts

    @classmethod
    def encode(cls, mask: NDArray[np.bool_]) -> "Mask":
        """Encode `mask`, [H, W] bool."""
        rle = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
        return cls.from_coco(rle)

    @classmethod
    def from_coco(cls, rle: dict[str, Any]) -> "Mask":
        """Wrap what pycocotools made; it needs no validation."""
        height, width = rle["size"]
        return cls.model_construct(size=(int(height), int(width)), counts=rle["counts"].decode("ascii"))

    def to_coco(self) -> dict[str, Any]:
        """The form that pycocotools takes."""
        return {"size": list(self.size), "counts": self.counts.encode("ascii")}

    def decode(self) -> NDArray[np.bool_]:
        """The mask as [H, W] bool."""
        return np.ascontiguousarray(coco.decode(self.to_coco())).astype(np.bool_)

    @property
    def area(self) -> int:
        """Pixels set."""
        return int(coco.area(self.to_coco()))

    @property
    def bbox(self) -> BBox:
        """(x1, y1, x2, y2) in pixels, x2 and y2 exclusive; all zero for an empty mask."""
        x, y, width, height = (round(float(v)) for v in coco.toBbox(self.to_coco()))
        return (x, y, x + width, y + height)


def union(masks: Sequence[Mask], size: tuple[int, int]) -> Mask:
    """The union of `masks`, all of `size` (height, width); no masks give an empty one."""
    if not masks:
        return Mask.encode(np.zeros(size, dtype=np.bool_))
    return Mask.from_coco(coco.merge([mask.to_coco() for mask in masks]))


def run_lengths(counts: str) -> list[int]:
    """The run lengths, background first, in a COCO compressed RLE string.

    Six bits a character from `0` up: five of the number and one that says another follows; from the third run on
    a number is the difference to the run before the last. Raises ValueError where the string ends inside a number
    or holds a character outside the alphabet.
    """
    runs: list[int] = []
    value = shift = 0
    for character in counts:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"{character!r} is no character of a compressed RLE")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("the RLE ends inside a number")
    return runs
