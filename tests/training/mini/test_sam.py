"""dtwin-mini-sam learns what it is meant to, from the data that it is meant to see."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from benchmarks.sam_quality import Found
from services.perception.checkpoint import load_checkpoint
from services.perception.encoder import Encoder
from training.mini.rendering import FIRST_SEED, at_side, store_image
from training.mini.sam import Recipe, losses, train
from training.mini.sam_data import GRID, Batch, Raw, prompted, taken
from training.mini.sam_encoder import encode_fused
from training.mini.sam_masks import prepared, proposer
from training.mini.sam_model import CONFIG, Decoded, begin, build_sam, decode, encode
from training.mini.scene_store import SIDE, Contents, Store, create, in_memory
from training.mini.shown import numbered
from training.scenes import render_scene

MEAN, DEVIATION = (torch.tensor(CONFIG[name]).view(3, 1, 1) for name in ("pixel_mean", "pixel_std"))


@pytest.fixture(scope="module")
def store() -> Store:
    store = in_memory(4)
    for index, size in enumerate(((256, 256), (384, 256), (256, 320), (512, 512))):
        store_image(store, index, numbered(render_scene(FIRST_SEED + index, *size)))
    return store


def batch_of(raw: Raw, *, augment: bool, seed: int = 0) -> Batch:
    return prompted(raw, 32, torch.Generator().manual_seed(seed), MEAN, DEVIATION, augment=augment)


@pytest.fixture(scope="module")
def batch(store: Store) -> Batch:
    return batch_of(taken(store, np.arange(4)), augment=False)


@pytest.fixture(scope="module")
def augmented(store: Store) -> Batch:
    return batch_of(taken(store, np.arange(4).repeat(2)), augment=True)


def test_images_are_prepared_as_the_service_does_it(batch: Batch) -> None:
    image = render_scene(FIRST_SEED + 1, 384, 256).image
    sam = build_sam(CONFIG)
    served = Encoder(sam, torch.float32).preprocess([image])
    assert torch.allclose(batch.images[1], served[0], atol=1e-4)
    assert torch.allclose(prepared(sam, at_side(numbered(render_scene(FIRST_SEED + 1, 384, 256)))[0]), served)


def test_masks_and_points_are_those_of_the_scene(store: Store, batch: Batch) -> None:
    for b in range(4):
        owners, objects = store.owners[b], store.objects[b]
        for p in torch.nonzero(batch.hit[b]).ravel().tolist():
            x, y = batch.points[b, p].round().int().tolist()
            for wanted, true in (
                (batch.part[b, p], owners == owners[y, x]),
                (batch.whole[b, p], objects[owners] == objects[owners[y, x]]),
            ):
                shares = true.reshape(GRID, 4, GRID, 4).mean(axis=(1, 3))
                assert np.allclose(wanted.numpy(), shares, atol=1e-5)


def test_some_points_lie_on_the_ground_and_most_do_not(batch: Batch, augmented: Batch) -> None:
    for each in (batch, augmented):
        assert 0.55 < each.hit.float().mean() < 0.9


def test_points_lie_inside_what_the_scene_fills(store: Store, batch: Batch) -> None:
    height, width = torch.from_numpy(store.sizes).T
    assert (batch.points[batch.hit] >= 0).all()
    assert ((batch.points[..., 0] < width[:, None]) | ~batch.hit).all()
    assert ((batch.points[..., 1] < height[:, None]) | ~batch.hit).all()


def test_augmented_masks_still_hold_their_points(augmented: Batch) -> None:
    x, y = (augmented.points.round() // 4).long().clamp(max=GRID - 1).unbind(-1)
    for b, p in torch.nonzero(augmented.hit).tolist():
        assert augmented.part[b, p, y[b, p], x[b, p]] > 0
        assert (augmented.part[b, p] <= augmented.whole[b, p] + 1e-5).all()


def test_the_same_seed_draws_the_same_batch(store: Store) -> None:
    one, again, other = (batch_of(taken(store, np.arange(2)), augment=True, seed=seed) for seed in (7, 7, 8))
    assert torch.equal(one.images, again.images)
    assert torch.equal(one.points, again.points)
    assert not torch.equal(one.points, other.points)


def test_the_training_decoder_gives_what_the_class_gives(batch: Batch) -> None:
    torch.manual_seed(0)
    sam = build_sam(CONFIG)
    with torch.no_grad():
        embeddings = encode(sam, batch.images[:1])
        decoded = decode(sam, embeddings, batch.points[:1])
        sparse, dense = sam.prompt_encoder((batch.points[0][:, None], torch.ones(32, 1)), None, None)
        place = sam.prompt_encoder.get_dense_pe()
        logits, iou = sam.mask_decoder.predict_masks(embeddings, place, sparse, dense)
        assert torch.allclose(decoded.logits[0], logits, atol=1e-5)
        assert torch.allclose(decoded.iou[0], iou, atol=1e-5)


def test_the_fused_encoder_gives_what_the_class_gives_and_its_gradients(batch: Batch) -> None:
    torch.manual_seed(0)
    vit = build_sam(CONFIG | {"image_encoder": CONFIG["image_encoder"] | {"depth": 2}}).image_encoder
    for name, table in vit.named_parameters():
        if "pos" in name:
            torch.nn.init.normal_(table, std=0.3)
    outputs, gradients = [], []
    for run in (vit, partial(encode_fused, vit)):
        vit.zero_grad()
        outputs.append(run(batch.images[:1]))
        (outputs[-1] ** 2).mean().backward()
        gradients.append({name: weight.grad.clone() for name, weight in vit.named_parameters()})
    assert torch.allclose(*outputs, atol=1e-5)
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradient, gradients[1][name], atol=1e-5 + 1e-3 * gradient.abs().max().item()), name


def test_a_sam_of_another_side_begins_one() -> None:
    small = build_sam(CONFIG | {"image_encoder": CONFIG["image_encoder"] | {"img_size": 384}})
    torch.nn.init.constant_(small.image_encoder.pos_embed, 0.25)
    large = build_sam(CONFIG)
    begin(large, small.state_dict())
    old, new = small.state_dict(), large.state_dict()
    assert torch.allclose(new["image_encoder.pos_embed"], torch.full((1, 32, 32, 256), 0.25))
    same = [name for name, value in old.items() if value.shape == new[name].shape]
    assert all(torch.equal(old[name], new[name]) for name in same)
    assert {name.rpartition(".")[2] for name in old.keys() - same} == {"pos_embed", "rel_pos_h", "rel_pos_w"}


def perfect(batch: Batch) -> Tensor:
    return 200 * (torch.stack([batch.part, batch.part, batch.whole, batch.whole], dim=2) - 0.5)


def test_perfect_masks_have_an_iou_of_one_and_the_least_loss(batch: Batch) -> None:
    claimed = batch.hit[..., None].expand(-1, -1, 4).float()
    good, honest, iou = losses(Decoded(perfect(batch), claimed), batch, 2.0)
    bad, boastful, _ = losses(Decoded(-perfect(batch), claimed), batch, 2.0)
    visible = (batch.part[batch.hit] > 0.5).any(dim=(1, 2))  # a few parts are smaller than a low-resolution pixel
    assert visible.float().mean() > 0.9
    assert iou[batch.hit][visible].min() == 1
    assert (iou[~batch.hit] == 0).all()
    assert honest < 0.05
    assert good < bad
    assert boastful > 0.5


def test_a_mask_on_the_ground_costs_nothing_and_a_claim_for_it_does(batch: Batch) -> None:
    masks = perfect(batch)
    claimed = batch.hit[..., None].expand(-1, -1, 4).float()
    masks_there = torch.where(batch.hit[:, :, None, None, None], masks, torch.full_like(masks, 9.0))
    before, after = (losses(Decoded(each, claimed), batch, 2.0) for each in (masks, masks_there))
    assert before[0] == after[0]
    assert losses(Decoded(masks, torch.ones_like(claimed)), batch, 2.0)[1] > 0.1


def test_training_resumes_where_it_stopped_and_exports_what_the_service_loads(store: Store, tmp_path: Path) -> None:
    scenes, work, out = tmp_path / "scenes", tmp_path / "work", tmp_path / "out"
    filled = create(scenes, Contents(FIRST_SEED, 4))
    for name in ("images", "owners", "objects", "classes", "sizes"):
        getattr(filled, name)[:] = getattr(store, name)
    filled.done[:] = True
    recipe = Recipe(minutes=0.01, batch=1, prompts=4)
    train(recipe, scenes, work, out, torch.device("cpu"))
    before = torch.load(work / "checkpoint.pt", weights_only=True)
    train(replace(recipe, minutes=before["spent"] / 60 + 0.01), scenes, work, out, torch.device("cpu"))
    after = torch.load(work / "checkpoint.pt", weights_only=True)
    assert after["step"] > before["step"] > 0
    weights = load_file(out / "model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float16}
    assert (out / "model.safetensors").stat().st_size < 16_000_000
    assert load_checkpoint(out, None, torch.device("cpu")).sam.image_encoder.img_size == SIDE
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(config | {"iou_threshold": 0.0}))
    truth = numbered(render_scene(0, 320, 256))
    masks = proposer(out)(np.random.default_rng(0), truth)
    assert all(mask.shape == truth.owners.shape for mask in masks)


def test_proposals_are_counted_both_ways() -> None:
    left, right = np.zeros((2, 4, 4), np.bool_)
    left[:, :2] = right[:, 2:] = True
    found = Found()
    found.add([left, right], [left])
    found.add([left], [])
    assert (found.recall, found.precision) == (1 / 3, 1.0)
