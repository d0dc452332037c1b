"""`dtwinseger eval` from the outside: what it prints, and that mistakes are one line and exit code 1."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from dtwinseger.cli import app
from tests.dtwinseger.evaluation.folders import box, reasonseg
from tests.dtwinseger.evaluation.samples import predicted, rows

SIZE = (20, 30)
EMPTY = rows(0, 0, SIZE)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    reasonseg(tmp_path, "a", shapes=[box("target", 0, 0, 29, 9)])
    reasonseg(tmp_path, "b", shapes=[box("target", 0, 0, 29, 9)], is_sentence=False)
    return tmp_path


def _eval(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "160"}).invoke(app, ["eval", *map(str, arguments)])


def _score(root: Path, predictions: Path, *more: str) -> Result:
    where = ("--dataset", "reasonseg", "--root", root, "--split", "val")
    return _eval("score", *where, "--predictions", predictions, *more)


def test_json_is_one_object_and_nothing_else(root: Path, tmp_path: Path) -> None:
    done = _score(root, predicted(tmp_path / "p", {"a": rows(0, 5, SIZE)}), "--json")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert set(found) == {"samples", "giou", "ciou", "giou_ci95", "ciou_ci95", "missing", "splits"}
    assert (found["samples"], found["missing"]) == (2, 1)
    assert found["giou"] == pytest.approx(0.25, abs=1e-6)
    assert (found["splits"]["long"]["giou"], found["splits"]["short"]["giou"]) == (pytest.approx(0.5, abs=1e-6), 0)


def test_a_split_that_is_not_whole_is_noted_beside_the_figures(root: Path, tmp_path: Path) -> None:
    done = _score(root, predicted(tmp_path / "p", {}), "--json")
    assert "2 images here; reasonseg val was published with 200" in done.stderr


def test_the_table_names_the_definition_and_what_was_missing(root: Path, tmp_path: Path) -> None:
    path = predicted(tmp_path / "p", {"a": rows(0, 5, SIZE)})
    assert "2 samples; 1 without a prediction count as empty, by LISA's definition" in _score(root, path).stdout
    done = _score(root, path, "--metric-variant", "missing-skipped", "--metric-variant", "empty-zero")
    assert "reasonseg val: 1 samples, counted with empty-zero, missing-skipped" in done.stdout
    assert "| all   | 1 | 0.5000 [0.5000, 0.5000] |" in done.stdout


def test_variants_are_named_in_the_object(root: Path, tmp_path: Path) -> None:
    done = _score(root, predicted(tmp_path / "p", {}), "--json", "--metric-variant", "empty-zero")
    assert json.loads(done.stdout)["metric_variants"] == ["empty-zero"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"sample_id": "z", "mask": {"size": [20, 30], "counts": "hb0"}}', "p:1: no sample z"),
        ('{"sample_id": "a"}', "p:1: mask: Field required"),
        ('{"sample_id": "a", "mask": {"size": [2, 3], "counts": "6"}}', "p:1: the mask of a is 2x3, its image 20x30"),
        ('{"sample_id": "a", "mask": {"size": [20, 30], "counts": "!"}}', "p:1: mask.counts: "),
    ],
)
def test_a_mistake_is_one_line_that_names_file_and_line(root: Path, tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "p").write_text(content + "\n")
    done = _score(root, tmp_path / "p", "--json")
    assert done.exit_code == 1
    assert done.stdout == ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert len(errors) == 1
    assert words in errors[0]


def test_a_file_or_a_root_that_is_not_there_is_one_line(root: Path, tmp_path: Path) -> None:
    done = _score(root, tmp_path / "nothing")
    assert (done.exit_code, "nothing" in done.stderr) == (1, True)
    done = _score(tmp_path / "nowhere", tmp_path / "nothing")
    assert (done.exit_code, "no ReasonSeg here" in done.stderr) == (1, True)


def test_variants_that_contradict_each_other_are_a_usage_error(root: Path, tmp_path: Path) -> None:
    done = _score(root, tmp_path / "p", "--metric-variant", "empty-zero", "--metric-variant", "empty-dropped")
    assert done.exit_code == 2
    assert "exclude each other" in done.stderr


def test_two_files_are_compared(root: Path, tmp_path: Path) -> None:
    first = predicted(tmp_path / "p", {"a": rows(0, 5, SIZE)})
    second = predicted(tmp_path / "q", {"a": rows(0, 5, SIZE), "b": rows(0, 10, SIZE)})
    where = ("--dataset", "reasonseg", "--root", root, "--split", "val")
    found = json.loads(_eval("compare", first, second, *where, "--json").stdout)
    assert found["giou"] == pytest.approx(0.5, abs=1e-6)
    assert found["splits"]["long"]["giou"] == 0
    assert "| short | 1 | +1.0000 [+1.0000, +1.0000]" in _eval("compare", first, second, *where).stdout


def test_the_check_fails_while_something_is_missing(root: Path) -> None:
    done = _eval("check", "--dataset", "reasonseg", "--root", root, "--split", "val")
    assert done.exit_code == 1
    assert "| val   | 2       | 2      | 200" in done.stdout
    assert "val: 2 of 200 images" in done.stdout


def test_scenes_are_checked_in_every_split_that_is_there(tmp_path: Path) -> None:
    done = _eval("check", "--dataset", "scenes", "--root", tmp_path)
    assert (done.exit_code, "no split of scenes here" in done.stderr) == (1, True)
