"""Masks are those of segment_anything's own predictor, pixel for pixel, with the same weights."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from segment_anything import SamPredictor
from segment_anything.modeling import Sam

from services.perception.checkpoint import load_checkpoint
from services.perception.proposals import grid
from services.perception.sam import Abandoned, Segmenter
from tests.services.perception.small import BUNDLED, random_sam
from training.scenes import render_scene

EVERYTHING_PASSES = -1e9
ROUNDING = 1e-6  # of a logit: a batch of prompts is summed in another order than a single one


def bundled() -> Sam:
    return load_checkpoint(BUNDLED, None, torch.device("cpu")).sam


def picture(width: int, height: int) -> NDArray[np.uint8]:
    return render_scene(3, width, height).image


@pytest.mark.parametrize("build", [random_sam, bundled])
@pytest.mark.parametrize("multimask", [False, True])
@pytest.mark.parametrize(("width", "height"), [(256, 256), (330, 260), (257, 601)])
def test_masks_equal_those_of_the_reference(build: Callable[[], Sam], multimask: bool, width: int, height: int) -> None:
    sam, image = build(), picture(width, height)
    points = grid(3, width, height)
    reference = SamPredictor(sam)
    reference.set_image(image)
    segmenter = Segmenter(sam, prompt_batch=4)
    encoded = segmenter.encode(image)
    decoded = segmenter.decode(encoded, points, multimask, EVERYTHING_PASSES)
    masks = [segmenter.full_size(encoded, logits) for logits in decoded.logits]
    each = 3 if multimask else 1
    assert decoded.prompt.tolist() == [i for i in range(len(points)) for _ in range(each)]
    for i, point in enumerate(points):
        expected, scores, _ = reference.predict(point[None], np.ones(1), multimask_output=multimask, return_logits=True)
        decided = np.abs(expected) > ROUNDING
        assert decided.mean() > 0.999
        assert np.array_equal((np.stack(masks[each * i : each * (i + 1)]) & decided), (expected > 0) & decided)
        assert np.allclose(decoded.predicted_iou[each * i : each * (i + 1)], scores, atol=1e-5)


def test_only_masks_that_pass_the_iou_filter_are_decoded() -> None:
    segmenter = Segmenter(random_sam())
    encoded = segmenter.encode(picture(256, 256))
    points = grid(4, 256, 256)
    everything = segmenter.decode(encoded, points, True, EVERYTHING_PASSES)
    threshold = float(np.median(everything.predicted_iou))
    passing = segmenter.decode(encoded, points, True, threshold)
    expected = everything.predicted_iou >= threshold
    assert 0 < len(passing.logits) < len(everything.logits)
    assert np.array_equal(passing.prompt, everything.prompt[expected])
    assert torch.allclose(passing.logits, everything.logits[torch.from_numpy(expected)], atol=1e-5)


def test_a_threshold_that_nothing_passes_gives_no_masks() -> None:
    segmenter = Segmenter(random_sam())
    encoded = segmenter.encode(picture(256, 256))
    assert len(segmenter.decode(encoded, grid(4, 256, 256), False, 1e9).logits) == 0
    assert len(segmenter.decode(encoded, np.empty((0, 2)), False, 0).logits) == 0


def test_the_low_resolution_mask_leaves_the_padding_out() -> None:
    segmenter = Segmenter(random_sam())
    encoded = segmenter.encode(picture(512, 256))
    decoded = segmenter.decode(encoded, grid(2, 512, 256), False, EVERYTHING_PASSES)
    assert segmenter.low_resolution(encoded, decoded.logits).shape == (4, 16, 32)


def test_decoding_stops_once_nobody_waits() -> None:
    segmenter = Segmenter(random_sam())
    encoded = segmenter.encode(picture(256, 256))
    with pytest.raises(Abandoned):
        segmenter.decode(encoded, grid(4, 256, 256), False, 0, abandoned=lambda: True)
