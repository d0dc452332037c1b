"""RefCOCO and its kin: an expression a sample, masks as pycocotools draws them, and a pickle that runs nothing."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco

from dtwinseger.evaluation.datasets import Dataset, load
from dtwinseger.evaluation.samples import DatasetError
from tests.dtwinseger.evaluation.folders import rectangle, ref, refcoco

STEM = "COCO_train2014_000000000007"


def test_every_expression_is_a_sample_numbered_over_its_image(tmp_path: Path) -> None:
    refs = [ref(1, 11, ["left cup", " red one "]), ref(2, 12, ["the dish"]), ref(3, 12, ["dish"], split="testA")]
    refcoco(tmp_path, refs, {11: [rectangle(0, 0, 5, 4)], 12: [rectangle(10, 10, 13, 13)]})
    samples = load("refcoco", tmp_path, "val")
    assert [(s.sample_id, s.query) for s in samples] == [
        (f"{STEM}#0", "left cup"),
        (f"{STEM}#1", "red one"),
        (f"{STEM}#2", "the dish"),
    ]
    assert [int(s.load_truth().target.sum()) for s in samples] == [20, 20, 9]
    assert [s.facets.instance for s in samples] == ["1", "1", "2"]
    assert all(s.image.is_file() for s in samples)
    assert len(load("refcoco", tmp_path, "testA")) == 1


def test_the_mask_of_a_polygon_is_that_of_pycocotools(tmp_path: Path) -> None:
    drawn = [3.3, 2.7, 30.1, 5.2, 22.8, 33.9, 8.4, 20.5]
    refcoco(tmp_path, [ref(1, 11, ["it"])], {11: [drawn]})
    (sample,) = load("refcoco", tmp_path, "val")
    expected = coco.decode(coco.frPyObjects([drawn], 40, 50))[..., 0]
    assert np.array_equal(sample.load_truth().target, expected.astype(bool))


def test_parts_that_overlap_are_one_target_and_the_overlap_is_known(tmp_path: Path) -> None:
    refcoco(tmp_path, [ref(1, 11, ["it"])], {11: [rectangle(0, 0, 10, 10), rectangle(5, 0, 15, 10)]})
    truth = load("refcoco", tmp_path, "val")[0].load_truth()
    assert (truth.target.sum(), truth.twice.sum()) == (150, 50)


def test_masks_may_be_rle_compressed_or_not(tmp_path: Path) -> None:
    mask = np.zeros((40, 50), dtype=np.uint8)
    mask[3:9, 4:6] = 1
    compressed = coco.encode(np.asfortranarray(mask))
    compressed["counts"] = compressed["counts"].decode()
    runs = np.diff(np.flatnonzero(np.diff(mask.ravel(order="F"), prepend=0, append=0)), prepend=0).tolist()
    plain = {"size": [40, 50], "counts": [*runs, 40 * 50 - sum(runs)]}
    refcoco(
        tmp_path, [ref(1, 11, ["a"]), ref(2, 12, ["b"]), ref(3, 13, ["c"])], {11: compressed, 12: plain, 13: [plain]}
    )
    for sample in load("refcoco", tmp_path, "val"):
        assert np.array_equal(sample.load_truth().target, mask.astype(bool))


def test_a_polygon_of_two_points_encloses_nothing(tmp_path: Path) -> None:
    # pycocotools takes four numbers for a box.
    refcoco(tmp_path, [ref(1, 11, ["it"])], {11: [[5, 5, 20, 20], rectangle(0, 0, 2, 2)]})
    assert load("refcoco", tmp_path, "val")[0].load_truth().target.sum() == 4


def test_a_polygon_outside_the_image_is_cut_off(tmp_path: Path) -> None:
    refcoco(tmp_path, [ref(1, 11, ["it"])], {11: [rectangle(40, 30, 90, 90), rectangle(-60, -60, -10, -10)]})
    assert load("refcoco", tmp_path, "val")[0].load_truth().target.sum() == 100


@pytest.mark.parametrize(
    ("segmentation", "words"),
    [
        ([[1, 2, 3, 4, 5]], "an x without its y"),
        ([[1, 2, 3, 4, 5, "six"]], "list of numbers"),
        ([[1, 2, 3, 4, 5, float("inf")]], "finite"),
        ([[1, 2, 3, 4, 5, 1e12]], "pixels from the image"),
        ([[[1, 2], [3, 4], [5, 6]]], "flat list"),
        ("RLE", "not str"),
        ({"size": [40, 50], "counts": [3, 4]}, "do not fill"),
        ({"size": [40, 50], "counts": [-3, 2003]}, "whole numbers"),
        ({"size": [40, 50], "counts": "~~"}, "compressed RLE"),
        ({"size": [4, 5], "counts": [20]}, "the RLE is 4x5 and the image 40x50"),
        ({"size": [40, 50]}, "counts"),
    ],
)
def test_a_broken_mask_is_named_by_its_reference(tmp_path: Path, segmentation: object, words: str) -> None:
    refcoco(tmp_path, [ref(9, 11, ["it"])], {11: segmentation})
    sample = load("refcoco", tmp_path, "val")[0]
    with pytest.raises(DatasetError, match=f"reference 9: .*{words}"):
        sample.load_truth()


@pytest.mark.parametrize(
    ("dataset", "file"),
    [("refcoco+", "refs(unc).p"), ("refcocog", "refs(umd).p"), ("grefcoco", "grefs(unc).json")],
)
def test_each_data_set_has_its_own_refs_file(tmp_path: Path, dataset: Dataset, file: str) -> None:
    refcoco(tmp_path, [ref(1, 11, ["it"])], {11: [rectangle(0, 0, 5, 4)]}, dataset=dataset, refs_file=file)
    (sample,) = load(dataset, tmp_path, "val")
    assert sample.facets.dataset == dataset
    with pytest.raises(DatasetError, match="no refcoco here"):
        load("refcoco", tmp_path, "val")


def test_grefcoco_has_several_targets_or_none(tmp_path: Path) -> None:
    refs = [ref(1, [11, 12], ["both"]), ref(2, [-1], ["a unicorn"]), ref(3, [11, 13], ["one, and the crowd"])]
    drawn = {11: [rectangle(0, 0, 5, 4)], 12: [rectangle(10, 10, 13, 13)], 13: [rectangle(20, 20, 40, 40)]}
    refcoco(tmp_path, refs, drawn, dataset="grefcoco", refs_file="grefs(unc).json", crowds=[13])
    samples = load("grefcoco", tmp_path, "val")
    assert [s.facets.targets for s in samples] == [2, 0, 1]
    assert [int(s.load_truth().target.sum()) for s in samples] == [29, 0, 20]


def test_a_refs_file_as_python_2_wrote_it_is_read(tmp_path: Path) -> None:
    folder = refcoco(tmp_path, [], {11: [rectangle(0, 0, 5, 4)]})
    (folder / "refs(unc).p").write_bytes(
        b"(lp0\n(dp1\nS'ref_id'\np2\nL1L\nsS'ann_id'\nI11\nsS'image_id'\nI7\nsS'split'\nS'val'\ns"
        b"S'sentences'\n(lp3\n(dp4\nS'sent'\nVcaf\xe9\nsS'raw'\nS'caf\\xe9'\nsasa."
    )
    (sample,) = load("refcoco", tmp_path, "val")
    assert (sample.query, sample.facets.instance) == ("café", "1")


class _Trap:
    """Makes a pickle that would write a file where it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_refs_file_that_would_run_something_is_refused_and_runs_nothing(tmp_path: Path, protocol: int) -> None:
    folder = refcoco(tmp_path, [ref(1, 11, ["it"])], {11: [rectangle(0, 0, 5, 4)]})
    touched = tmp_path / "touched"
    (folder / "refs(unc).p").write_bytes(pickle.dumps([_Trap(touched)], protocol=protocol))
    with pytest.raises(DatasetError, match=r"refs\(unc\)\.p: not a refs file: it names .*system"):
        load("refcoco", tmp_path, "val")
    assert not touched.exists()


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps([{"ref_id": 1}]), pickle.dumps([1, 2], 2)[:-3]])
def test_a_refs_file_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    folder = refcoco(tmp_path, [ref(1, 11, ["it"])], {11: [rectangle(0, 0, 5, 4)]})
    (folder / "refs(unc).p").write_bytes(content)
    with pytest.raises(DatasetError, match=r"refs\(unc\)\.p: not a refs file"):
        load("refcoco", tmp_path, "val")


def test_what_the_instances_lack_is_named(tmp_path: Path) -> None:
    refcoco(tmp_path, [ref(1, 99, ["it"])], {11: [rectangle(0, 0, 5, 4)]})
    with pytest.raises(DatasetError, match="lacks annotation 99, which reference 1 names"):
        load("refcoco", tmp_path, "val")
    folder = refcoco(tmp_path, [ref(1, 11, ["it"], image_id=8)], {11: [rectangle(0, 0, 5, 4)]})
    with pytest.raises(DatasetError, match="lacks image 8, which reference 1 names"):
        load("refcoco", tmp_path, "val")
    (folder / "instances.json").unlink()
    with pytest.raises(DatasetError, match=r"instances\.json: No such file"):
        load("refcoco", tmp_path, "val")


def test_an_unknown_split_is_refused_with_those_that_are_there(tmp_path: Path) -> None:
    refcoco(tmp_path, [ref(1, 11, ["it"], split="testB"), ref(2, 11, ["it"])], {11: [rectangle(0, 0, 5, 4)]})
    with pytest.raises(DatasetError, match="no split 'test'; it has testB, val"):
        load("refcoco", tmp_path, "test")
