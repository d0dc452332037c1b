"""The small VLM's examples: masks as perception errs, and the truths that go with them."""

import random
import re

import numpy as np
import pytest

from training.mini import vlm_answers as answers
from training.mini.vlm_data import (
    BACKGROUND,
    RECORD,
    VIEWS_PER_SCENE,
    WHOLE,
    Asked,
    Shown,
    ask,
    perceived,
    perturb,
    prepare,
    record_of,
)
from training.scenes import KINDS, Scene, render_scene


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [render_scene(seed) for seed in range(20)]


def said(scene: Scene, shown: Shown, asked: Asked | None) -> dict[str, object]:
    record = np.array([record_of(0, scene, shown)], RECORD)[0]
    return answers.semantics(record, asked).model_dump()


def asking(scene: Scene, granularity: str, part: str | None, fitting: int) -> Asked:
    fits = tuple(index == fitting for index in range(len(scene.objects)))
    return Asked("a query", granularity, fits, part)  # type: ignore[arg-type]


def with_parts(scenes: list[Scene]) -> tuple[Scene, int]:
    """A scene and the index of an object in it that shows several parts."""
    return next((s, i) for s in scenes for i, found in enumerate(s.objects) if len(found.parts) > 1)


def test_a_perturbed_mask_still_covers_most_of_its_object(scenes: list[Scene]) -> None:
    rng = np.random.default_rng(0)
    changed = 0
    for scene in scenes:
        for found in scene.objects:
            mask = perturb(rng, found.mask)
            changed += not np.array_equal(mask, found.mask)
            assert (mask & found.mask).sum() >= 0.5 * (mask | found.mask).sum()
    assert changed > 50


def test_a_scene_gives_objects_parts_and_background(scenes: list[Scene]) -> None:
    rng = np.random.default_rng(0)
    shown = [mask for scene in scenes for mask in perceived(rng, scene)]
    assert len(shown) == VIEWS_PER_SCENE * len(scenes)
    assert all(each.mask.any() for each in shown)
    assert {"object", "part", "background"} == {
        "background" if each.found is None else "object" if each.shown == WHOLE else "part" for each in shown
    }


def test_background_masks_hold_hardly_anything_of_an_object(scenes: list[Scene]) -> None:
    rng = np.random.default_rng(1)
    for scene in scenes:
        objects = np.logical_or.reduce([found.mask for found in scene.objects])
        for each in perceived(rng, scene):
            if each.found is None:
                assert (each.mask & objects).sum() < 0.5 * each.mask.sum()


def test_an_object_that_answers_the_query_is_relevant(scenes: list[Scene]) -> None:
    scene = scenes[0]
    found = scene.objects[1]
    assert said(scene, Shown(found.mask, found), asking(scene, "object", None, 1)) == {
        "semantic": found.semantic,
        "category": found.kind,
        "attributes": (found.size, found.color),
        "relevance": 1.0,
    }
    assert said(scene, Shown(found.mask, found), asking(scene, "object", None, 0))["relevance"] == 0.0
    assert said(scene, Shown(found.mask, found), None)["relevance"] == 0.0


def test_background_is_called_so_and_is_never_relevant(scenes: list[Scene]) -> None:
    shown = Shown(np.ones((256, 256), dtype=np.bool_), None)
    assert said(scenes[0], shown, asking(scenes[0], "object", None, 0)) == {
        "semantic": "the background",
        "category": "background",
        "attributes": (),
        "relevance": 0.0,
    }


def test_a_part_is_named_with_its_object_where_the_query_asks_for_parts(scenes: list[Scene]) -> None:
    scene, index = with_parts(scenes)
    found = scene.objects[index]
    part = found.parts[0].name
    shown = Shown(found.parts[0].mask, found, WHOLE, KINDS[found.kind].index(part))
    asked = asking(scene, "part", part, index)
    answer = said(scene, shown, asked)
    assert answer["semantic"] == f"the {part} of {found.semantic}"
    assert (answer["category"], answer["relevance"]) == (part, 1.0)
    assert said(scene, shown, asking(scene, "object", None, index))["semantic"] == found.semantic
    other = found.parts[1].name
    assert said(scene, shown, asking(scene, "part", other, index))["relevance"] == 0.0


def test_queries_about_a_scene_name_what_fits_them(scenes: list[Scene]) -> None:
    seen = 0
    for seed, scene in enumerate(scenes):
        for query in ask(scene, random.Random(seed)):
            assert len(query.fits) == len(scene.objects)
            assert (query.part is not None) == (query.granularity == "part")
            if named := re.fullmatch(rf"find the (?:\w+ )?({'|'.join(KINDS)})", query.text):
                seen += 1
                assert {f.kind for f, fits in zip(scene.objects, query.fits, strict=True) if fits} <= {named[1]}
    assert seen


def test_prepared_views_are_found_again(tmp_path: object) -> None:
    folder = tmp_path / "views"  # type: ignore[operator]
    first = prepare(folder, 2, 10_000, perturbed=True)
    written = (folder / "pictures.npy").stat().st_mtime_ns
    again = prepare(folder, 2, 10_000, perturbed=True)
    assert (folder / "pictures.npy").stat().st_mtime_ns == written
    assert len(first) == len(again) == 2 * VIEWS_PER_SCENE
    assert (first.records == again.records).all()
    assert first.queries == again.queries
    assert first.pictures.any(axis=(1, 2, 3, 4)).all()
    assert ((first.records["kind"] >= BACKGROUND) & (first.records["kind"] < len(KINDS))).all()
