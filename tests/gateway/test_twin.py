"""GET /dt/<id>: the twin as JSON, as pictures, as a page."""

import sqlite3
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dtwinseger.problems import Problem
from dtwinseger.twin import DigitalTwin
from gateway import twins
from gateway.cache import Cache
from tests.gateway.conftest import Gateway


def test_the_twin_holds_objects_relations_answer_and_provenance(front: Gateway) -> None:
    identity = front.segment().json()["twin_id"]
    response = front.http.get(f"/dt/{identity}")
    assert response.headers["content-type"] == "application/json"
    twin = DigitalTwin.model_validate_json(response.content)
    assert twin.id == identity
    assert [item.index for item in twin.objects] == [1, 2, 3]
    areas = [item.area_percent for item in twin.objects]
    assert areas == sorted(areas, reverse=True)
    assert twin.objects[1].bbox == (32, 8, 50, 20)
    assert "1 (thing)" in twin.objects[1].spatial
    assert twin.answer.indices == (2,)
    assert twin.provenance.models
    assert twin.provenance.options["proposals"]["points_per_side"] == 32
    assert twin.usage["vlm"]["calls"] == 2


def test_a_browser_gets_a_page_in_which_labels_stay_text(front: Gateway) -> None:
    identity = front.segment(query="<script>alert(1)</script>").json()["twin_id"]
    response = front.http.get(f"/dt/{identity}", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert response.headers["content-type"].startswith("text/html")
    assert "<script>alert" not in response.text
    assert "&lt;script&gt;alert(1)" in response.text
    assert "thing 2 &lt;b&gt;&amp;" in response.text
    assert "script-src 'self'" in response.headers["content-security-policy"]
    as_json = front.http.get(f"/dt/{identity}?format=json", headers={"Accept": "text/html"})
    assert as_json.json()["id"] == identity


def test_pictures_of_the_twin(front: Gateway) -> None:
    identity = front.segment().json()["twin_id"]
    with Image.open(BytesIO(front.http.get(f"/dt/{identity}/objects/1/mask.png").content)) as image:
        mask = np.asarray(image) > 0
    assert mask.sum() == 26 * 26
    with Image.open(BytesIO(front.http.get(f"/dt/{identity}/image.jpg").content)) as image:
        assert (image.format, image.size) == ("JPEG", (64, 56))
    with Image.open(BytesIO(front.http.get(f"/dt/{identity}/overlay.png").content)) as image:
        assert max(image.size) == 480, "a small image is scaled up for legible numbers"
        pink = (np.asarray(image.convert("RGB"))[:, :, 0] > 200).sum()
    assert pink > 100
    assert front.http.get(f"/dt/{identity}/objects/9/mask.png").json()["code"] == "not_found"


@pytest.mark.parametrize("path", ["", "/image.jpg", "/overlay.png", "/mask.png", "/objects/1/mask.png"])
def test_an_unknown_id_is_not_found(front: Gateway, path: str) -> None:
    response = front.http.get(f"/dt/{'0' * 32}{path}")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_an_expired_twin_is_gone(front: Gateway, store_url: str) -> None:
    identity = front.segment().json()["twin_id"]
    with sqlite3.connect(store_url.removeprefix("sqlite:///")) as database:
        database.execute("UPDATE entries SET expires = 0 WHERE key = ?", (f"twin:public:{identity}",))
    response = front.http.get(f"/dt/{identity}")
    assert (response.status_code, response.json()["code"]) == (410, "gone")
    assert front.segment().json()["twin_id"] == identity, "asking again makes it anew"
    assert front.http.get(f"/dt/{identity}").status_code == 200


def test_a_removed_twin_is_gone(front: Gateway) -> None:
    identity = front.segment().json()["twin_id"]
    assert front.http.delete(f"/dt/{identity}").status_code == 204
    assert front.http.get(f"/dt/{identity}").json()["code"] == "gone"
    assert front.http.delete(f"/dt/{identity}").json()["code"] == "gone"
    assert front.http.delete(f"/dt/{'0' * 32}").json()["code"] == "not_found"


def test_an_unknown_path_method_and_format_are_problems(front: Gateway) -> None:
    assert front.http.get("/nowhere").json()["code"] == "not_found"
    assert front.http.put("/segment").headers["content-type"] == "application/problem+json"
    identity = front.segment().json()["twin_id"]
    assert front.http.get(f"/dt/{identity}?format=xml").json()["code"] == "invalid_options"


def test_health_metrics_and_schema_are_served(front: Gateway) -> None:
    front.segment()
    assert front.http.get("/livez").json() == {"status": "ok"}
    assert front.http.get("/readyz").json()["needs"]["store"] == "ok"
    assert 'gateway_stage_seconds_count{stage="perception"}' in front.http.get("/metrics").text
    assert "/segment" in front.http.get("/openapi.json").json()["paths"]
    assert front.http.get("/static/ask.js").headers["content-type"].startswith("text/javascript")
    assert front.http.get("/static/../app.py").json()["code"] == "not_found"
    assert "<form" in front.http.get("/").text


def test_the_twin_is_exported_as_coco_and_geojson(front: Gateway) -> None:
    identity = front.segment().json()["twin_id"]
    coco = front.http.get(f"/dt/{identity}?format=coco", headers={"Accept": "text/html"})
    assert coco.headers["content-type"] == "application/json"
    assert [item["bbox"] for item in coco.json()["annotations"]] == [[4, 4, 26, 26], [32, 8, 18, 12], [40, 40, 8, 8]]
    geojson = front.http.get(f"/dt/{identity}?format=geojson")
    assert geojson.headers["content-type"] == "application/geo+json"
    assert [item["properties"]["answer"] for item in geojson.json()["features"]] == [False, True, False]
    assert front.http.get(f"/dt/{identity}?format=").json()["code"] == "invalid_options"


def test_another_adapter_gives_another_twin_whose_provenance_names_it(front: Gateway) -> None:
    plain = front.segment().json()
    front.script.calls.clear()
    tuned = front.segment(options='{"reasoning": {"mode": "sftdt", "adapter": "sftdt@1"}}').json()
    assert tuned["twin_id"] != plain["twin_id"]
    assert sorted(tuned["cached"]) == ["granularity", "proposals", "semantics"]
    assert front.script.calls["reason"] == 1
    twins = [DigitalTwin.model_validate(front.http.get(f"/dt/{one['twin_id']}").json()) for one in (plain, tuned)]
    assert [twin.provenance.models["llm"] for twin in twins] == ["double", "sftdt@1"]
    assert [twin.provenance.options["reasoning"]["mode"] for twin in twins] == ["zero_shot", "sftdt"]


@pytest.mark.parametrize("below", ["", "/mask.png"])
def test_a_twin_that_is_ready_between_two_looks_is_there(
    front: Gateway, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    identity = front.segment().json()["twin_id"]
    find, looks = twins.find, list[str]()

    async def too_early_at_first(cache: Cache, identity: str) -> DigitalTwin:
        looks.append(identity)
        if len(looks) == 1:
            raise Problem("gone", "the build has stored its tombstone and not yet its twin")
        return await find(cache, identity)

    monkeypatch.setattr(twins, "find", too_early_at_first)
    assert front.http.get(f"/dt/{identity}{below}").status_code == 200
    assert looks == [identity] * 2
