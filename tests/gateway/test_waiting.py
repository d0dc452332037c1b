"""The ways to wait for an answer: until it is there, in events, or later under the twin's address."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import httpx2
import pytest

from dtwinseger import api
from dtwinseger.problems import Problem
from gateway import answering, sse
from gateway.preferences import Preferences
from tests.doubles.services import Script
from tests.gateway.conftest import Gateway, gateway, png
from tests.gateway.test_failure import until


def told(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, object], str]]:
    """Events as (name, data, id); a comment is named ":"."""
    event: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            yield ":", {}, ""
        elif line:
            field, _, value = line.partition(": ")
            event[field] = value
        elif event:
            yield event["event"], json.loads(event["data"]), event["id"]
            event = {}


def stream(front: Gateway) -> AbstractContextManager[httpx2.Response]:
    form = {"data": {"query": "the mug"}, "files": {"image": png()}}
    return front.http.stream("POST", "/segment", headers={"Accept": "text/event-stream"}, **form)


def test_respond_async_is_answered_at_once_and_the_twin_says_how_far_it_is(front: Gateway) -> None:
    front.script.holding = {"semantics"}
    response = front.segment(prefer="respond-async")
    assert response.status_code == 202
    assert response.headers["preference-applied"] == "respond-async"
    assert int(response.headers["retry-after"]) > 0
    address = response.headers["location"]
    assert api.TwinStatus.model_validate_json(response.content).status == "building"
    until(lambda: front.http.get(address).json().get("stage") == "semantics")
    status = api.TwinStatus.model_validate_json(front.http.get(address).content)
    assert {p.stage: p.state for p in status.stages} == {
        "perception": "done",
        "granularity": "done",
        "semantics": "running",
    }
    assert status.stages[-1].total == 3
    for picture in ("overlay.png", "mask.png", "objects/1/mask.png"):
        assert "still being built" in front.http.get(f"{address}/{picture}").json()["detail"]
    front.script.holding = set()
    until(lambda: front.http.get(address).json()["status"] == "ready")
    assert front.segment().json()["cached"] == ["proposals", "granularity", "semantics", "answer"]


def test_an_answer_that_is_stored_comes_at_once_even_to_who_would_wait_for_it_later(front: Gateway) -> None:
    front.segment()
    assert front.segment(prefer="respond-async").status_code == 200


def test_waiting_longer_than_was_wished_turns_into_a_202_and_the_work_goes_on(front: Gateway) -> None:
    front.script.holding = {"proposals"}
    response = front.segment(prefer="wait=0")
    assert response.status_code == 202
    assert response.headers["preference-applied"] == "wait=0"
    assert front.script.cancelled["proposals"] == 0
    front.script.holding = set()
    until(lambda: front.http.get(response.headers["location"]).json()["status"] == "ready")
    assert front.script.calls["proposals"] == 1


def test_nobody_waits_longer_than_the_gateway_allows(monkeypatch: pytest.MonkeyPatch, store_url: str) -> None:
    with gateway(Script(holding={"reason"}), monkeypatch, store_url, sync_wait_s="0.2") as front:
        response = front.segment(prefer="wait=60")
        assert response.status_code == 202
        front.script.holding = set()


def test_an_answer_within_the_wished_time_is_a_200(front: Gateway) -> None:
    response = front.segment(prefer="wait=20")
    assert response.status_code == 200
    assert response.headers["preference-applied"] == "wait=20"


def test_bad_input_is_told_at_once_also_to_who_asks_for_later(front: Gateway) -> None:
    response = front.segment(b"no image", prefer="respond-async")
    assert (response.status_code, response.json()["code"]) == (400, "invalid_image")


def test_a_build_that_failed_says_why_and_the_next_request_takes_it_up(front: Gateway) -> None:
    front.script.failing["reason"] = Problem("upstream_unavailable", "the engine is down")
    address = front.segment(prefer="respond-async").headers["location"]
    until(lambda: front.http.get(address).json()["status"] == "failed")
    problem = front.http.get(address).json()["problem"]
    assert (problem["code"], problem["detail"]) == ("upstream_unavailable", "the engine is down")
    events = list(told(front.http.get(f"{address}/events").iter_lines()))
    assert [(name, data["code"]) for name, data, _ in events] == [("problem", "upstream_unavailable")]
    front.script.failing.clear()
    front.script.calls.clear()
    assert front.segment().status_code == 200
    assert set(front.script.calls) == {"reason"}
    assert front.http.get(address).json()["status"] == "ready"


def test_a_stream_tells_stages_objects_and_the_result(front: Gateway) -> None:
    with stream(front) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = list(told(response.iter_lines()))
    names = [name for name, _, _ in events]
    assert names.count("object") == 3
    assert names[-1] == "result"
    states = [(data["stage"], data["state"]) for name, data, _ in events if name == "stage"]
    for stage in ("perception", "granularity", "semantics", "reasoning"):
        assert states.index((stage, "running")) < states.index((stage, "done"))
    result = api.SegmentResult.model_validate(events[-1][1])
    seen = {data["index"]: data for name, data, _ in events if name == "object"}
    assert seen[2]["semantic"] == result.objects[0].semantic
    assert seen[2]["bbox"] == list(result.objects[0].bbox)
    assert len({identity for _, _, identity in events}) == len(events)


def test_objects_are_told_while_others_are_still_described(front: Gateway) -> None:
    front.script.holding = {"masks"}
    with stream(front) as response:
        for name, data, _ in told(response.iter_lines()):
            if name == "object":
                assert data["index"] == 3, "the first line of the double is the last mask"
                front.script.holding = set()
                break
        assert not front.script.calls["reason"]


def test_silence_is_filled_with_heartbeats(front: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_S", 0.05)
    front.script.holding = {"proposals"}
    with stream(front) as response:
        for name, _, _ in told(response.iter_lines()):
            if name == ":":
                break
    front.script.holding = set()


def test_a_stream_that_broke_goes_on_where_it_was(front: Gateway) -> None:
    front.script.holding = {"reason"}
    heard: list[str] = []
    with stream(front) as response:
        address = response.headers["content-location"]
        for name, data, identity in told(response.iter_lines()):
            heard.append(identity)
            if name == "stage" and data["stage"] == "reasoning":
                break
    token = heard[-1].partition("-")[0]
    with front.http.stream("GET", f"{address}/events", headers={"Last-Event-ID": f"{token}-{'9' * 5000}"}) as response:
        assert next(told(response.iter_lines()))[2] == heard[0], "no number of an event: all of them"
    with front.http.stream("GET", f"{address}/events", headers={"Last-Event-ID": heard[-2]}) as response:
        front.script.holding = set()
        events = list(told(response.iter_lines()))
    assert events[0][2] == heard[-1], "what follows the last event that arrived"
    assert events[-1][0] == "result"
    assert front.script.calls["reason"] == 1
    again = list(told(front.http.get(f"{address}/events", headers={"Last-Event-ID": "nonsense"}).iter_lines()))
    assert [name for name, _, _ in again] == ["result"]


def test_a_stream_that_nobody_reads_on_stops_the_work(front: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "LINGER_S", 0.05)
    front.script.holding = {"proposals"}
    with stream(front) as response:
        next(told(response.iter_lines()))
        until(lambda: front.script.calls["proposals"] == 1)
    until(lambda: front.script.cancelled["proposals"] == 1)


def test_a_problem_before_the_first_event_is_a_plain_problem_and_later_one_is_an_event(front: Gateway) -> None:
    refused = front.segment(b"no image", accept="text/event-stream")
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_image")
    front.script.failing["reason"] = Problem("upstream_invalid", "no answer of use")
    with stream(front) as response:
        name, data, _ = list(told(response.iter_lines()))[-1]
    assert (name, data["code"]) == ("problem", "upstream_invalid")


def test_a_build_can_be_stopped(front: Gateway) -> None:
    front.script.holding = {"semantics"}
    address = front.segment(prefer="respond-async").headers["location"]
    until(lambda: front.script.calls["semantics"] == 1)
    assert front.http.delete(address).status_code == 204
    until(lambda: front.script.cancelled["semantics"] == 1)
    assert front.http.get(address).json()["code"] == "gone"
    front.script.holding = set()
    assert front.segment().status_code == 200


def test_a_caller_with_more_time_is_not_cut_off_with_one_with_less(front: Gateway) -> None:
    assert front.segment(query="the lamp").status_code == 200  # so that there is a twin: the reasoner is asked at once
    front.script.calls.clear()
    front.script.holding = {"reason"}
    with ThreadPoolExecutor() as pool:
        hasty = pool.submit(lambda: front.segment(**{"X-Timeout-Ms": "1500"}))
        until(lambda: front.script.calls["reason"] == 1)
        patient = pool.submit(front.segment)
        assert hasty.result().json()["code"] == "deadline_exceeded"
        front.script.holding = set()
        assert patient.result().status_code == 200


@pytest.mark.parametrize(
    ("headers", "understood"),
    [
        ([], Preferences()),
        (["respond-async"], Preferences(True)),
        (["Respond-Async, WAIT=10"], Preferences(True, 10)),
        (['wait="7"; foo=bar', "respond-async"], Preferences(True, 7)),
        (["wait=3, wait=9"], Preferences(False, 3)),
        (["wait=-1", "wait", "=,;=", 'wait="', "return=minimal"], Preferences()),
        (["wait=99999999999999999999"], Preferences()),
        (["handling=lenient, wait=2 ; x, ,"], Preferences(False, 2)),
    ],
)
def test_what_is_no_preference_is_left_aside(headers: list[str], understood: Preferences) -> None:
    assert Preferences.of(headers) == understood
