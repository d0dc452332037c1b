"""Scenes on disk are the scenes that were rendered: images, queries and masks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dtwinseger.evaluation.check import check
from dtwinseger.evaluation.datasets import load, splits
from dtwinseger.evaluation.datasets.scenes import SceneLine, write
from dtwinseger.evaluation.samples import DatasetError
from training.scenes import render_scene
from training.scenes.export import KINDS, lines, queries

SIZE = (256, 288)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    write(folder / "val", lines(folder / "val", range(1_000, 1_003), SIZE, 3))
    write(folder / "one", lines(folder / "one", range(1_000, 1_002), SIZE, 1))
    return folder


def test_what_is_loaded_is_what_was_rendered(root: Path) -> None:
    samples = load("scenes", root, "val")
    assert [s.sample_id for s in samples[:4]] == ["00001000#0", "00001000#1", "00001000#2", "00001001#0"]
    scene = render_scene(1_000, SIZE[1], SIZE[0])
    assert np.array_equal(np.asarray(Image.open(samples[0].image)), scene.image)
    for sample, query in zip(samples, queries(scene, 3), strict=False):
        expected = np.zeros(SIZE, dtype=bool)
        for index in query.indices:
            expected |= scene.objects[index - 1].mask
        assert np.array_equal(sample.load_truth().target, expected)
        assert (sample.query, sample.facets.kind, sample.facets.granularity) == (
            query.text,
            query.kind,
            query.granularity,
        )
        assert sample.facets.targets == len(query.indices)


def test_one_query_a_scene_is_named_by_the_scene(root: Path) -> None:
    assert [s.sample_id for s in load("scenes", root, "one")] == ["00001000", "00001001"]


def test_the_queries_of_a_scene_are_of_different_kinds(root: Path) -> None:
    kinds = [sample.facets.kind for sample in load("scenes", root, "val")[:3]]
    assert len(set(kinds)) == 3
    assert set(kinds) <= set(KINDS)


def test_an_export_is_complete(root: Path) -> None:
    assert splits("scenes", root) == ("one", "val")
    assert check("scenes", root, "val").problems == ()


def test_a_line_that_is_no_sample_is_told_by_its_number(tmp_path: Path, root: Path) -> None:
    line = (root / "val" / "samples.jsonl").read_text().splitlines()[0]
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "samples.jsonl").write_text(line + "\n{}\n")
    with pytest.raises(DatasetError, match=r"samples\.jsonl:2: not a sample of the scenes: sample_id"):
        load("scenes", tmp_path, "val")
    with pytest.raises(DatasetError, match="no scenes here"):
        load("scenes", tmp_path, "test")


def test_an_image_outside_the_folder_is_refused(root: Path) -> None:
    line = (root / "val" / "samples.jsonl").read_text().splitlines()[0]
    with pytest.raises(ValueError, match="image"):
        SceneLine.model_validate_json(line.replace("00001000.png", "../00001000.png"))
