"""RLE from tensors is byte for byte what pycocotools makes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco
from torch import Tensor

from services.perception import rle
from services.perception.rle import encode

CUDA = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"))

shapes = st.tuples(st.integers(1, 5), st.integers(1, 30), st.integers(1, 30))


@pytest.fixture(params=["cpu", CUDA])
def device(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def reference(masks: Tensor) -> list[tuple[tuple[int, ...], str]]:
    found = coco.encode(np.asfortranarray(masks.permute(1, 2, 0).cpu().numpy().astype(np.uint8)))
    return [(tuple(mask["size"]), mask["counts"].decode()) for mask in found]


def encoded(masks: Tensor) -> list[tuple[tuple[int, ...], str]]:
    return [(mask.size, mask.counts) for mask in encode(masks)]


@given(arrays(np.bool_, shapes))
def test_any_masks_are_encoded_as_pycocotools_encodes_them(pixels: np.ndarray) -> None:
    masks = torch.from_numpy(pixels)
    assert encoded(masks) == reference(masks)


@settings(max_examples=40)
@given(arrays(np.bool_, shapes), st.integers(1, 2000))
def test_how_many_masks_are_looked_at_together_changes_nothing(pixels: np.ndarray, at_once: int) -> None:
    masks = torch.from_numpy(pixels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rle, "CPU_PIXELS", at_once)
        assert encoded(masks) == reference(masks)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (7, 5), (200, 300)])
@pytest.mark.parametrize("value", [False, True])
def test_a_mask_of_one_value_is_one_run(shape: tuple[int, int], value: bool, device: str) -> None:
    masks = torch.full((2, *shape), value, device=device)
    assert encoded(masks) == reference(masks)
    assert encode(masks)[1].area == value * shape[0] * shape[1]


def test_runs_do_not_pass_from_one_mask_into_the_next(device: str) -> None:
    masks = torch.zeros(4, 6, 5, dtype=torch.bool, device=device)
    masks[0, :, 3:] = True
    masks[1] = True
    masks[2, 0, 0] = masks[2, -1, -1] = True
    assert encoded(masks) == reference(masks)
    assert [mask.area for mask in encode(masks)] == [12, 30, 2, 0]


def test_a_photograph_of_noise_is_encoded(device: str) -> None:
    masks = (torch.rand(3, 480, 641, generator=torch.Generator().manual_seed(0)) < 0.5).to(device)
    assert encoded(masks) == reference(masks)


def test_masks_that_are_a_view_of_others_are_encoded_as_seen() -> None:
    masks = torch.rand(6, 20, 30, generator=torch.Generator().manual_seed(0)) < 0.5
    for view in (masks[::2, 3:, :7], masks.transpose(1, 2), masks[:1].expand(3, -1, -1)):
        assert encoded(view) == reference(view)


def test_no_masks_are_no_rles(device: str) -> None:
    assert encode(torch.zeros(0, 4, 4, dtype=torch.bool, device=device)) == []
