"""Binary masks as COCO compressed RLE, encoded and decoded by pycocotools."""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

BBox = tuple[int, int, int, int]

MAX_CHARACTERS = 7  # of a number in compressed RLE: 34 bits and the sign


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
            if runs.min(initial=0) < 0 or sum(runs.tolist()) != height * width:
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
        return np.ascontiguousarray(coco.decode(self.to_coco())).view(np.bool_)

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


def segments(mask: Mask) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """What is set in each column of `mask`: x, top and bottom, [S] each, in pixels; bottom exclusive.

    By x, then top; between two segments of a column there is a pixel that is not set.
    """
    height = mask.size[0]
    bounds = np.cumsum(run_lengths(mask.counts))
    starts, ends = bounds[0:-1:2], bounds[1::2]
    starts, ends = starts[starts < ends], ends[starts < ends]
    apart = starts[1:] > ends[:-1]
    starts, ends = starts[np.append(True, apart)[: len(starts)]], ends[np.append(apart, True)[: len(ends)]]
    columns = (ends - 1) // height - starts // height + 1
    which = np.repeat(np.arange(len(starts)), columns)
    x = starts[which] // height + np.arange(len(which)) - np.repeat(np.cumsum(columns) - columns, columns)
    top = np.maximum(starts[which], x * height) - x * height
    bottom = np.minimum(ends[which], (x + 1) * height) - x * height
    return x, top, bottom


def run_lengths(counts: str) -> NDArray[np.int64]:
    """The run lengths, background first, in a COCO compressed RLE string.

    Six bits a character from `0` up: five of the number, the lowest first, and one that says another follows; from the
    third run on a number is the difference to the run before the last. Raises ValueError where the string ends inside a
    number or holds a character outside the alphabet or a number of more than MAX_CHARACTERS.
    """
    bits = np.frombuffer(counts.encode("ascii", "replace"), dtype=np.uint8).astype(np.int64) - ord("0")
    if not bits.size:
        return bits
    if bits.min() < 0 or bits.max() > 63 or not counts.isascii():
        raise ValueError("a character is none of a compressed RLE's")
    if bits[-1] & 32:
        raise ValueError("the RLE ends inside a number")
    last = np.flatnonzero(bits < 32)
    first = np.append(0, last[:-1] + 1)
    characters = last - first + 1
    if characters.max() > MAX_CHARACTERS:
        raise ValueError(f"a number of the RLE has more than {MAX_CHARACTERS} characters")
    shift = 5 * (np.arange(len(bits)) - np.repeat(first, characters))
    runs: NDArray[np.int64] = np.add.reduceat((bits & 31) << shift, first)
    runs -= (bits[last] >> 4 & 1) << 5 * characters  # the highest bit is the sign
    runs[1::2], runs[2::2] = np.cumsum(runs[1::2]), np.cumsum(runs[2::2])
    return runs
