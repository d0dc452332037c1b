"""A sample of an evaluation: an image, a query and the true mask, whatever data set they come from."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height


class DatasetError(Exception):
    """A data set that cannot be read as its authors publish it. The message names the file and what is wrong."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What the answer should cover.

    `target` and `ignore`, [H, W] bool each, share no pixel: ignored pixels count nowhere. No target at all is a truth
    too: nothing in the image answers the query. The frame is the image's own, with its EXIF orientation applied.
    """

    target: NDArray[np.bool_]
    ignore: NDArray[np.bool_]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        height, width = self.target.shape
        return height, width


@dataclass(frozen=True)
class Facets:
    """What results are split by. None where the data set does not say."""

    dataset: str
    split: str
    is_sentence: bool | None = None  # a long query; ReasonSeg says so of each sample
    granularity: str | None = None  # group, object or part
    kind: str | None = None  # how a query of the rendered scenes refers: name, place, affordance, ...
    targets: int | None = None  # annotated instances or shapes that make up the target


@dataclass(frozen=True)
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


def no_pixels(size: tuple[int, int]) -> NDArray[np.bool_]:
    """An empty mask, [H, W] bool, for `size` (height, width)."""
    return np.zeros(size, dtype=np.bool_)


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
