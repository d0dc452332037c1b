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
from training.scenes.export import FAMILIES, WHOLE, lines, queries
from training.scenes.twins import Level, true_masks

SIZE = (256, 288)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    write(folder / "val", lines(folder / "val", range(1_000, 1_008), SIZE, 4))
    write(folder / "one", lines(folder / "one", range(1_000, 1_002), SIZE, 1))
    return folder


def test_what_is_loaded_is_what_was_rendered(root: Path) -> None:
    samples = load("scenes", root, "val")
    assert [s.sample_id for s in samples[:5]] == [*(f"00001000#{k}" for k in range(4)), "00001001#0"]
    scene = render_scene(1_000, SIZE[1], SIZE[0])
    assert np.array_equal(np.asarray(Image.open(samples[0].image)), scene.image)
    for sample, (_, query) in zip(samples, queries(scene, 4), strict=False):
        expected = np.zeros(SIZE, dtype=bool)
        level: Level = "part" if query.granularity == "part" else "object"
        for index in query.indices:
            expected |= true_masks(scene, level)[index - 1]
        assert np.array_equal(sample.load_truth().target, expected)
        facets = sample.facets
        assert (sample.query, facets.kind, facets.granularity) == (query.text, query.kind, query.granularity)
        assert (facets.phrasing, facets.targets) == (query.phrasing, len(query.indices))
        assert sample.load_objects
        shown = [found.mask.area for found in sample.load_objects()]
        assert shown == [int(mask.sum()) for mask in true_masks(scene, level)]


def test_one_query_a_scene_is_named_by_the_scene(root: Path) -> None:
    assert [s.sample_id for s in load("scenes", root, "one")] == ["00001000", "00001001"]


def test_the_queries_of_a_scene_differ_and_all_levels_have_their_turn(root: Path) -> None:
    samples = load("scenes", root, "val")
    for first in range(0, len(samples), 4):
        assert len({sample.query for sample in samples[first : first + 4]}) == 4
    asked = [sample.facets for sample in samples]
    assert {facets.granularity for facets in asked} == {"object", "group", "part"}
    assert {facets.phrasing for facets in asked} == {"seen", "held_out"}
    assert 0.2 <= sum(facets.targets == 0 for facets in asked) / len(asked) <= 0.3


def test_families_take_turns_and_may_leave_parts_out() -> None:
    scene = render_scene(1_001, SIZE[1], SIZE[0])
    assert len(queries(scene, 4)) == len(FAMILIES)
    assert {twin.level for twin, _ in queries(scene, 4)} == {"object", "part"}
    assert {twin.level for twin, _ in queries(scene, 6, WHOLE)} == {"object"}


def test_a_line_without_a_phrasing_was_asked_as_training_asks(tmp_path: Path, root: Path) -> None:
    line = (root / "val" / "samples.jsonl").read_text().splitlines()[-1]
    assert '"phrasing":"held_out",' in line
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "samples.jsonl").write_text(line.replace('"phrasing":"held_out",', "") + "\n")
    assert [sample.facets.phrasing for sample in load("scenes", tmp_path, "old")] == ["seen"]


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
