"""Exports of the twin: COCO as pycocotools loads it, GeoJSON as shapely reads it, each mask to the pixel."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from shapely import contains_xy
from shapely.geometry import shape

from dtwinseger.api import Semantics
from dtwinseger.twin import DigitalTwin
from dtwinseger.twin.coco import to_coco
from dtwinseger.twin.geojson import to_geojson
from tests.dtwinseger.twin.twins import twin_of


def _ring() -> np.ndarray:
    mask = np.zeros((30, 40), dtype=bool)
    mask[2:22, 3:23] = True
    mask[8:14, 9:17] = False
    return mask


def _two_parts() -> np.ndarray:
    mask = np.zeros((30, 40), dtype=bool)
    mask[1:6, 26:39] = mask[20:24, 30:34] = True
    return mask


def _dot() -> np.ndarray:
    mask = np.zeros((30, 40), dtype=bool)
    mask[10, 12] = True
    return mask


MASKS = [_ring(), _two_parts(), _dot()]
SAID = [
    Semantics(semantic="a red ring", category="ring", attributes=("red", "round"), relevance=0.8),
    Semantics(semantic="two bars", category="bar"),
    None,
]
TWIN = twin_of(MASKS, SAID, answer=[1])


def loaded(twin: DigitalTwin, tmp_path: Path) -> COCO:
    (tmp_path / "coco.json").write_text(to_coco(twin).model_dump_json())
    return COCO(tmp_path / "coco.json")


def geojson(twin: DigitalTwin) -> dict[str, Any]:
    found = json.loads(to_geojson(twin).model_dump_json())
    assert isinstance(found, dict)
    return found


def test_pycocotools_loads_image_objects_and_masks(tmp_path: Path) -> None:
    coco = loaded(TWIN, tmp_path)
    [image] = coco.loadImgs(coco.getImgIds())
    assert (image["width"], image["height"]) == (40, 30)
    annotations = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
    assert [item["id"] for item in annotations] == [1, 2, 3]
    for annotation, mask in zip(annotations, MASKS, strict=True):
        assert (coco.annToMask(annotation) == mask).all()
        assert annotation["area"] == mask.sum()
    assert [item["bbox"] for item in annotations] == [[3, 2, 20, 20], [26, 1, 13, 23], [12, 10, 1, 1]]


def test_categories_are_those_of_the_objects(tmp_path: Path) -> None:
    coco = loaded(TWIN, tmp_path)
    names = {item["id"]: item["name"] for item in coco.loadCats(coco.getCatIds())}
    assert names == {1: "bar", 2: "object", 3: "ring"}
    assert [names[item["category_id"]] for item in coco.loadAnns([1, 2, 3])] == ["ring", "bar", "object"]
    assert coco.getAnnIds(catIds=coco.getCatIds(catNms=["ring"])) == [1]


def test_annotations_carry_what_the_twin_knows(tmp_path: Path) -> None:
    coco = loaded(TWIN, tmp_path)
    ring, _, dot = coco.loadAnns([1, 2, 3])
    assert ring["score"] == 0.9
    assert ring["attributes"]["semantic"] == "a red ring"
    assert (ring["attributes"]["answer"], ring["attributes"]["confidence"]) == (True, 0.75)
    assert (dot["attributes"]["semantic"], dot["attributes"]["answer"]) == (None, False)
    assert coco.dataset["info"]["answer"] == [1]
    assert coco.dataset["info"]["query"] == TWIN.query


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # cocoeval on numpy 2
def test_an_evaluator_counts_every_object(tmp_path: Path) -> None:
    coco = loaded(TWIN, tmp_path)
    evaluation = COCOeval(coco, coco.loadRes(coco.loadAnns([1, 2, 3])), "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1), "none is a crowd, which would be ignored"


def test_geojson_holds_a_feature_an_object() -> None:
    found = geojson(TWIN)
    assert found["type"] == "FeatureCollection"
    assert "crs" not in found
    assert [item["geometry"]["type"] for item in found["features"]] == ["Polygon", "MultiPolygon", "Polygon"]
    assert found["features"][0]["properties"] == {
        "index": 1,
        "semantic": "a red ring",
        "category": "ring",
        "attributes": ["red", "round"],
        "area_percent": 29.3,
        "predicted_iou": 0.9,
        "answer": True,
        "confidence": 0.75,
    }
    assert found["features"][2]["properties"]["confidence"] is None


def test_a_ring_keeps_its_hole_in_geojson() -> None:
    ring = geojson(TWIN)["features"][0]["geometry"]
    assert len(ring["coordinates"]) == 2
    assert shape(ring).area == _ring().sum()


@given(st.lists(arrays(np.bool_, (9, 11)).filter(np.any), min_size=1, max_size=4))
def test_geometries_are_valid_and_hold_the_pixels_of_the_masks(masks: list[np.ndarray]) -> None:
    twin = twin_of(masks)
    rows, columns = np.indices((9, 11)) + 0.5
    for feature, item in zip(geojson(twin)["features"], twin.objects, strict=True):
        geometry = shape(feature["geometry"])
        assert geometry.is_valid
        assert geometry.bounds == item.bbox == tuple(feature["bbox"])
        assert (contains_xy(geometry, columns, rows) == item.mask.decode()).all()


def test_a_twin_without_objects_is_a_file_too(tmp_path: Path) -> None:
    empty = TWIN.model_copy(update={"objects": ()})
    assert loaded(empty, tmp_path).getAnnIds() == []
    assert geojson(empty)["features"] == []
