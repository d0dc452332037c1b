"""ReasonSeg is read with all its quirks, and its masks are LISA's, pixel by pixel."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from dtwinseger.evaluation import predictions
from dtwinseger.evaluation.datasets import load
from dtwinseger.evaluation.metrics import ious, pixel_counts
from dtwinseger.evaluation.samples import DatasetError, Sample, Truth
from tests.dtwinseger.evaluation.folders import box, photograph, reasonseg, shape

SHARED = Path(__file__).parents[5] / "shared" / "data"
LAYOUTS = (
    ("reason_seg/ReasonSeg/{split}", "reason_seg/ReasonSeg/{split}"),
    ("ReasonSeg/{split}", "ReasonSeg/{split}"),
    ("{split}", "{split}"),
    ("reason_seg/ReasonSeg/{split}/images", "reason_seg/ReasonSeg/{split}/questions"),
    ("reason_seg/ReasonSeg/images/{split}", "reason_seg/ReasonSeg/questions/{split}"),
)


def _one(root: Path) -> Sample:
    (sample,) = load("reasonseg", root, "val")
    return sample


def _truth(root: Path) -> Truth:
    return _one(root).load_truth()


@pytest.mark.skipif(not SHARED.exists(), reason="the recorded samples are not here")
def test_the_ious_of_recorded_answers_are_those_of_lisas_own_code() -> None:
    expected = json.loads((SHARED / "recorded" / "expected.json").read_text())["iou"]
    samples = {sample.sample_id: sample for sample in load("reasonseg", SHARED, "val")}
    found = {}
    for prediction in predictions.read(SHARED / "recorded" / "predictions.jsonl"):
        truth = samples[prediction.sample_id].load_truth()
        counts = pixel_counts(prediction.mask.decode(), truth.target, truth.ignore)
        found[prediction.sample_id] = ious(*np.array([counts]).T).item()
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("folders", LAYOUTS)
def test_every_layout_gives_the_same_sample(tmp_path: Path, folders: tuple[str, str]) -> None:
    reasonseg(tmp_path, folders=folders)
    sample = _one(tmp_path)
    assert (sample.sample_id, sample.image.name) == ("one", "one.jpg")
    assert sample.load_truth().target.sum() == 5 * 6


def test_only_the_first_text_is_asked(tmp_path: Path) -> None:
    reasonseg(tmp_path, text=("first ", "second"), is_sentence=False)
    sample = _one(tmp_path)
    assert (sample.query, sample.facets.is_sentence) == ("first", False)


def test_a_file_in_cp1252_is_read(tmp_path: Path) -> None:
    reasonseg(tmp_path, text=("the dog’s café",), encoding="cp1252")
    assert _one(tmp_path).query == "the dog’s café"


def test_a_file_in_neither_encoding_is_refused_by_name(tmp_path: Path) -> None:
    path = reasonseg(tmp_path)
    path.write_bytes(b'{"text": ["\x81\x8d"]}')
    with pytest.raises(DatasetError, match=r"one\.json: neither UTF-8 nor cp1252"):
        load("reasonseg", tmp_path, "val")


def test_edges_belong_to_the_outline(tmp_path: Path) -> None:
    reasonseg(tmp_path, shapes=[box("target", 2, 3, 6, 8)])
    expected = np.zeros((20, 30), dtype=bool)
    expected[3:9, 2:7] = True
    assert np.array_equal(_truth(tmp_path).target, expected)


def test_the_fill_keeps_within_the_outline(tmp_path: Path) -> None:
    # Of OpenCV before 4.11 it is 656 pixels.
    reasonseg(tmp_path, shapes=[shape("target", (-30, 10), (30, 14), (24, 70), (8, 27))], size=(40, 40))
    assert _truth(tmp_path).target.sum() == 650


def test_an_opencv_that_draws_other_pixels_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reasonseg(tmp_path)
    sample = _one(tmp_path)
    monkeypatch.delitem(sys.modules, "dtwinseger.evaluation.datasets.outlines", raising=False)
    monkeypatch.setattr(cv2, "__version__", "4.8.0")
    with pytest.raises(DatasetError, match=r"dtwinseger\[eval\].*OpenCV 4\.8\.0 fills polygons past their outline"):
        sample.load_truth()


def test_points_are_cut_to_whole_pixels_toward_zero(tmp_path: Path) -> None:
    reasonseg(tmp_path, shapes=[box("target", 2.9, 3.9, 6.9, 8.9)])
    assert _truth(tmp_path).target.sum() == 5 * 6


def test_flags_are_void_and_what_is_to_be_ignored_is_no_target(tmp_path: Path) -> None:
    shapes = [box("Flag", 0, 0, 29, 19), box("target", 0, 0, 3, 3), box("IGNORE_this", 10, 10, 12, 12)]
    reasonseg(tmp_path, shapes=shapes)
    truth = _truth(tmp_path)
    assert (truth.target.sum(), truth.ignore.sum()) == (16, 9)
    assert _one(tmp_path).facets.targets == 1


@pytest.mark.parametrize("turn", [1, -1])
def test_the_smaller_outline_lies_on_top_whatever_the_order(tmp_path: Path, turn: int) -> None:
    shapes = [box("target", 0, 0, 9, 9), box("ignore", 0, 0, 5, 5), box("target", 0, 0, 2, 2)]
    reasonseg(tmp_path, shapes=shapes[::turn])
    truth = _truth(tmp_path)
    # The target that lies in what is ignored is a target: union-then-subtract would lose its 9 pixels.
    assert (truth.target.sum(), truth.ignore.sum()) == (100 - 36 + 9, 36 - 9)


def test_a_sample_without_a_target_is_a_sample(tmp_path: Path) -> None:
    reasonseg(tmp_path, shapes=[box("ignore", 0, 0, 5, 5)])
    truth = _truth(tmp_path)
    assert (truth.target.any(), truth.ignore.sum()) == (False, 36)
    reasonseg(tmp_path, shapes=[])
    assert not _truth(tmp_path).target.any()


def test_two_points_are_a_line_and_one_is_a_dot(tmp_path: Path) -> None:
    reasonseg(tmp_path, shapes=[shape("target", (1, 1), (5, 1))])
    assert _truth(tmp_path).target.sum() == 5
    reasonseg(tmp_path, shapes=[shape("target", (1, 1))])
    assert _truth(tmp_path).target.sum() == 1


def test_an_outline_is_cut_at_the_images_edge(tmp_path: Path) -> None:
    reasonseg(tmp_path, shapes=[box("target", -50, -50, 4, 4), box("target", 100, 100, 200, 200)])
    assert _truth(tmp_path).target.sum() == 25


def test_the_mask_has_the_size_of_the_image_as_it_is_looked_at(tmp_path: Path) -> None:
    reasonseg(tmp_path, size=(20, 30), orientation=6)
    assert _truth(tmp_path).size == (30, 20)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not an annotation"),
        ('{"text": [], "is_sentence": true, "shapes": []}', "text"),
        ('{"text": "a query", "is_sentence": true, "shapes": []}', "text"),
        ('{"text": ["a"], "shapes": []}', "is_sentence"),
        ('{"text": ["a"], "is_sentence": true, "shapes": [{"label": "target", "points": [[1]]}]}', "points"),
        ('{"text": ["a"], "is_sentence": true, "shapes": [{"label": "target", "points": [[NaN, 1]]}]}', "points"),
        ('{"text": ["a"], "is_sentence": true, "shapes": [{"label": "target", "points": [[1e9, 1]]}]}', "points"),
        ('{"text": ["a"], "is_sentence": true, "shapes": [{"label": 3, "points": [[1, 1]]}]}', "label"),
    ],
)
def test_a_broken_annotation_is_named_with_what_is_wrong(tmp_path: Path, content: str, words: str) -> None:
    reasonseg(tmp_path).write_text(content)
    with pytest.raises(DatasetError, match=rf"one\.json: .*{words}"):
        load("reasonseg", tmp_path, "val")


def test_a_shape_without_points_is_refused(tmp_path: Path) -> None:
    reasonseg(tmp_path, shapes=[shape("target")])
    with pytest.raises(DatasetError, match=r"one\.json: shape 0 \(target\) has no points"):
        _truth(tmp_path)


def test_half_a_data_set_is_refused(tmp_path: Path) -> None:
    path = reasonseg(tmp_path)
    reasonseg(tmp_path, "two").unlink()
    with pytest.raises(DatasetError, match="half a data set: 1 of 2 have no JSON here, two the first"):
        load("reasonseg", tmp_path, "val")
    (path.parent / "two.jpg").unlink()
    (path.parent / "one.jpg").unlink()
    with pytest.raises(DatasetError, match="half a data set: 1 of 1 have no photograph"):
        load("reasonseg", tmp_path, "val")


def test_an_image_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    path = reasonseg(tmp_path)
    path.with_suffix(".jpg").write_bytes(b"no image")
    with pytest.raises(DatasetError, match=r"one\.jpg: not an image"):
        _truth(tmp_path)


def test_a_wrong_root_or_split_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no ReasonSeg here: neither .*reason_seg/ReasonSeg/val nor"):
        load("reasonseg", tmp_path, "val")
    with pytest.raises(DatasetError, match="no split 'validation'; it has train, val, test"):
        load("reasonseg", tmp_path, "validation")
    photograph(tmp_path / "val" / "notes.png", (4, 4))
    with pytest.raises(DatasetError, match="no ReasonSeg here: the folder has no"):
        load("reasonseg", tmp_path, "val")
