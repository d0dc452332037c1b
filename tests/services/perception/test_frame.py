"""Full-size masks are segment_anything's, and what is counted of them is what they hold."""

import numpy as np
import pytest
import torch
from torch import Tensor

from services.perception.frame import Frame
from services.perception.measure import measure
from tests.services.perception.small import random_sam

SIZES = [(256, 256), (1, 1), (1, 90), (330, 260), (257, 601), (601, 257), (128, 128), (97, 41)]


def blobs(side: int, count: int = 6) -> Tensor:
    """Logits [M, side, side] of smooth shapes of all sizes, some in the padding, one empty and one full."""
    generator = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    middle = torch.rand(count, 2, generator=generator) * side
    radius = (torch.rand(count, generator=generator) ** 2 * side / 2 + 1)[:, None, None]
    away = ((y - middle[:, 0, None, None]) ** 2 + (x - middle[:, 1, None, None]) ** 2).sqrt()
    empty, full = torch.full((1, side, side), -5.0), torch.full((1, side, side), 5.0)
    return torch.cat([radius - away, empty, full, torch.randn(2, side, side, generator=generator)])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", [128, 256])
def test_masks_equal_the_references_pixel_for_pixel(size: tuple[int, int], side: int) -> None:
    sam = random_sam()
    sam.image_encoder.img_size = side
    logits, frame = blobs(side // 4), Frame(size, side, side // 4)
    expected = sam.postprocess_masks(logits[:, None], frame.input_size, size)[:, 0] > sam.mask_threshold
    assert torch.equal(frame.full_size(logits), expected)


@pytest.mark.parametrize("size", [(256, 256), (480, 640), (683, 1024), (1365, 2048), (1024, 1024)])
def test_masks_of_large_images_equal_the_references(size: tuple[int, int]) -> None:
    sam = random_sam()
    sam.image_encoder.img_size = 1024
    logits, frame = blobs(256, count=2), Frame(size, 1024, 256)
    expected = sam.postprocess_masks(logits[:, None], frame.input_size, size)[:, 0] > sam.mask_threshold
    assert torch.equal(frame.full_size(logits), expected)


@pytest.mark.parametrize("size", [*SIZES, (480, 640), (683, 1024)])
def test_what_is_measured_is_what_the_masks_hold(size: tuple[int, int]) -> None:
    side = 1024 if max(size) > 601 else 256
    logits, frame = blobs(side // 4), Frame(size, side, side // 4)
    measured = measure(frame, logits, offset=1.0)
    masks = frame.full_size(logits).numpy()
    rounding = 2  # pixels whose logit is the threshold up to the order of a sum
    assert np.abs(measured.areas - masks.sum((1, 2))).max() <= rounding
    for offset, counts in ((-1.0, measured.inner), (1.0, measured.outer)):
        expected = frame.full_size(logits + offset).sum((1, 2)).numpy()
        assert np.abs(counts - expected).max() <= rounding
    for mask, box in zip(masks, measured.boxes, strict=True):
        y, x = np.nonzero(mask)
        assert box.tolist() == ([x.min(), y.min(), x.max() + 1, y.max() + 1] if len(x) else [0, 0, 0, 0])


def test_a_point_of_the_low_resolution_lies_where_it_lay_in_the_image() -> None:
    frame = Frame((480, 640), 1024, 256)
    mask = np.zeros((480, 640), dtype=np.bool_)
    mask[100:180, 200:320] = True
    y, x = np.nonzero(mask)
    low = np.array([[(x.mean() + 0.5) * 0.4 - 0.5, (y.mean() + 0.5) * 0.4 - 0.5]])  # 640 pixels are 256 positions
    assert np.allclose(frame.from_low(low), [[x.mean(), y.mean()]])


def test_points_stay_in_the_image() -> None:
    frame = Frame((10, 1000), 1024, 256)
    assert (frame.from_low(np.array([[-3.0, -3.0], [300.0, 300.0]])) == [[0, 0], [999, 9]]).all()


def test_the_low_resolution_leaves_the_padding_out() -> None:
    frame = Frame((256, 512), 128, 32)
    assert frame.low_masks(torch.ones(4, 32, 32)).shape == (4, 16, 32)
