"""What a caller sees when something behind the gateway is down, slow, or answers nonsense."""

import asyncio
import socket
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from dtwinseger.problems import Problem
from gateway import upstream
from gateway.app import create
from tests.doubles.services import Script
from tests.doubles.serving import free_port, serving
from tests.gateway.conftest import Gateway, gateway, png

STAGES = ["proposals", "granularity", "semantics", "reason"]


def stored(store_url: str) -> set[str]:
    """Which kinds of value the store holds."""
    with sqlite3.connect(store_url.removeprefix("sqlite:///")) as database:
        return {key.partition(":")[0] for (key,) in database.execute("SELECT key FROM entries")}


@pytest.mark.parametrize("stage", STAGES)
def test_nonsense_is_upstream_invalid_and_leaves_no_twin(front: Gateway, store_url: str, stage: str) -> None:
    front.script.failing[stage] = "nonsense"
    response = front.segment()
    assert response.status_code == 502
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "upstream_invalid"
    assert response.json()["request_id"] == response.headers["x-request-id"]
    assert not stored(store_url) & {"twin", "answer", "tombstone"}


@pytest.mark.parametrize("stage", STAGES)
def test_a_slow_service_is_deadline_exceeded_and_its_work_is_cancelled(
    front: Gateway, store_url: str, stage: str
) -> None:
    front.script.failing[stage] = "hang"
    for limit_ms in (700, 2_800, 11_200):  # on a busy machine the stages before it may use up the first
        response = front.segment(**{"X-Timeout-Ms": str(limit_ms)})
        assert response.status_code == 504
        assert response.json()["code"] == "deadline_exceeded"
        assert all(left <= limit_ms for left in front.script.timeouts), "every hop hears what remains"
        if front.script.calls[stage]:
            break
    until(lambda: front.script.cancelled[stage] > 0)
    assert not stored(store_url) & {"twin", "answer", "tombstone"}


def test_a_service_that_has_never_answered_holds_up_all_who_wait_for_it_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upstream, "INFO_TIMEOUT_S", 0.25)

    async def asked(url: str) -> list[object]:
        async with httpx2.AsyncClient() as http:
            services = upstream.Services(http, {"perception": url})
            return await asyncio.gather(*(services.info("perception") for _ in range(20)), return_exceptions=True)

    started = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ended = asyncio.run(asked(f"http://127.0.0.1:{silent.getsockname()[1]}"))
    assert {end.code for end in ended if isinstance(end, Problem)} == {"upstream_unavailable"}
    assert len(ended) == 20
    assert time.monotonic() - started < 2.5, "not one after the other"


@pytest.mark.parametrize("stage", STAGES)
def test_a_failure_repeats_only_what_is_missing(front: Gateway, stage: str) -> None:
    front.script.failing[stage] = Problem("upstream_unavailable", "the engine is down", retry_after=3)
    response = front.segment()
    assert response.json()["code"] == "upstream_unavailable"
    assert response.json()["detail"] == "the engine is down"
    assert response.headers["retry-after"] == "3"
    front.script.failing.clear()
    front.script.calls.clear()
    assert front.segment().status_code == 200
    if stage == "reason":
        assert set(front.script.calls) == {"reason"}
    assert front.script.calls[stage] == 1


def test_a_cut_stream_of_semantics_is_upstream_invalid_and_keeps_what_came(front: Gateway) -> None:
    front.script.failing["semantics"] = "cut"
    assert front.segment().json()["code"] == "upstream_invalid"
    front.script.failing.clear()
    front.script.calls.clear()
    assert front.segment().status_code == 200
    assert front.script.calls["masks"] == 2


def test_an_invented_index_does_not_leave_the_gateway(front: Gateway) -> None:
    front.script.failing["reason"] = "invented"
    response = front.segment()
    assert response.json()["code"] == "upstream_invalid"
    assert "99" in response.json()["detail"]


def test_a_mask_without_a_pixel_is_upstream_invalid(front: Gateway) -> None:
    front.script.boxes.append((50, 50, 50, 50))
    response = front.segment()
    assert (response.status_code, response.json()["code"]) == (502, "upstream_invalid")
    assert "without a pixel" in response.json()["detail"]


def test_services_that_are_down_are_named(monkeypatch: pytest.MonkeyPatch, store_url: str) -> None:
    for name in ("PERCEPTION", "SEMANTICS", "REASONER"):
        monkeypatch.setenv(f"GATEWAY_{name}_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("GATEWAY_STORE_URL", store_url)
    with serving(create()) as url, httpx2.Client(base_url=url) as http:
        response = http.post("/segment", data={"query": "the mug"}, files={"image": png()})
        assert response.json()["code"] == "upstream_unavailable"
        assert "perception" in response.json()["detail"]
        needs = http.get("/readyz").json()["needs"]
        assert needs["perception"].startswith("degraded: perception at http://127.0.0.1:")
        assert "cannot be reached" in needs["perception"]


def test_what_is_stored_is_answered_while_the_engines_are_away(front: Gateway) -> None:
    twin = front.segment().json()["twin_id"]
    front.script.failing = dict.fromkeys(
        ("proposals", "granularity", "semantics", "reason"), Problem("upstream_unavailable", "no engine")
    )
    front.script.unready = "the engine cannot be reached"
    ready = front.http.get("/readyz")
    assert ready.status_code == 200  # a load balancer goes on sending
    assert ready.json()["needs"]["reasoner"] == "degraded: reasoner is not ready (engine: the engine cannot be reached)"
    assert 'gateway_upstream_ready{upstream="reasoner"} 0.0' in front.http.get("/metrics").text
    assert front.segment().json()["cached"]
    assert front.http.get(f"/dt/{twin}").status_code == 200
    assert front.segment(query="the lamp").json()["code"] == "upstream_unavailable"
    front.script.unready = ""
    assert set(front.http.get("/readyz").json()["needs"].values()) == {"ok"}
    assert 'gateway_upstream_ready{upstream="reasoner"} 1.0' in front.http.get("/metrics").text


def test_a_store_that_is_down_costs_no_request_and_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "twins.sqlite"
    with gateway(Script(), monkeypatch, f"sqlite:///{broken}") as front:
        broken.write_bytes(b"no database" * 1000)
        for _ in range(2):
            answer = front.segment()
            assert answer.status_code == 200
            assert answer.json()["indices"] == [2]
            assert "store" in answer.json()["warnings"][0]
        mask = front.segment(accept="image/png")
        assert mask.headers["content-type"] == "image/png"
        assert front.http.get("/readyz").json()["needs"]["store"].startswith("degraded:")
        lost = front.http.get(f"/dt/{answer.json()['twin_id']}")
        assert lost.status_code == 503
        assert lost.json()["code"] == "storage_unavailable"


def test_who_was_answered_202_hears_the_result_though_the_store_is_down(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "twins.sqlite"
    with gateway(Script(), monkeypatch, f"sqlite:///{broken}") as front:
        broken.write_bytes(b"no database" * 1000)
        address = front.segment(prefer="respond-async").headers["location"]
        until(lambda: front.http.get(address).status_code == 503)  # the build has ended, and nobody has its twin
        assert "event: result" in front.http.get(f"{address}/events").text


def test_too_many_at_once_are_overloaded(monkeypatch: pytest.MonkeyPatch, store_url: str) -> None:
    script = Script(failing={"proposals": "hang"})
    with (
        gateway(script, monkeypatch, store_url, max_running="1", max_queued="0") as front,
        ThreadPoolExecutor() as pool,
    ):
        leaving = httpx2.Client(base_url=front.http.base_url, timeout=4)  # gives up before the gateway does
        held = pool.submit(Gateway(leaving, script).segment, query="first")
        until(lambda: script.calls["proposals"] > 0)
        response = front.segment(query="second")
        assert response.status_code == 503
        assert response.json()["code"] == "overloaded"
        assert int(response.headers["retry-after"]) >= 1
        with pytest.raises(httpx2.ReadTimeout):
            held.result()
        leaving.close()
        until(lambda: script.cancelled["proposals"] > 0)  # nobody waits for it any more


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_ceiling_ends_in_a_partial_twin_that_a_higher_one_completes(front: Gateway) -> None:
    front.script.affordable = 1
    partial = front.segment(options='{"semantics": {"max_calls": 1}}')
    assert partial.status_code == 200
    told = [w for w in partial.json()["warnings"] if "no description" in w]
    assert told == ["2 of 3 objects have no description: left out: max_calls 1 reached"]
    twin = front.http.get(f"/dt/{partial.json()['twin_id']}").json()
    assert [item["semantic"] is None for item in twin["objects"]].count(True) == 2
    front.script.affordable = 1000
    asked = front.script.calls["masks"]
    whole = front.segment(options='{"semantics": {"max_calls": 9}}').json()
    assert not whole["warnings"]
    assert front.script.calls["masks"] - asked == 2
