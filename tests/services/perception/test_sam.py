"""Prompts are decoded in batches, of several images at once, within the memory there is."""

import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from segment_anything import SamPredictor
from segment_anything.modeling import Sam

from dtwinseger.problems import Problem
from services.perception.checkpoint import load_checkpoint
from services.perception.decoder import Decoder
from services.perception.encoder import Encoder
from services.perception.proposals import grid
from services.perception.sam import Decoded, Prompts, Segmenter
from tests.services.perception.small import BUNDLED, random_sam
from training.scenes import render_scene

ROUNDING = 1e-5  # of a logit


def bundled() -> Sam:
    return load_checkpoint(BUNDLED, None, torch.device("cpu")).sam


def segmenter(sam: Sam, prompt_batch: int | None = None) -> Segmenter:
    return Segmenter(sam, Encoder(sam, torch.float32), Decoder(sam), prompt_batch)


def picture(width: int, height: int) -> NDArray[np.uint8]:
    return render_scene(3, width, height).image


def never() -> bool:
    return False


def decode(by: Segmenter, image: NDArray[np.uint8], side: int, multimask: bool, iou_threshold: float = 0.0) -> Decoded:
    (encoded,) = by.share(by.embed([image]), [image.shape[:2]])
    points = grid(side, image.shape[1], image.shape[0])
    (decoded,) = by.decode([Prompts(encoded, points, multimask, iou_threshold, never)], {})
    assert decoded is not None
    return decoded


@pytest.mark.parametrize("build", [random_sam, bundled])
@pytest.mark.parametrize("multimask", [False, True])
@pytest.mark.parametrize(("width", "height"), [(256, 256), (330, 260), (257, 601)])
def test_masks_equal_those_of_the_reference(build: Callable[[], Sam], multimask: bool, width: int, height: int) -> None:
    sam, image = build(), picture(width, height)
    ours = segmenter(sam, prompt_batch=4)
    decoded = decode(ours, image, 3, multimask)
    (encoded,) = ours.share(ours.embed([image]), [image.shape[:2]])
    masks = encoded.frame.full_size(decoded.logits).numpy()
    reference = SamPredictor(sam)
    reference.set_image(image)
    tokens = [1, 2, 3] if multimask else [0]
    assert decoded.token.tolist() == tokens * 9
    assert decoded.prompt.tolist() == [i for i in range(9) for _ in tokens]
    for i, point in enumerate(grid(3, width, height)):
        expected, scores, _ = reference.predict(point[None], np.ones(1), multimask_output=multimask, return_logits=True)
        mine = slice(len(tokens) * i, len(tokens) * (i + 1))
        decided = np.abs(expected) > ROUNDING * max(1.0, np.abs(expected).max())
        assert decided.mean() > 0.999
        assert np.array_equal(masks[mine] & decided, (expected > 0) & decided)
        assert np.allclose(decoded.predicted_iou[mine], scores, atol=1e-5)


def test_only_masks_that_pass_the_iou_filter_are_decoded() -> None:
    ours, image = segmenter(random_sam()), picture(256, 256)
    everything = decode(ours, image, 4, multimask=True)
    threshold = float(np.median(everything.predicted_iou[everything.predicted_iou > 0]))
    passing = decode(ours, image, 4, multimask=True, iou_threshold=threshold)
    expected = everything.predicted_iou >= threshold
    assert 0 < len(passing.logits) < len(everything.logits)
    assert np.array_equal(passing.prompt, everything.prompt[expected])
    assert np.array_equal(passing.token, everything.token[expected])
    assert torch.allclose(passing.logits, everything.logits[torch.from_numpy(expected)], atol=1e-5)
    assert np.array_equal(everything.passing(threshold).prompt, passing.prompt)


def test_a_threshold_that_nothing_passes_gives_no_masks() -> None:
    decoded = decode(segmenter(random_sam()), picture(256, 256), 4, multimask=False, iou_threshold=1e9)
    assert decoded.logits.shape == (0, 32, 32)
    assert len(decoded.predicted_iou) == len(decoded.prompt) == len(decoded.token) == 0


def test_images_decoded_together_have_the_masks_that_they_have_alone() -> None:
    ours = segmenter(bundled(), prompt_batch=10)  # batches that hold the prompts of two images
    images = [picture(256, 256), picture(330, 260), picture(257, 601)]
    sizes = [image.shape[:2] for image in images]
    together = [
        Prompts(encoded, grid(side, size[1], size[0]), multimask, 0.4, never)
        for encoded, size, side, multimask in zip(
            ours.share(ours.embed(images), sizes), sizes, (4, 6, 5), (False, True, False), strict=True
        )
    ]
    for image, prompts, found in zip(images, together, ours.decode(together, {}), strict=True):
        assert found is not None
        alone = decode(ours, image, int(len(prompts.points) ** 0.5), prompts.multimask, 0.4)
        assert len(alone.prompt)
        assert np.array_equal(found.prompt, alone.prompt)
        assert torch.allclose(found.logits, alone.logits, atol=1e-4)


def test_prompts_of_a_request_that_nobody_waits_for_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = segmenter(random_sam(), prompt_batch=4)
    image = picture(256, 256)
    first, second = ours.share(ours.embed([image, image]), [image.shape[:2]] * 2)
    left = iter([False, True])  # it leaves after the first batch
    points = grid(4, 256, 256)
    decoded: list[int] = []
    trunk = Decoder.trunk

    def counting(self: Decoder, shared: object, points: torch.Tensor, spans: object) -> object:
        decoded.append(len(points))
        return trunk(self, shared, points, spans)  # type: ignore[arg-type]

    monkeypatch.setattr(Decoder, "trunk", counting)
    leaves = Prompts(first, points, False, 0.0, partial(next, left, True))
    gone, stayed = ours.decode([leaves, Prompts(second, points, False, 0.0, never)], {})
    assert gone is None
    assert stayed is not None
    assert len(stayed.logits) == 16
    assert sum(decoded) == 4 + 16


def out_of_memory_above(monkeypatch: pytest.MonkeyPatch, prompts: int) -> list[int]:
    """The decoder has no memory for more than so many prompts; returns the list of what it did decode."""
    decoded: list[int] = []
    trunk = Decoder.trunk

    def limited(self: Decoder, shared: object, points: torch.Tensor, spans: object) -> object:
        if len(points) > prompts:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        decoded.append(len(points))
        return trunk(self, shared, points, spans)  # type: ignore[arg-type]

    monkeypatch.setattr(Decoder, "trunk", limited)
    return decoded


def test_out_of_memory_halves_the_batch_and_still_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, image = segmenter(random_sam(), prompt_batch=16), picture(256, 256)
    expected = decode(ours, image, 5, multimask=True)
    decoded = out_of_memory_above(monkeypatch, 5)
    found = decode(ours, image, 5, multimask=True)
    assert decoded == [4, 4, 4, 4, 4, 4, 1]
    assert np.array_equal(found.prompt, expected.prompt)
    assert torch.allclose(found.logits, expected.logits, atol=1e-5)


def test_without_memory_for_one_prompt_the_service_is_overloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = segmenter(random_sam())
    out_of_memory_above(monkeypatch, 0)
    with pytest.raises(Problem, match="out of memory") as caught:
        decode(ours, picture(256, 256), 4, multimask=False)
    assert caught.value.code == "overloaded"


def test_without_memory_for_an_image_the_service_is_overloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = segmenter(random_sam())

    def full(self: Encoder, pixels: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(Encoder, "forward", full)
    with pytest.raises(Problem, match="out of memory") as caught:
        ours.embed([picture(256, 256)])
    assert caught.value.code == "overloaded"


def test_varying_numbers_of_prompts_and_of_survivors_compile_a_few_graphs() -> None:
    """Images decoded together too: each is compiled as if it were alone."""
    sam, graphs = random_sam(), []

    def counting(graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    decoder = Decoder(sam)
    decoder.compile(counting)
    compiled, eager = Segmenter(sam, Encoder(sam, torch.float32), decoder, 64), segmenter(sam)
    image = picture(330, 260)
    for side, iou_threshold in ((3, 0.0), (5, 0.0), (10, 0.0), (4, 0.02), (9, 0.05)):
        found = decode(compiled, image, side, True, iou_threshold)
        expected = decode(eager, image, side, True, iou_threshold)
        assert np.array_equal(found.prompt, expected.prompt)
        assert torch.allclose(found.logits, expected.logits, atol=1e-5)
    both = compiled.share(compiled.embed([image, image]), [image.shape[:2]] * 2)
    together = [Prompts(both[i], grid(side, 330, 260), False, 0.0, never) for i, side in enumerate((3, 4))]
    counts = [len(found.prompt) for found in compiled.decode(together, {}) if found]
    assert counts == [9, 16]
    assert len(graphs) == 4  # 16 and 64 prompts, through the trunk and to masks


def test_a_small_model_has_one_thread_and_gives_the_others_back() -> None:
    before = torch.get_num_threads()
    with segmenter(random_sam()).threads():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA device; run there: pytest -k cuda tests/services"
)
def test_a_batch_waits_for_cuda_once() -> None:
    ours, image = segmenter(random_sam().cuda(), prompt_batch=64), picture(256, 256)
    decode(ours, image, 8, multimask=True)
    (encoded,) = ours.share(ours.embed([image]), [image.shape[:2]])
    asked = [Prompts(encoded, grid(16, 256, 256), True, 0.0, never)]  # four batches
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        ours.decode(asked, {})
        torch.cuda.set_sync_debug_mode("default")
    assert sum("synchronizing CUDA operation" in str(warning.message) for warning in caught) == 4
