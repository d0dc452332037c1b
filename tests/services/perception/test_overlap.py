"""Areas, boxes and overlaps of masks, against hand-made answers and against counting pixel by pixel."""

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from services.perception.overlap import areas, areas_and_intersections, boxes, containment, counts, iou

CUDA = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"))


@pytest.fixture(params=["cpu", CUDA])
def device(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def box(x1: int, y1: int, x2: int, y2: int, height: int = 70, width: int = 100) -> Tensor:
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[y1:y2, x1:x2] = True
    return mask


NOTHING = box(0, 0, 0, 0)
WHOLE_IMAGE = box(0, 0, 100, 70)
OUTER = box(5, 5, 85, 65)  # 4800 pixels, fills a few tiles
INNER = box(40, 40, 50, 50)  # 100 pixels, in OUTER
NEXT_TO_OUTER = box(85, 5, 95, 65)  # 600 pixels, touches OUTER
RING = OUTER & ~box(10, 10, 80, 60)  # 1300 pixels
CORNER = box(99, 69, 100, 70)  # one pixel


@st.composite
def some_masks(draw: st.DrawFn) -> Tensor:
    """A few masks of one size: boxes, what they leave, noise, and of these what others leave."""
    shape = draw(st.integers(1, 140)), draw(st.integers(1, 140))
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    masks = torch.zeros(draw(st.integers(0, 7)), *shape, dtype=torch.bool)
    for mask in masks:
        (top, bottom), (left, right) = (np.sort(random.integers(0, size + 1, 2)) for size in shape)
        mask[top:bottom, left:right] = True
        if random.random() < 0.3:
            mask ^= True
        if random.random() < 0.4:
            mask &= torch.from_numpy(random.random(shape) < random.random())
    return masks


@settings(max_examples=60, deadline=None)
@given(some_masks())
def test_every_two_masks_share_what_pixels_say(masks: Tensor) -> None:
    pixels = masks.numpy()
    area, shared = areas_and_intersections(masks)
    assert shared.tolist() == [[int((a & b).sum()) for b in pixels] for a in pixels]
    assert area.tolist() == areas(masks).tolist() == [int(mask.sum()) for mask in pixels]


@settings(max_examples=60, deadline=None)
@given(some_masks())
def test_every_box_is_the_smallest_around_its_pixels(masks: Tensor) -> None:
    for mask, found in zip(masks.numpy(), boxes(masks).tolist(), strict=True):
        y, x = np.nonzero(mask)
        assert found == ([x.min(), y.min(), x.max() + 1, y.max() + 1] if len(x) else [0, 0, 0, 0])


@settings(max_examples=60, deadline=None)
@given(some_masks())
def test_iou_and_containment_are_shares_of_union_and_of_the_first_mask(masks: Tensor) -> None:
    area, shared = areas_and_intersections(masks)
    of_both, of_first = iou(shared, area), containment(shared, area)
    for i, a in enumerate(masks.numpy()):
        for k, b in enumerate(masks.numpy()):
            assert of_both[i, k] == ((a & b).sum() / (a | b).sum() if (a | b).any() else 0.0)
            assert of_first[i, k] == ((a & b).sum() / a.sum() if a.any() else 0.0)


def test_hand_made_masks_overlap_as_drawn(device: str) -> None:
    masks = torch.stack([NOTHING, WHOLE_IMAGE, OUTER, INNER, NEXT_TO_OUTER, RING, CORNER]).to(device)
    area, shared = areas_and_intersections(masks)
    assert area.tolist() == areas(masks).tolist() == [0, 7000, 4800, 100, 600, 1300, 1]
    assert shared.tolist() == [
        [0, 0, 0, 0, 0, 0, 0],
        [0, 7000, 4800, 100, 600, 1300, 1],
        [0, 4800, 4800, 100, 0, 1300, 0],
        [0, 100, 100, 100, 0, 0, 0],
        [0, 600, 0, 0, 600, 0, 0],
        [0, 1300, 1300, 0, 0, 1300, 0],
        [0, 1, 0, 0, 0, 0, 1],
    ]
    assert boxes(masks).tolist() == [
        [0, 0, 0, 0],
        [0, 0, 100, 70],
        [5, 5, 85, 65],
        [40, 40, 50, 50],
        [85, 5, 95, 65],
        [5, 5, 85, 65],
        [99, 69, 100, 70],
    ]


def test_many_masks_are_compared_exactly_on_any_device(device: str) -> None:
    masks = torch.rand(65, 171, 256, generator=torch.Generator().manual_seed(0)) < 0.5
    area, shared = areas_and_intersections(masks.to(device))
    pixels = masks.flatten(1).double()
    assert (shared == (pixels @ pixels.T).numpy()).all()
    assert (area == masks.sum((1, 2)).numpy()).all()


def test_an_intersection_over_two_hundred_rows_and_columns_does_not_overflow(device: str) -> None:
    masks = torch.ones(1, 300, 270, dtype=torch.bool, device=device)
    assert counts(masks, 1).tolist() == [[300] * 270]
    assert counts(masks, 2).tolist() == [[270] * 300]
    assert areas_and_intersections(masks)[1].tolist() == [[81000]]


def test_masks_cut_from_larger_ones_are_compared_where_they_were_cut() -> None:
    masks = torch.stack([OUTER, INNER])[:, 30:60, 45:91]
    area, shared = areas_and_intersections(masks)
    assert area.tolist() == areas(masks).tolist() == [1200, 50]
    assert shared[0, 1] == 50
    assert boxes(masks).tolist() == [[0, 0, 40, 30], [0, 10, 5, 20]]


def test_no_masks_have_no_overlaps(device: str) -> None:
    masks = torch.zeros(0, 10, 20, dtype=torch.bool, device=device)
    area, shared = areas_and_intersections(masks)
    assert iou(shared, area).shape == containment(shared, area).shape == (0, 0)
    assert boxes(masks).shape == (0, 4)
    assert areas(masks).shape == (0,)


def test_a_thousand_masks_that_all_overlap_are_compared_in_little_memory() -> None:
    masks = torch.rand(1000, 64, 64, generator=torch.Generator().manual_seed(0)) < 0.5
    tracemalloc.start()
    try:
        areas_and_intersections(masks)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 30e6  # the result takes 4 MB; all pairs of packed masks would take 512
