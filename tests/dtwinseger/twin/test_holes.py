"""Holes found on runs are those that are found on pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco
from scipy.ndimage import binary_fill_holes

from dtwinseger.twin import Mask
from dtwinseger.twin.holes import fill_holes

several = st.tuples(st.integers(1, 3), st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda shape: arrays(np.bool_, shape, fill=st.just(True))
)


@given(several)
def test_filling_runs_is_filling_pixels(masks: np.ndarray) -> None:
    found = fill_holes([Mask.encode(mask) for mask in masks])
    assert found == [Mask.encode(np.asarray(binary_fill_holes(mask))) for mask in masks]


@pytest.mark.parametrize("share", [0.5, 0.6, 0.7, 0.9])
def test_holes_of_any_shape_are_found(share: float) -> None:
    masks = np.random.default_rng(0).random((20, 60, 50)) < share
    found = fill_holes([Mask.encode(mask) for mask in masks])
    assert found == [Mask.encode(np.asarray(binary_fill_holes(mask))) for mask in masks]


def test_a_run_of_no_length_that_a_stranger_sends_divides_no_hole() -> None:
    runs = {"size": [5, 3], "counts": [0, 6, 1, 0, 1, 7]}  # the hole's two pixels, and nothing of the mask between them
    mask = Mask.model_validate(Mask.from_coco(coco.frPyObjects([runs], 5, 3)[0]).model_dump())
    assert (mask.area, fill_holes([mask])[0].area) == (13, 15)


def test_nothing_has_no_holes() -> None:
    assert fill_holes([]) == []
