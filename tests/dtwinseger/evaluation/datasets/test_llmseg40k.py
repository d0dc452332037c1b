"""LLM-Seg40K: each question about a photograph is a sample, its mask an RLE in the split's JSON."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dtwinseger.evaluation.datasets import load
from dtwinseger.evaluation.samples import DatasetError
from dtwinseger.twin import Mask
from tests.dtwinseger.evaluation.folders import llmseg40k, question


def _rle(rows: int) -> dict[str, Any]:
    mask = np.zeros((20, 30), dtype=bool)
    mask[:rows] = True
    return Mask.encode(mask).model_dump(mode="json")


def test_every_question_is_a_sample(tmp_path: Path) -> None:
    photographs = {
        "000000000009.jpg": {"from_dataset": "coco", "qa_pairs": [question("a?", _rle(2)), question("b? ", _rle(0))]},
        "ABC.jpg": {"from_dataset": "ego_objects", "qa_pairs": [question("c?", _rle(3))]},
    }
    llmseg40k(tmp_path, photographs)
    samples = load("llmseg40k", tmp_path, "val")
    assert [(s.sample_id, s.query) for s in samples] == [
        ("000000000009#0", "a?"),
        ("000000000009#1", "b?"),
        ("ABC#0", "c?"),
    ]
    assert [int(s.load_truth().target.sum()) for s in samples] == [60, 0, 90]
    assert [s.image.relative_to(tmp_path).as_posix() for s in samples[1:]] == [
        "coco/train2017/000000000009.jpg",
        "ego_objects/images/ABC.jpg",
    ]


def test_the_photographs_are_found_beside_the_annotations(tmp_path: Path) -> None:
    llmseg40k(
        tmp_path / "LLM-Seg40K",
        {"9.jpg": {"from_dataset": "coco", "qa_pairs": [question("a?", _rle(2))]}},
        "test.json",
    )
    (tmp_path / "train2017").mkdir()
    assert load("llmseg40k", tmp_path, "test")[0].image == tmp_path / "train2017" / "9.jpg"


def test_a_mask_may_be_a_list_of_rle(tmp_path: Path) -> None:
    llmseg40k(tmp_path, {"9.jpg": {"from_dataset": "coco", "qa_pairs": [question("a?", [_rle(2), _rle(5)])]}})
    assert load("llmseg40k", tmp_path, "val")[0].load_truth().target.sum() == 150


@pytest.mark.parametrize(
    "rle", [None, "counts", {"size": [20, 30], "counts": "0"}, [], {"size": [0, 30], "counts": []}]
)
def test_an_rle_that_does_not_decode_names_its_question(tmp_path: Path, rle: object) -> None:
    llmseg40k(tmp_path, {"9.jpg": {"from_dataset": "coco", "qa_pairs": [question("a?", rle)]}})
    with pytest.raises(DatasetError, match=r"validation\.json: question 0 about 9\.jpg: "):
        load("llmseg40k", tmp_path, "val")[0].load_truth()


@pytest.mark.parametrize("photograph", [[], {"from_dataset": "voc", "qa_pairs": []}, {"qa_pairs": []}])
def test_what_is_not_llmseg40ks_is_refused(tmp_path: Path, photograph: object) -> None:
    llmseg40k(tmp_path, {"9.jpg": photograph})
    with pytest.raises(DatasetError, match=r"validation\.json: not an annotation of LLM-Seg40K: 9\.jpg"):
        load("llmseg40k", tmp_path, "val")


def test_two_photographs_of_one_name_are_refused(tmp_path: Path) -> None:
    pairs = [question("a?", _rle(2))]
    llmseg40k(
        tmp_path,
        {
            "9.jpg": {"from_dataset": "coco", "qa_pairs": pairs},
            "9.png": {"from_dataset": "ego_objects", "qa_pairs": pairs},
        },
    )
    with pytest.raises(DatasetError, match="two samples 9#0"):
        load("llmseg40k", tmp_path, "val")


def test_a_wrong_root_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no LLM-Seg40K here: the folder has no test\.json"):
        load("llmseg40k", tmp_path, "test")
