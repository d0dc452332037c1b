"""Masks: COCO RLE there and back, and what a stranger may not send."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco
from pydantic import ValidationError

from dtwinseger.twin import Mask
from dtwinseger.twin.mask import run_lengths, segments, union

masks = arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40)))


@given(masks)
def test_a_mask_survives_the_wire(mask: np.ndarray) -> None:
    sent = Mask.encode(mask).model_dump_json()
    received = Mask.model_validate_json(sent)
    assert (received.decode() == mask).all()
    assert received.area == mask.sum()


@given(masks)
def test_runs_are_those_of_the_pixels_in_column_order(mask: np.ndarray) -> None:
    flat = mask.ravel(order="F")
    runs = run_lengths(Mask.encode(mask).counts)
    rebuilt = np.repeat(np.arange(len(runs)) % 2, runs).astype(bool)
    assert (rebuilt == flat).all()


@given(masks)
def test_segments_are_what_is_set_in_each_column(mask: np.ndarray) -> None:
    rebuilt = np.zeros_like(mask)
    x, top, bottom = segments(Mask.encode(mask))
    for column, first, end in zip(x, top, bottom, strict=True):
        assert first == 0 or not mask[first - 1, column]
        assert end == len(mask) or not mask[end, column]
        rebuilt[first:end, column] = True
    assert (rebuilt == mask).all()
    assert (np.lexsort((top, x)) == np.arange(len(x))).all()


def test_runs_of_no_length_do_not_cut_a_segment() -> None:
    x, top, bottom = segments(Mask(size=(6, 1), counts="12001"))  # of 1, 2, 0, 2 and 1 pixels
    assert (x.tolist(), top.tolist(), bottom.tolist()) == ([0], [1], [5])


def test_the_box_is_exclusive_at_its_far_end() -> None:
    mask = np.zeros((20, 30), dtype=bool)
    mask[2:5, 7:11] = True
    assert Mask.encode(mask).bbox == (7, 2, 11, 5)
    assert Mask.encode(np.zeros((4, 4), dtype=bool)).bbox == (0, 0, 0, 0)


def test_pycocotools_reads_what_we_send() -> None:
    mask = np.zeros((9, 7), dtype=bool)
    mask[3:, 2:5] = True
    sent = Mask.encode(mask).model_dump()
    assert (coco.decode({"size": list(sent["size"]), "counts": sent["counts"]}) == mask).all()


@pytest.mark.parametrize("counts", ["", "0", "~~~", "o", "jn1", "\x00", "é", "PPPPPPPP0", "_" * 9])
def test_runs_that_do_not_fill_the_image_are_refused_before_any_decoder_sees_them(counts: str) -> None:
    with pytest.raises(ValidationError):
        Mask(size=(100, 120), counts=counts)


def test_an_image_without_pixels_is_refused() -> None:
    with pytest.raises(ValidationError):
        Mask(size=(0, 5), counts="0")


def test_the_union_of_no_masks_is_empty() -> None:
    assert union([], (3, 4)).decode().shape == (3, 4)
    assert union([], (3, 4)).area == 0


@given(masks)
def test_the_union_with_the_complement_is_everything(mask: np.ndarray) -> None:
    assert union([Mask.encode(mask), Mask.encode(~mask)], mask.shape).area == mask.size
