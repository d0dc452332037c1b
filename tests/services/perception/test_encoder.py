"""Embeddings are those of segment_anything's own encoder, with the same weights."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from segment_anything import SamPredictor
from segment_anything.modeling import Sam
from torch import Tensor, nn

from services.perception.checkpoint import SmallSam, load_checkpoint
from services.perception.encoder import Block, Encoder, input_size
from tests.services.perception.small import BUNDLED, CONFIG, filled
from training.scenes import render_scene

CPU = torch.device("cpu")
EXACT = 1e-5  # of the embedding's range
BFLOAT16 = 0.01  # of the embedding's range; the bundled model is off by 0.002


def sam_with(**image_encoder: Any) -> Sam:
    """Random weights, the small config with an encoder of its own."""
    torch.manual_seed(0)
    changed = CONFIG | {"image_encoder": CONFIG["image_encoder"] | image_encoder}
    return filled(SmallSam.model_validate(changed).build())


def bundled() -> Sam:
    return load_checkpoint(BUNDLED, None, CPU).sam


def no_relative_positions() -> Sam:
    return sam_with(use_rel_pos=False)


def no_positions_or_projection_bias() -> Sam:
    return sam_with(use_abs_pos=False, qkv_bias=False)


def heads_of_odd_width() -> Sam:
    """10 channels a head, 26 with the 8 rows and 8 columns of a global block: no multiple of 8."""
    return sam_with(embed_dim=30, num_heads=3)


def two_blocks_of_vit_b() -> Sam:
    return sam_with(
        img_size=1024, embed_dim=768, num_heads=12, out_chans=256, window_size=14, depth=2, global_attn_indexes=[1]
    )


def random_pixels(sam: Sam, count: int = 1) -> Tensor:
    side = sam.image_encoder.img_size
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def picture(width: int, height: int) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)


def difference(embedding: Tensor, expected: Tensor) -> float:
    """The largest, as a share of the expected range."""
    assert embedding.shape == expected.shape
    return float((embedding.cpu() - expected).abs().max() / (expected.max() - expected.min()))


@pytest.mark.parametrize(
    "build",
    [
        sam_with,
        no_relative_positions,
        no_positions_or_projection_bias,
        heads_of_odd_width,
        bundled,
        two_blocks_of_vit_b,
    ],
)
def test_embeddings_equal_those_of_the_reference(build: Callable[[], Sam]) -> None:
    sam = build()
    pixels = random_pixels(sam)
    with torch.inference_mode():
        expected = sam.image_encoder(pixels)
        embedding = Encoder(sam, torch.float32)(pixels)
    assert embedding.dtype == torch.float32
    assert difference(embedding, expected) < EXACT


def test_the_reference_depends_on_relative_positions() -> None:
    """Else equality with it would say nothing of them; segment_anything itself starts them at zero."""
    sam = sam_with()
    pixels = random_pixels(sam)
    placed = sam.image_encoder(pixels)
    for name, value in sam.image_encoder.named_parameters():
        if "rel_pos" in name:
            value.zero_()
    assert difference(sam.image_encoder(pixels), placed) > 1000 * EXACT


@pytest.mark.parametrize("build", [sam_with, heads_of_odd_width, bundled])
@pytest.mark.parametrize("widen", [False, True])
def test_a_block_equals_the_reference_by_mask_and_by_channels(build: Callable[[], Sam], widen: bool) -> None:
    sam = build()
    grid = sam.image_encoder.img_size // 16
    tokens = torch.randn(2, grid, grid, sam.image_encoder.neck[0].in_channels)
    for reference in sam.image_encoder.blocks:
        with torch.inference_mode():
            expected = reference(tokens)
            assert difference(Block(reference, grid, torch.float32, widen)(tokens), expected) < EXACT


@pytest.mark.parametrize("build", [sam_with, bundled])
def test_a_batch_equals_its_images_alone(build: Callable[[], Sam]) -> None:
    sam = build()
    encoder = Encoder(sam, torch.float32)
    pixels = random_pixels(sam, 3)
    alone = torch.cat([encoder(one[None]) for one in pixels])
    assert difference(encoder(pixels), alone) < EXACT


@pytest.mark.parametrize(("width", "height"), [(256, 256), (330, 260), (257, 601), (1, 1)])
@pytest.mark.parametrize("build", [sam_with, bundled])
def test_pixels_equal_those_of_the_reference_bit_for_bit(build: Callable[[], Sam], width: int, height: int) -> None:
    sam, image = build(), picture(width, height)
    predictor, seen = SamPredictor(sam), []
    sam.image_encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    predictor.set_image(image)
    pixels = Encoder(sam, torch.float32).preprocess([image])
    assert torch.equal(pixels, seen[0])
    assert input_size(height, width, sam.image_encoder.img_size) == predictor.input_size


def test_images_of_many_sizes_are_one_batch() -> None:
    encoder = Encoder(sam_with(), torch.float32)
    images = [picture(200, 100), picture(31, 77), render_scene(1).image]
    batch = encoder.preprocess(images)
    assert batch.shape == (3, 3, 128, 128)
    assert all(torch.equal(one, encoder.preprocess([image])[0]) for one, image in zip(batch, images, strict=True))


def test_an_image_of_a_single_row_keeps_that_row() -> None:
    encoder = Encoder(sam_with(), torch.float32)
    pixels = encoder.preprocess([picture(3000, 1)])
    assert input_size(1, 3000, 128) == (1, 128)
    assert pixels[:, :, 0].abs().min() > 0
    assert pixels[:, :, 1:].abs().max() == 0


def test_weights_in_fp32_are_not_copied() -> None:
    sam = bundled()
    own = {parameter.data_ptr() for parameter in sam.image_encoder.parameters()}
    assert {parameter.data_ptr() for parameter in Encoder(sam, torch.float32).parameters()} <= own


def test_a_cast_leaves_the_sam_as_it_was() -> None:
    sam = sam_with()
    before = copy.deepcopy(sam.state_dict())
    Encoder(sam, torch.bfloat16)(random_pixels(sam))
    assert all(torch.equal(value, before[name]) for name, value in sam.state_dict().items())
    assert {value.dtype for value in sam.state_dict().values()} == {torch.float32}


@pytest.mark.parametrize("widen", [False, True])
def test_an_encoder_compiles_as_one_graph(widen: bool) -> None:
    sam = sam_with()
    encoder = Encoder(sam, torch.float32)
    encoder.blocks = nn.ModuleList(Block(block, 8, torch.float32, widen) for block in sam.image_encoder.blocks)
    pixels = random_pixels(sam, 2)
    compiled = torch.compile(encoder, fullgraph=True, dynamic=False, backend="eager")
    assert difference(compiled(pixels), encoder(pixels)) < EXACT


@pytest.mark.parametrize("build", [sam_with, bundled])
def test_bfloat16_stays_close_to_fp32(build: Callable[[], Sam]) -> None:
    sam = build()
    pixels = random_pixels(sam)
    embedding = Encoder(sam, torch.bfloat16)(pixels)
    assert embedding.dtype == torch.float32
    assert difference(embedding, sam.image_encoder(pixels)) < BFLOAT16


@pytest.mark.skipif(
    not torch.cuda.is_available(),
    reason="no CUDA device; where there is one, run pytest tests/services/perception/test_encoder.py -k cuda",
)
@pytest.mark.parametrize("build", [sam_with, heads_of_odd_width, bundled, two_blocks_of_vit_b])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-3), (torch.bfloat16, BFLOAT16)])
def test_embeddings_on_cuda_are_close_to_the_reference_on_the_cpu(
    build: Callable[[], Sam], dtype: torch.dtype, tolerance: float
) -> None:
    """In fp32 too only close: by default, convolutions on CUDA are in TF32."""
    sam = build()
    pixels = random_pixels(sam, 2)
    with torch.inference_mode():
        expected = sam.image_encoder(pixels)
        embedding = Encoder(sam.cuda(), dtype)(pixels.cuda())
    assert difference(embedding, expected) < tolerance
