"""POST /segment: the answer, its formats, and what the store spares."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dtwinseger import api
from dtwinseger.twin import DigitalTwin, Mask
from gateway.store.codec import VERSION, pack
from tests.doubles.services import Script
from tests.gateway.conftest import Gateway, gateway, png


def drawn(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """The mask of rectangles in the image that `segment` sends by default."""
    mask = np.zeros((56, 64), dtype=bool)
    for x1, y1, x2, y2 in boxes:
        mask[y1:y2, x1:x2] = True
    return mask


def test_an_answer_holds_mask_objects_path_usage_and_timings(front: Gateway) -> None:
    response = front.segment()
    assert response.status_code == 200, response.text
    result = api.SegmentResult.model_validate_json(response.content)
    assert result.indices == (2,)
    assert result.objects[0].semantic == "thing 2 <b>&"
    assert isinstance(result.mask, Mask)
    mask = result.mask.decode()
    assert mask.shape == (56, 64)
    assert mask[8:20, 32:50].all()
    assert mask.sum() == 12 * 18
    assert [step.criterion for step in result.path] == ["is asked for"]
    assert set(result.timings_ms) == {"perception", "granularity", "semantics", "reasoning", "total"}
    assert result.usage.vlm.calls == 2
    assert result.usage.llm.calls == 1
    assert result.cached == ()
    assert response.headers["content-location"] == f"/dt/{result.twin_id}"
    assert len(result.twin_id) * 4 >= 128


def test_no_object_is_an_answer(front: Gateway) -> None:
    front.script.keep = set()
    result = front.segment().json()
    assert result["indices"] == []
    assert result["objects"] == []
    assert not Mask.model_validate(result["mask"]).decode().any()


def test_no_proposal_is_an_answer_without_a_call_to_the_vlm_for_masks(front: Gateway) -> None:
    front.script.boxes = []
    assert front.segment().json()["indices"] == []
    assert front.script.calls["semantics"] == 0


def test_a_caller_that_prefers_png_gets_the_mask(front: Gateway) -> None:
    response = front.segment(accept="image/png")
    assert response.headers["content-type"] == "image/png"
    with Image.open(BytesIO(response.content)) as image:
        pixels = np.asarray(image)
    assert pixels.shape == (56, 64)
    assert set(np.unique(pixels)) == {0, 255}
    assert (pixels > 0).sum() == 12 * 18


def test_masks_can_be_png_in_json(front: Gateway) -> None:
    result = api.SegmentResult.model_validate_json(front.segment(options='{"mask_format": "png"}').content)
    assert isinstance(result.mask, api.PngMask)
    assert isinstance(result.objects[0].mask, api.PngMask)
    assert (result.mask.decode() == drawn((32, 8, 50, 20))).all()


def test_masks_can_be_polygons(front: Gateway) -> None:
    front.script.keep = {1, 2}
    result = api.SegmentResult.model_validate_json(front.segment(options='{"mask_format": "polygon"}').content)
    assert isinstance(result.mask, api.PolygonMask)
    assert len(result.mask.polygons) == 2
    assert (result.mask.decode() == drawn((4, 4, 30, 30), (32, 8, 50, 20))).all()
    assert (result.objects[1].mask.decode() == drawn((32, 8, 50, 20))).all()


def test_the_format_of_masks_is_no_other_twin(front: Gateway) -> None:
    told = [front.segment(options=f'{{"mask_format": "{kind}"}}').json() for kind in ("rle", "polygon", "png")]
    assert len({result["twin_id"] for result in told}) == 1
    assert front.script.calls["reason"] == 1


def test_a_repeated_request_is_the_same_resource_and_costs_no_call(front: Gateway) -> None:
    first = front.segment().json()
    calls = dict(front.script.calls)
    second = front.segment(query="  the mug ").json()
    assert second["twin_id"] == first["twin_id"]
    assert second["cached"] == ["proposals", "granularity", "semantics", "answer"]
    assert second["usage"]["vlm"]["calls"] == 0
    assert dict(front.script.calls) == calls


def test_another_query_on_the_same_image_skips_perception(front: Gateway) -> None:
    front.segment()
    second = front.segment(query="the desk").json()
    assert second["cached"] == ["proposals"]
    assert front.script.calls["proposals"] == 1


def test_semantics_of_scope_image_serve_any_query(front: Gateway) -> None:
    options = '{"semantics": {"scope": "image"}}'
    front.segment(options=options)
    second = front.segment(query="the desk", options=options).json()
    assert second["cached"] == ["proposals", "semantics"]


def test_auto_asks_for_all_levels_and_a_given_granularity_for_its_own(front: Gateway) -> None:
    front.segment()
    assert set(front.script.levels[0]) == {"group", "object", "part"}
    front.segment(options='{"granularity": "part", "proposals": {"points_per_side": 16}}')
    assert front.script.levels[1] == ("part",)
    assert front.script.calls["granularity"] == 1


def test_another_model_version_is_another_twin(front: Gateway, monkeypatch: pytest.MonkeyPatch, store_url: str) -> None:
    first = front.segment().json()
    with gateway(Script(version="2"), monkeypatch, store_url) as newer:
        second = newer.segment().json()
    assert second["twin_id"] != first["twin_id"]
    assert second["cached"] == []


def test_the_answer_of_a_model_that_was_swapped_meanwhile_is_not_kept_as_that_of_the_one_before(front: Gateway) -> None:
    front.script.llm = "newer"
    for reasoned in (1, 2):
        identity = front.segment().json()["twin_id"]
        assert front.http.get(f"/dt/{identity}").json()["provenance"]["models"]["llm"] == "newer"
        assert front.http.delete(f"/dt/{identity}").status_code == 204
        assert front.script.calls["reason"] == reasoned


def test_identical_concurrent_requests_run_once(front: Gateway) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: front.segment().json()["twin_id"], range(8)))
    assert len(set(answers)) == 1
    assert front.script.calls["proposals"] == 1
    assert front.script.calls["reason"] == 1


def test_a_few_failed_descriptions_degrade_the_twin_and_are_asked_for_again(front: Gateway) -> None:
    front.script.failing_masks = {3}
    degraded = front.segment().json()
    assert degraded["indices"] == [2]
    assert "could not be described" in degraded["warnings"][0]
    twin = DigitalTwin.model_validate_json(front.http.get(f"/dt/{degraded['twin_id']}").content)
    assert [item.semantic for item in twin.objects].count(None) == 1

    front.script.failing_masks = set()
    front.script.calls.clear()
    whole = front.segment().json()
    assert whole["warnings"] == []
    assert whole["twin_id"] == degraded["twin_id"]
    assert front.script.calls["masks"] == 1, "only the missing one"
    assert front.script.calls["proposals"] == 0


def test_most_descriptions_failing_fails_the_request(front: Gateway) -> None:
    front.script.failing_masks = {1, 3}
    response = front.segment()
    assert response.json()["code"] == "upstream_unavailable"
    assert "2 of 3 masks" in response.json()["detail"]
    assert front.script.calls["reason"] == 0


def test_a_corrupt_and_an_old_value_are_misses(front: Gateway, store_url: str) -> None:
    front.segment()
    database = sqlite3.connect(store_url.removeprefix("sqlite:///"))
    good = b'{"id": "x"}'
    for value in (b"garbage", VERSION + b"garbage", b"dt0:" + pack(good)[len(VERSION) :], pack(good)):
        with database:
            database.execute("UPDATE entries SET value = ?", (value,))
        front.script.calls.clear()
        answer = front.segment().json()
        assert answer["cached"] == []
        assert front.script.calls["proposals"] == 1
    database.close()


def test_pictures_and_colors_of_the_same_size_are_other_twins(front: Gateway) -> None:
    assert front.segment(png(color="red")).json()["twin_id"] != front.segment(png(color="blue")).json()["twin_id"]
