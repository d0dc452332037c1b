"""A sample of an evaluation: an image, a query and the true mask, whatever data set they come from."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from dtwinseger.api import Semantics
from dtwinseger.evaluation.metrics import Pixels
from dtwinseger.twin import Mask

SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height


class DatasetError(Exception):
    """A data set that cannot be read as its authors publish it. The message names the file and what is wrong."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What the answer should cover.

    `target`, `twice` and `ignore`, [H, W] bool each. Ignored pixels count nowhere, and are none of the target's. No
    target at all is a truth too: nothing in the image answers the query. `twice` is where several parts of the
    annotation cover the target, which some scorers lose. The frame is the image's own, its EXIF orientation applied.
    """

    target: Pixels
    twice: Pixels
    ignore: Pixels

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        height, width = self.target.shape
        return height, width


@dataclass(frozen=True, slots=True)
class Facets:
    """What results are split by. None where the data set does not say."""

    dataset: str
    split: str
    is_sentence: bool | None = None  # a long query; ReasonSeg says so of each sample
    granularity: str | None = None  # group, object or part
    kind: str | None = None  # how a query of the rendered scenes refers: name, place, affordance, ...
    phrasing: str | None = None  # of such a query: "seen" in training, or "held_out" from it
    targets: int | None = None  # annotated instances or shapes that make up the target
    instance: str | None = None  # what the query refers to, where several queries refer to it


@dataclass(frozen=True, slots=True)
class TrueObject:
    """An object that is known to be in an image: its pixels, and what a perfect VLM would say of it."""

    mask: Mask
    semantics: Semantics


@dataclass(frozen=True, slots=True)
class Sample:
    """One query about one image.

    `sample_id` is the stem of the image's file, or `stem#k` for its k-th query, from 0. `image` need not exist for
    data sets whose annotations hold the size. `load_truth` reads or draws the masks when it is called, so a list of
    samples stays small; it can be pickled, and raises DatasetError where the annotation cannot be read.
    """

    sample_id: str
    image: Path
    query: str
    load_truth: Callable[[], Truth]
    facets: Facets
    load_objects: Callable[[], tuple[TrueObject, ...]] | None = None  # where the data set describes what is there


def no_pixels(size: tuple[int, int]) -> Pixels:
    """An empty mask, [H, W] bool, for `size` (height, width)."""
    return np.zeros(size, dtype=np.bool_)


def overlapping(parts: Iterable[Pixels], size: tuple[int, int]) -> tuple[Pixels, Pixels]:
    """The union of `parts` and where two or more of them meet, [H, W] bool each, for `size` (height, width)."""
    union, twice = no_pixels(size), no_pixels(size)
    for part in parts:
        twice |= union & part
        union |= part
    return union, twice


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) in pixels of an image as it is looked at, its EXIF orientation applied; only its head is read.

    Raises DatasetError where there is no image.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            sideways = image.getexif().get(ExifTags.Base.Orientation) in SIDEWAYS
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror or 'not an image'}") from error
    return (width, height) if sideways else (height, width)
