"""The store of training scenes: what is in it is true, and is rendered once."""

import random
from pathlib import Path

import numpy as np
import pytest

from dtwinseger.prompts import views
from training.mini.asked import GRANULARITIES, QUERY, ask
from training.mini.render import render
from training.mini.rendering import FIRST_SEED, frame, square, store_scene
from training.mini.scene_store import SIDE, VIEW, VIEWS, Contents, Store, create, in_memory, open_store
from training.mini.shown import BACKGROUND, RECORD, WHOLE, Truth, numbered, perceived, perturb, record_of
from training.mini.vlm_answers import semantics
from training.mini.vlm_model import picture_processor
from training.scenes import COLORS, KINDS, Scene, render_scene
from training.scenes.queries import Asker
from training.scenes.render import TRAINING
from training.scenes.things import take_apart
from training.scenes.twins import Level, true_part_semantics, true_semantics, true_twin
from training.scenes.vocabulary import held_out


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [render_scene(seed) for seed in range(8)]


@pytest.fixture(scope="module")
def store() -> Store:
    store = in_memory(3)
    for index in range(2):
        store_scene(store, index, FIRST_SEED + index)
    return store


def shown(truth: Truth, mask: np.ndarray) -> np.void:
    return np.array([record_of(truth, mask)], RECORD)[0]


def test_nothing_that_is_held_out_is_trained_on(store: Store) -> None:
    assert FIRST_SEED >= TRAINING
    for record in store.records[:2].ravel():
        if record["kind"] != BACKGROUND:
            assert not held_out(list(COLORS)[record["color"]], list(KINDS)[record["kind"]])


def test_a_scene_is_stored_as_it_is_rendered(store: Store) -> None:
    seed = FIRST_SEED + 1
    truth = numbered(render_scene(seed, *frame(np.random.default_rng((seed, 1)))))
    height, width = store.sizes[1]
    assert max(height, width) == SIDE
    shares = np.bincount(store.owners[1, :height, :width].ravel(), minlength=64) / (height * width)
    assert np.abs(shares - truth.areas / truth.owners.size).max() < 0.01
    assert not store.owners[1, height:].any()
    assert not store.owners[1, :, width:].any()
    assert store.pictures[1].any(axis=(1, 2, 3, 4)).all()
    assert store.there().tolist() == [0, 1]


def test_a_store_is_filled_once_and_holds_one_thing(tmp_path: Path) -> None:
    folder = tmp_path / "scenes"
    contents = Contents(FIRST_SEED, 2)
    store_scene(create(folder, contents), 1, FIRST_SEED + 1)
    first = open_store(folder).images[1].copy()
    render(contents, folder, 1, None)
    filled = open_store(folder)
    assert filled.done.all()
    assert (filled.images[1] == first).all()
    with pytest.raises(ValueError, match="holds other scenes"):
        create(folder, Contents(FIRST_SEED, 3))


def test_pictures_are_what_the_processor_makes_of_the_views() -> None:
    scene = render_scene(0, 320, 256)
    mask = scene.objects[0].mask
    pictures = [views.marked(scene.image, mask, 12, VIEW), views.crop(scene.image, mask, VIEW)]
    made = picture_processor()(
        [picture.copy() for picture in pictures], do_rescale=False, do_normalize=False, return_tensors="np"
    )
    assert all((square(p) == q).all() for p, q in zip(pictures, made["pixel_values"], strict=True))


def test_a_perturbed_mask_still_covers_most_of_its_object(scenes: list[Scene]) -> None:
    rng = np.random.default_rng(0)
    changed = 0
    for found in (found for scene in scenes for found in scene.objects):
        mask = perturb(rng, found.mask)
        changed += not np.array_equal(mask, found.mask)
        assert (mask & found.mask).sum() >= 0.5 * (mask | found.mask).sum()
    assert changed > 15


def test_masks_are_of_objects_of_parts_and_of_the_ground(scenes: list[Scene]) -> None:
    rng = np.random.default_rng(0)
    records = []
    for scene in scenes:
        truth = numbered(scene)
        masks = perceived(rng, scene, VIEWS)
        assert len(masks) == VIEWS
        assert all(mask.any() for mask in masks)
        records += [record_of(truth, mask) for mask in masks]
    kinds = np.array(records, RECORD)
    assert 0.03 < (kinds["kind"] == BACKGROUND).mean() < 0.2
    assert (kinds["shown"] != WHOLE).mean() > 0.2
    assert (kinds["shown"] == WHOLE).mean() > 0.3


def test_a_true_mask_is_called_as_the_true_twin_calls_it(scenes: list[Scene]) -> None:
    asked = {name: np.array([(b"", number, 0)], QUERY)[0] for number, name in enumerate(GRANULARITIES)}
    for scene in scenes:
        truth = numbered(scene)
        rows = true_twin(scene, "part")
        for index, found in enumerate(scene.objects):
            record = shown(truth, found.mask)
            assert semantics(record, asked["object"]) == true_semantics(found)
            assert record["object"] == index
            for part in found.parts:
                record = shown(truth, part.mask)
                assert semantics(record, asked["part"]) == true_part_semantics(found, part)
                assert rows[record["row"]].semantic == true_part_semantics(found, part).semantic


def test_the_answer_of_a_query_passes_its_first_step(scenes: list[Scene]) -> None:
    for scene in scenes:
        stored = ask(scene, random.Random(scene.seed), 12)
        assert {"part"} < {GRANULARITIES[query["granularity"]] for query in stored}
        rng, size = random.Random(scene.seed), (scene.image.shape[0], scene.image.shape[1])
        levels: tuple[Level, ...] = ("object", "part")
        twins = [true_twin(scene, level) for level in levels]
        askers = [Asker(take_apart(twin), size, rng) for twin in twins]
        for number, query in enumerate(stored):
            draws = (askers[number % 3 == 0].draw() for _ in range(9))  # not every one gives what is stored
            drawn = next(one for one in draws if one and one.text == query["text"].decode())
            assert all(int(query["fits"]) >> (index - 1) & 1 for index in drawn.indices)
            assert int(query["fits"]) < 1 << len(twins[number % 3 == 0])
