"""A file of predictions is read line by line, and whatever is wrong is told with its line."""

import json
from pathlib import Path

import numpy as np
import pytest

from dtwinseger.evaluation.predictions import Prediction, PredictionError, index, read, read_at, write
from dtwinseger.twin import Mask

EMPTY = Mask.encode(np.zeros((4, 5), dtype=bool))


def _line(**changes: object) -> str:
    return json.dumps({"sample_id": "a", "mask": EMPTY.model_dump(mode="json")} | changes) + "\n"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    rng = np.random.default_rng(0)
    written = [Prediction(sample_id=f"s#{k}", mask=Mask.encode(rng.random((30, 20)) > 0.5)) for k in range(3)]
    write(path, written)
    assert list(read(path)) == written
    assert json.loads(path.read_text().splitlines()[0]) == {
        "sample_id": "s#0",
        "mask": {"size": [30, 20], "counts": written[0].mask.counts},
    }


def test_a_prediction_is_read_from_its_place(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(_line(sample_id="ä") + "\n" + _line(sample_id="b").rstrip(), encoding="utf-8")
    places = index(path)
    assert [(name, place.line) for name, place in places.items()] == [("ä", 1), ("b", 3)]
    assert [read_at(path, place).sample_id for place in places.values()] == ["ä", "b"]


def test_other_keys_and_blank_lines_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text("\n" + _line(seconds=3, twin_id="x") + "  \n")
    assert [prediction.sample_id for prediction in read(path)] == ["a"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "Invalid JSON"),
        ("[]", "object"),
        ('{"mask": {"size": [4, 5], "counts": "d0"}}', "sample_id: Field required"),
        (_line(sample_id=""), "sample_id: .*at least 1"),
        (_line(sample_id=7), "sample_id: .*string"),
        (_line(mask=None), "mask: "),
        (_line(mask={"size": [4, 5]}), "mask.counts: Field required"),
        (_line(mask={"size": [4, 5], "counts": [20]}), "mask.counts: .*string"),
        (_line(mask={"size": [4, 5], "counts": "e0"}), "the runs of the RLE do not fill an image of 4x5"),
        (_line(mask={"size": [4, 5], "counts": "P"}), "the RLE ends inside a number"),
        (_line(mask={"size": [4, 5], "counts": "ÿ"}), "compressed RLE"),
        (_line(mask={"size": [4.5, 5], "counts": "d0"}), "mask.size.0"),
        (_line(mask={"size": [0, 5], "counts": ""}), "mask.size.0"),
    ],
)
def test_a_line_that_is_no_prediction_is_told_by_its_number(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(_line(sample_id="fine") + line, encoding="utf-8")
    with pytest.raises(PredictionError, match=rf"p\.jsonl:2: .*{words}"):
        list(read(path))


def test_a_line_that_is_not_utf8_is_told_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(_line().encode() + '{"sample_id": "é"}\n'.encode("cp1252"))
    with pytest.raises(PredictionError, match=r"p\.jsonl:2: "):
        index(path)


@pytest.mark.parametrize("reading", [index, lambda path: list(read(path))])
def test_a_sample_that_comes_twice_is_refused_with_both_lines(tmp_path: Path, reading: object) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(_line() + _line(sample_id="b") + _line())
    assert callable(reading)
    with pytest.raises(PredictionError, match=r"p\.jsonl:3: sample a was predicted in line 1 already"):
        reading(path)
