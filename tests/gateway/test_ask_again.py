"""POST /dt/<id>/segment: another query about the image of a twin."""

import sqlite3

import pytest

from dtwinseger.twin import DigitalTwin
from tests.gateway.conftest import Gateway
from tests.gateway.test_failure import until


def test_another_query_uses_the_proposals_of_the_image(front: Gateway) -> None:
    first = front.segment(options='{"reasoning": {"votes": 3}, "proposals": {"points_per_side": 8}}').json()
    front.script.calls.clear()
    second = front.http.post(f"/dt/{first['twin_id']}/segment", json={"query": "the desk"})
    assert second.status_code == 200
    assert second.json()["cached"] == ["proposals"]
    assert front.script.calls["proposals"] == 0
    assert front.script.calls["masks"] == 3, "described in the light of the new query"
    assert second.headers["content-location"] == f"/dt/{second.json()['twin_id']}"
    twin = DigitalTwin.model_validate_json(front.http.get(second.headers["content-location"]).content)
    assert twin.query == "the desk"
    assert twin.provenance.options["reasoning"]["votes"] == 3, "options are those of the twin"


def test_it_is_the_twin_that_the_image_itself_would_have_had(front: Gateway) -> None:
    first = front.segment().json()
    again = front.http.post(f"/dt/{first['twin_id']}/segment", json={"query": "the desk"}).json()
    front.script.calls.clear()
    assert front.segment(query="the desk").json()["twin_id"] == again["twin_id"]
    assert not front.script.calls


def test_a_twin_of_scope_image_is_described_once_for_all_queries(front: Gateway) -> None:
    first = front.segment(options='{"semantics": {"scope": "image"}}').json()
    front.script.calls.clear()
    second = front.http.post(f"/dt/{first['twin_id']}/segment", json={"query": "the desk"}).json()
    assert second["cached"] == ["proposals", "semantics"]
    assert front.script.calls["masks"] == 0


def test_options_of_the_later_stages_can_be_others(front: Gateway) -> None:
    first = front.segment().json()
    body = {"query": "the desk", "reasoning": {"votes": 2}, "mask_format": "png"}
    second = front.http.post(f"/dt/{first['twin_id']}/segment", json=body).json()
    assert set(second["mask"]) == {"size", "png"}
    twin = front.http.get(f"/dt/{second['twin_id']}").json()
    assert twin["provenance"]["options"]["reasoning"]["votes"] == 2


def test_queries_on_an_image_are_listed_at_each_of_its_twins(front: Gateway) -> None:
    first = front.segment().json()["twin_id"]
    ids = {
        query: front.http.post(f"/dt/{first}/segment", json={"query": query}).json()["twin_id"]
        for query in ("the desk", "the lamp")
    }
    asked = front.http.get(f"/dt/{first}").json()["asked"]
    assert [item["query"] for item in asked] == ["the lamp", "the desk"], "the latest first"
    assert asked[0]["id"] == ids["the lamp"]
    assert {item["query"] for item in front.http.get(f"/dt/{ids['the lamp']}").json()["asked"]} == {
        "the mug",
        "the desk",
    }
    front.http.delete(f"/dt/{ids['the desk']}")
    assert [item["query"] for item in front.http.get(f"/dt/{first}").json()["asked"]] == ["the lamp"]


def test_it_can_be_waited_for_in_the_same_ways(front: Gateway) -> None:
    first = front.segment().json()["twin_id"]
    later = front.http.post(f"/dt/{first}/segment", json={"query": "a"}, headers={"Prefer": "respond-async"})
    assert later.status_code == 202
    until(lambda: front.http.get(later.headers["location"]).json()["status"] == "ready")
    events = front.http.post(f"/dt/{first}/segment", json={"query": "b"}, headers={"Accept": "text/event-stream"})
    assert "event: result" in events.text


def test_proposals_that_are_gone_are_not_made_anew_from_a_copy_of_the_image(front: Gateway, store_url: str) -> None:
    first = front.segment().json()["twin_id"]
    with sqlite3.connect(store_url.removeprefix("sqlite:///")) as database:
        database.execute("DELETE FROM entries WHERE key LIKE 'proposals:%'")
    answer = front.http.post(f"/dt/{first}/segment", json={"query": "the desk"})
    assert (answer.status_code, answer.json()["code"]) == (410, "gone")
    assert front.script.calls["proposals"] == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": "  "}, "invalid_query"),
        ({"query": "x" * 3000}, "invalid_query"),
        ({"query": 7}, "invalid_query"),
        ({}, "invalid_query"),
        ({"query": "the desk", "proposals": {}}, "invalid_options"),
        ({"query": "the desk", "semantics": {"batch": 0}}, "invalid_options"),
        ([], "invalid_options"),
    ],
)
def test_a_bad_request_has_its_code(front: Gateway, body: object, code: str) -> None:
    first = front.segment().json()["twin_id"]
    response = front.http.post(f"/dt/{first}/segment", json=body)
    assert (response.status_code, response.json()["code"]) == (400, code)


def test_a_twin_that_is_not_there_cannot_be_asked(front: Gateway) -> None:
    assert front.http.post(f"/dt/{'0' * 32}/segment", json={"query": "x"}).json()["code"] == "not_found"
