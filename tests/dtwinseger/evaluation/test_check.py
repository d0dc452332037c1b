"""The checker says what is missing, and is content with nothing less than all of it."""

from pathlib import Path

import numpy as np
import pytest

from dtwinseger.evaluation import check as checker
from dtwinseger.evaluation.check import check
from dtwinseger.twin import Mask
from tests.dtwinseger.evaluation.folders import box, llmseg40k, photograph, question, reasonseg, rectangle, ref, refcoco


def test_a_complete_split_has_no_problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reasonseg(tmp_path)
    reasonseg(tmp_path, "two", shapes=[box("ignore", 0, 0, 3, 3)])
    monkeypatch.setitem(checker.PUBLISHED, "reasonseg", {"val": 2})
    found = check("reasonseg", tmp_path, "val")
    assert (found.samples, found.images, found.empty, found.published, found.problems) == (2, 2, 1, 2, ())


def test_fewer_images_than_were_published_are_a_problem(tmp_path: Path) -> None:
    reasonseg(tmp_path)
    assert check("reasonseg", tmp_path, "val").problems == ("1 of 200 images",)


def test_an_image_without_its_annotation_is_a_problem(tmp_path: Path) -> None:
    reasonseg(tmp_path)
    photograph(tmp_path / "reason_seg/ReasonSeg/val/two.jpg", (20, 30))
    (problem,) = check("reasonseg", tmp_path, "val").problems
    assert "half a data set: 1 of 2 have no JSON here, two the first" in problem


def test_a_missing_image_is_a_problem_told_once(tmp_path: Path) -> None:
    refs = [ref(1, 11, ["left cup", "red one"])]
    refcoco(tmp_path, refs, {11: [rectangle(0, 0, 5, 4)]}, dataset="grefcoco", refs_file="grefs(unc).json")
    assert check("grefcoco", tmp_path, "val").problems == ()
    image = next((tmp_path / "refer_seg/images").rglob("*.jpg"))
    image.unlink()
    assert check("grefcoco", tmp_path, "val").problems == (f"1 missing or broken: {image}: No such file or directory",)


def test_an_image_of_another_size_than_its_mask_is_a_problem(tmp_path: Path) -> None:
    mask = Mask.encode(np.ones((20, 30), dtype=bool)).model_dump(mode="json")
    llmseg40k(tmp_path, {"9.jpg": {"from_dataset": "coco", "qa_pairs": [question("a?", mask)]}})
    photograph(tmp_path / "coco/train2017/9.jpg", (30, 20))
    (problem,) = check("llmseg40k", tmp_path, "val").problems
    assert problem.endswith("9.jpg: the image is 30x20, its mask 20x30")


def test_a_mask_that_does_not_decode_is_a_problem(tmp_path: Path) -> None:
    llmseg40k(tmp_path, {"9.jpg": {"from_dataset": "coco", "qa_pairs": [question("a?", None)]}})
    photograph(tmp_path / "coco/train2017/9.jpg", (30, 20))
    (problem,) = check("llmseg40k", tmp_path, "val").problems
    assert "1 missing or broken" in problem
