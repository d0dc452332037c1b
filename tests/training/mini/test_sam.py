"""dtwin-mini-sam learns what it is meant to, from the data that it is meant to see."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from training.mini.sam import Recipe, losses, train
from training.mini.sam_data import FIRST_SEED, SIDE, Batch, Scenes, draw_batch, label, prepare, render
from training.mini.sam_model import CONFIG, Decoded, build_sam, decode, encode
from training.scenes import render_scene


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return render(range(FIRST_SEED, FIRST_SEED + 16))  # every size once


@pytest.fixture(scope="module")
def batch(scenes: Scenes) -> Batch:
    return draw_batch(scenes, np.arange(16), 16, np.random.default_rng(0))


def test_no_held_out_scene_is_trained_on(tmp_path: Path) -> None:
    first = prepare(tmp_path, 1)
    assert FIRST_SEED >= 10_000
    assert np.array_equal(first.owners[0], render(range(FIRST_SEED, FIRST_SEED + 1)).owners[0])


def test_scenes_on_disk_are_rendered_once(tmp_path: Path) -> None:
    prepare(tmp_path, 2)
    written = (tmp_path / "images.npy").stat().st_mtime_ns
    prepare(tmp_path, 2)
    assert (tmp_path / "images.npy").stat().st_mtime_ns == written
    assert len(prepare(tmp_path, 3)) == 3


def test_labels_are_the_parts_of_the_scene() -> None:
    scene = render_scene(FIRST_SEED)
    owners, objects, _ = label(scene)
    for i, found in enumerate(scene.objects, start=1):
        assert np.array_equal(objects[owners] == i, found.mask)
    assert len(np.unique(owners)) == 1 + sum(len(found.parts) for found in scene.objects)


def test_a_point_in_an_object_has_its_part_and_its_whole_as_targets(batch: Batch) -> None:
    rows, columns = (batch.points // 4).long().unbind(-1)[::-1]
    for b, p in zip(*torch.nonzero(batch.hit, as_tuple=True), strict=True):
        assert batch.part[b, p, rows[b, p], columns[b, p]] > 0
        assert (batch.part[b, p] <= batch.whole[b, p]).all()


def test_some_points_lie_on_the_background_and_most_do_not(batch: Batch) -> None:
    assert 0.6 < batch.hit.float().mean() < 0.9


def test_points_lie_inside_what_the_scene_fills(scenes: Scenes, batch: Batch) -> None:
    height, width = torch.from_numpy(scenes.sizes).T
    assert (batch.points[..., 0] < width[:, None]).all()
    assert (batch.points[..., 1] < height[:, None]).all()


def test_the_same_seed_draws_the_same_batch(scenes: Scenes) -> None:
    one, other = (draw_batch(scenes, np.arange(4), 8, np.random.default_rng(7)) for _ in range(2))
    assert torch.equal(one.images, other.images)
    assert torch.equal(one.points, other.points)


def test_the_training_decoder_gives_what_the_class_gives(batch: Batch) -> None:
    torch.manual_seed(0)
    sam = build_sam(CONFIG)
    with torch.no_grad():
        embeddings = encode(sam, batch.images[:2])
        decoded = decode(sam, embeddings, batch.points[:2])
        for i in range(2):
            sparse, dense = sam.prompt_encoder((batch.points[i][:, None], torch.ones(16, 1)), None, None)
            place = sam.prompt_encoder.get_dense_pe()
            logits, iou = sam.mask_decoder.predict_masks(embeddings[i : i + 1], place, sparse, dense)
            assert torch.allclose(decoded.logits[i], logits, atol=1e-5)
            assert torch.allclose(decoded.iou[i], iou, atol=1e-5)


def perfect(batch: Batch) -> Tensor:
    return 200 * (torch.stack([batch.part, batch.part, batch.whole, batch.whole], dim=2) - 0.5)


def test_perfect_masks_have_an_iou_of_one_and_the_least_loss(batch: Batch) -> None:
    claimed = batch.hit[..., None].expand(-1, -1, 4).float()
    good, honest, iou = losses(Decoded(perfect(batch), claimed), batch)
    bad, boastful, _ = losses(Decoded(-perfect(batch), claimed), batch)
    visible = (batch.part[batch.hit] > 0.5).any(dim=(1, 2))  # a few parts are smaller than a low-resolution pixel
    assert visible.float().mean() > 0.9
    assert iou[visible].min() == 1
    assert honest < 0.05
    assert good < bad
    assert boastful > 0.5


def test_a_mask_on_the_background_costs_nothing_and_a_claim_for_it_does(batch: Batch) -> None:
    masks = perfect(batch)
    claimed = batch.hit[..., None].expand(-1, -1, 4).float()
    masks_there = torch.where(batch.hit[:, :, None, None, None], masks, torch.full_like(masks, 9.0))
    before, after = losses(Decoded(masks, claimed), batch), losses(Decoded(masks_there, claimed), batch)
    assert before[0] == after[0]
    assert losses(Decoded(masks, torch.ones_like(claimed)), batch)[1] > 0.1


def test_training_resumes_where_it_stopped_and_exports_what_the_config_says(tmp_path: Path) -> None:
    recipe = Recipe(minutes=0.02, scenes=4, batch=2, prompts=4)
    train(recipe, tmp_path / "work", tmp_path / "out")
    before = torch.load(tmp_path / "work" / "checkpoint.pt", weights_only=True)
    longer = Recipe(minutes=before["spent"] / 60 + 0.02, scenes=4, batch=2, prompts=4)
    train(longer, tmp_path / "work", tmp_path / "out")
    after = torch.load(tmp_path / "work" / "checkpoint.pt", weights_only=True)
    assert after["step"] > before["step"] > 0
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    weights = load_file(tmp_path / "out" / "model.safetensors")
    build_sam(config).load_state_dict(weights)
    assert {value.dtype for value in weights.values()} == {torch.float16}
    assert config["image_encoder"]["img_size"] == SIDE
