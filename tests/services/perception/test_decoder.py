"""The decoder in factors gives the numbers of segment_anything's MaskDecoder, with the same weights."""

import shutil
from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from segment_anything.modeling import Sam
from torch import Tensor

from services.perception.checkpoint import load_checkpoint
from services.perception.decoder import Decoder
from tests.services.perception.small import BUNDLED, random_sam, random_vit_b

EXACT = 1e-5  # of the range of the numbers, which is 25 for the bundled model's logits


def assert_same(given: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(given, expected, rtol=0, atol=EXACT * max(1.0, float(expected.abs().max())))


def bundled() -> Sam:
    return load_checkpoint(BUNDLED, None, torch.device("cpu")).sam


def embeddings(sam: Sam, images: int) -> Tensor:
    """Of the bundled model those of pictures, else noise: [I, C, h, w]."""
    generator = torch.Generator().manual_seed(1)
    side = sam.image_encoder.img_size
    if side < 1024:
        with torch.inference_mode():
            return sam.image_encoder(sam.preprocess(torch.rand(images, 3, side, side, generator=generator) * 255))
    return torch.randn(images, sam.prompt_encoder.embed_dim, side // 16, side // 16, generator=generator)


def points(sam: Sam, count: int) -> Tensor:
    """[N, 2] anywhere in the input, edges included."""
    side = sam.image_encoder.img_size
    inside = torch.rand(count - 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) * side
    return torch.cat([inside, torch.tensor([[0.0, 0.0], [side, side]], dtype=torch.float64)])


def reference(sam: Sam, embedding: Tensor, prompts: Tensor) -> tuple[Tensor, Tensor]:
    """Logits [N, K, 4h, 4w] and predicted IoU [N, K] of `prompts` [N, 2] on one image [1, C, h, w]."""
    sparse, dense = sam.prompt_encoder((prompts[:, None], torch.ones(len(prompts), 1)), None, None)
    masks, iou = sam.mask_decoder.predict_masks(embedding, sam.prompt_encoder.get_dense_pe(), sparse, dense)
    return masks, iou


@pytest.mark.parametrize("build", [random_sam, bundled, random_vit_b])
@torch.inference_mode()
def test_logits_and_predicted_ious_are_the_references(build: Callable[[], Sam]) -> None:
    sam = build()
    image, prompts = embeddings(sam, 1), points(sam, 8)
    decoder = Decoder(sam)
    shared = decoder.share(image)
    trunk = decoder.trunk(shared, prompts, [(0, 0, 8)])
    logits = decoder.upscale(shared, trunk, torch.arange(8), image=0)
    expected, iou = reference(sam, image, prompts)
    assert expected.std() > 0.03  # weights that give a constant would prove nothing
    assert expected[0].sub(expected[1]).abs().max() > 0.03
    assert_same(logits, expected)
    assert_same(trunk.predicted_iou, iou)


@torch.inference_mode()
def test_rounding_is_of_the_size_of_the_references_own() -> None:
    sam = bundled()
    image, prompts = embeddings(sam, 1), points(sam, 32)
    sparse, dense = sam.prompt_encoder((prompts[:, None], torch.ones(32, 1)), None, None)
    inputs = image, sam.prompt_encoder.get_dense_pe(), sparse, dense
    exact, _ = deepcopy(sam.mask_decoder).double().predict_masks(*(tensor.double() for tensor in inputs))
    expected, _ = reference(sam, image, prompts)
    decoder = Decoder(sam)
    shared = decoder.share(image)
    logits = decoder.upscale(shared, decoder.trunk(shared, prompts, [(0, 0, 32)]), torch.arange(32), image=0)
    ours, theirs = (logits - exact).abs(), (expected - exact).abs()
    # Twice theirs with the bundled weights, and far below what a mask depends on: sums are formed in another order.
    assert ours.square().mean().sqrt() < 3 * theirs.square().mean().sqrt()
    assert ours.max() < 3 * theirs.max()
    assert ours.max() < 1e-4


@torch.inference_mode()
def test_prompts_of_several_images_are_decoded_together() -> None:
    sam = bundled()
    images, prompts = embeddings(sam, 3), points(sam, 7)
    decoder = Decoder(sam)
    shared = decoder.share(images)
    spans = [(2, 0, 3), (0, 3, 4), (1, 4, 7)]
    trunk = decoder.trunk(shared, prompts, spans)
    for image, start, end in spans:
        expected, iou = reference(sam, images[image : image + 1], prompts[start:end])
        logits = decoder.upscale(shared, trunk, torch.arange(start, end), image)
        assert_same(logits, expected)
        assert_same(trunk.predicted_iou[start:end], iou)


@torch.inference_mode()
def test_only_the_prompts_asked_for_are_upscaled() -> None:
    sam = random_sam()
    image, prompts = embeddings(sam, 1), points(sam, 6)
    decoder = Decoder(sam)
    shared = decoder.share(image)
    trunk = decoder.trunk(shared, prompts, [(0, 0, 6)])
    everything = decoder.upscale(shared, trunk, torch.arange(6), image=0)
    some = decoder.upscale(shared, trunk, torch.tensor([1, 4]), image=0)
    assert_same(some, everything[[1, 4]])


@torch.inference_mode()
def test_a_deeper_transformer_is_decoded_as_exactly() -> None:
    sam = random_sam(depth=3)
    image, prompts = embeddings(sam, 1), points(sam, 5)
    decoder = Decoder(sam)
    shared = decoder.share(image)
    trunk = decoder.trunk(shared, prompts, [(0, 0, 5)])
    expected, iou = reference(sam, image, prompts)
    assert_same(decoder.upscale(shared, trunk, torch.arange(5), 0), expected)
    assert_same(trunk.predicted_iou, iou)


@torch.inference_mode()
def test_traced_as_one_graph_it_gives_the_references_numbers() -> None:
    sam = random_sam()
    image, prompts = embeddings(sam, 1), points(sam, 8)
    decoder = Decoder(sam)
    decoder.compile("aot_eager")
    shared = decoder.share(image)
    trunk = decoder.trunk(shared, prompts, [(0, 0, 8)])
    expected, iou = reference(sam, image, prompts)
    assert_same(decoder.upscale(shared, trunk, torch.arange(8), image=0), expected)
    assert_same(trunk.predicted_iou, iou)


@pytest.mark.skipif(not shutil.which("g++"), reason="needs a C++ compiler")
@torch.inference_mode()
def test_masks_of_a_compiled_decoder_are_the_references() -> None:
    """Of the eager trunk, whose compilation takes a minute."""
    sam = random_sam()
    image, prompts = embeddings(sam, 1), points(sam, 8)
    eager, compiled = Decoder(sam), Decoder(sam)
    compiled.compile()
    shared = compiled.share(image)
    trunk = eager.trunk(shared, prompts, [(0, 0, 8)])
    assert_same(compiled.upscale(shared, trunk, torch.arange(8), image=0), reference(sam, image, prompts)[0])


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA device; run there: pytest -k cuda tests/services"
)
@pytest.mark.parametrize("compiled", [False, True])
@torch.inference_mode()
def test_cuda_gives_the_references_numbers_in_fp32(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # in which the reference's convolutions would be
    sam = random_vit_b().cuda()
    image, prompts = embeddings(sam, 1).cuda(), points(sam, 64).cuda()
    decoder = Decoder(sam)
    if compiled:
        decoder.compile()
    shared = decoder.share(image)
    trunk = decoder.trunk(shared, prompts, [(0, 0, 64)])
    sparse, dense = sam.prompt_encoder((prompts[:, None], torch.ones(64, 1, device="cuda")), None, None)
    expected, iou = sam.mask_decoder.predict_masks(image, sam.prompt_encoder.get_dense_pe(), sparse, dense)
    logits = decoder.upscale(shared, trunk, torch.arange(64, device="cuda"), image=0)
    assert_same(logits, expected)
    assert_same(trunk.predicted_iou, iou)
