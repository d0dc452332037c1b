import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from dtwinseger.twin import render_twin
from training.scenes import render_scene
from training.scenes.twins import true_twin
from training.segdt import read
from training.segdt.commands import app
from training.segdt.validate import check


def build(folder: Path, *more: str, scenes: int = 3) -> Result:
    """Scenes of the smallest size."""
    small = ["--scenes", str(scenes), "--queries", "3", "--size", "256", "256"]
    return CliRunner().invoke(app, ["build", "scenes", str(folder), *small, *more])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that was built in one go."""
    folder = tmp_path_factory.mktemp("built") / "out"
    done = build(folder)
    assert done.exit_code == 0, done.output
    return folder


def test_every_sample_is_valid_and_its_image_is_beside_it(built: Path) -> None:
    found = check([built / "segdt.jsonl"], built / "images", 10)
    assert (found.samples, found.shown) == (9, [])
    assert len(list((built / "images").iterdir())) == 3


def test_the_twin_is_the_true_one_to_the_letter(built: Path) -> None:
    for sample in read(built / "segdt.jsonl"):
        scene = render_scene(int(sample.image.file[:8]), 256, 256)
        twin = true_twin(scene, "part" if sample.granularity == "part" else "object")
        assert render_twin(sample.dt0) == render_twin(twin)


def test_a_build_that_was_cut_off_goes_on_to_the_same_file(built: Path, tmp_path: Path) -> None:
    assert build(tmp_path, scenes=2).exit_code == 0
    with (tmp_path / "segdt.jsonl").open("a") as file:
        file.write('{"id":"scenes-00010002')  # cut off while it wrote the third
    with (tmp_path / "done.jsonl").open("a") as file:
        file.write('{"unit":"1000')
    assert build(tmp_path).exit_code == 0
    for name in ("segdt.jsonl", "done.jsonl"):
        assert (tmp_path / name).read_bytes() == (built / name).read_bytes()


def test_a_folder_is_not_gone_on_with_in_another_way(built: Path) -> None:
    before = (built / "segdt.jsonl").read_bytes()
    other = build(built, "--queries", "2")
    assert other.exit_code == 1
    assert "was begun with queries 3, not 2" in other.output
    assert (built / "segdt.jsonl").read_bytes() == before


def test_a_file_that_was_shortened_is_not_gone_on_with(tmp_path: Path) -> None:
    build(tmp_path, scenes=1)
    (tmp_path / "segdt.jsonl").write_bytes(b"")
    changed = build(tmp_path)
    assert changed.exit_code == 1
    assert "was changed" in changed.output


def test_nothing_is_trained_on_scenes_that_are_held_out(tmp_path: Path) -> None:
    refused = build(tmp_path / "out", "--first-seed", "9999")
    assert refused.exit_code == 1
    assert "held out" in refused.output
    assert build(tmp_path / "val", "--split", "val", "--first-seed", "9999", scenes=1).exit_code == 0


def test_statistics_count_what_the_file_holds(built: Path) -> None:
    samples = read(built / "segdt.jsonl")
    done = CliRunner().invoke(app, ["stats", str(built / "segdt.jsonl"), "--json"])
    counted = json.loads(done.output)
    assert counted["samples"] == 9
    assert counted["images"] == 3
    assert counted["splits"] == {"train": 9}
    assert counted["annotators"] == {"world": 9}
    assert counted["empty_answers"] == sum(not sample.indices for sample in samples)
    assert sum(counted["kinds"].values()) == sum(counted["granularities"].values()) == 9
    assert counted["objects"]["most"] == max(len(sample.dt0) for sample in samples)
    assert counted["steps"]["least"] == min(len(sample.path) for sample in samples)
    assert counted["prompt_tokens"]["least"] > counted["answer_tokens"]["least"] > 0


def test_statistics_are_a_table_too_and_take_no_broken_file(built: Path, tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["stats", str(built / "segdt.jsonl")])
    assert shown.exit_code == 0
    assert "9 samples on 3 images" in shown.output
    (tmp_path / "broken.jsonl").write_text("{\n")
    broken = CliRunner().invoke(app, ["stats", str(tmp_path / "broken.jsonl")])
    assert broken.exit_code == 1
    assert "broken.jsonl:1: not JSON" in broken.output
