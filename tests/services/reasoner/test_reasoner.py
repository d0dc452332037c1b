"""The reasoner over HTTP, with a scripted LLM behind it: answers, guards, one reask, and failures as problems."""

import json
from typing import Any

import httpx2
import pytest

from dtwinseger import api
from dtwinseger.prompts import REASONING
from dtwinseger.twin import TwinRow
from tests.doubles.openai_server import Fails, Hangs, OpenAIServer, Reply, Says, openai_server
from tests.doubles.serving import free_port
from tests.services.reasoner.conversation import ROWS, decide, reasoner, rows


def ask(
    monkeypatch: pytest.MonkeyPatch,
    *script: Reply,
    twin: list[TwinRow] | None = None,
    headers: dict[str, str] | None = None,
    **settings: str,
) -> tuple[httpx2.Response, OpenAIServer]:
    body: dict[str, Any] = {"query": "the kite", "objects": [r.model_dump() for r in (ROWS if twin is None else twin)]}
    with openai_server(*script) as engine, reasoner(monkeypatch, engine.url, **settings) as client:
        return client.post("/v1/reason", json=body, headers=headers or {}), engine


def test_the_kept_objects_are_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    response, engine = ask(monkeypatch, decide({2}))
    answer = response.json()
    assert response.status_code == 200
    assert answer["indices"] == [2]
    assert [d["keep"] for d in answer["path"][0]["decisions"]] == [False, True]
    expected = api.EngineUsage(calls=1, prompt_tokens=100, completion_tokens=10, cost_usd=None)
    assert answer["usage"] == expected.model_dump()
    assert answer["confidence"] == {}
    assert answer["answer_confidence"] is None
    (request,) = engine.requests
    system, user = request["messages"]
    assert system["content"] == REASONING
    assert "a small red kite" in user["content"]
    assert user["content"].endswith("Query: the kite")
    assert {name: request[name] for name in request if name != "messages"} == {
        "model": "scripted",
        "temperature": 0,
        "max_tokens": 560,
    }


def test_nothing_fits_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    response, _ = ask(monkeypatch, decide(set()))
    assert response.status_code == 200
    assert response.json()["indices"] == []


def test_a_twin_without_objects_is_answered_without_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    response, engine = ask(monkeypatch, Fails(500), twin=[])
    answer = response.json()
    assert answer["indices"] == []
    assert answer["answer_confidence"] is None
    assert "no objects" in answer["path"][0]["otherwise"]
    assert engine.requests == []


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (Says("The kite is number 2."), "Invalid JSON"),
        (decide({2, 3}, rows=(1, 2, 3)), "not in the twin"),
        (decide({2}, indices=(1,)), "the last step kept [2]"),
        (decide({2}, rows=(2,)), "does not decide on [1]"),
        (Says('{"path":[],"indices":[]}'), "the path is empty"),
    ],
)
def test_an_invalid_answer_is_sent_back_once(monkeypatch: pytest.MonkeyPatch, wrong: Says, complaint: str) -> None:
    response, engine = ask(monkeypatch, wrong, decide({2}))
    assert response.json()["indices"] == [2]
    assert response.json()["usage"]["calls"] == 2
    assert complaint in engine.requests[1]["messages"][-1]["content"]


@pytest.mark.parametrize(
    "wrong",
    [Says("The kite is number 2."), decide({2, 3}, rows=(1, 2, 3)), decide({2}, indices=(1,))],
    ids=["no JSON", "an invented index", "a path that contradicts the indices"],
)
def test_invalid_answers_alone_are_a_problem_never_a_guess(monkeypatch: pytest.MonkeyPatch, wrong: Says) -> None:
    response, engine = ask(monkeypatch, wrong)
    assert response.status_code == 502
    assert response.json()["code"] == "upstream_invalid"
    assert len(engine.requests) == 7  # asked, sent back once, five further samples


def test_a_refusal_is_an_invalid_upstream(monkeypatch: pytest.MonkeyPatch) -> None:
    response, _ = ask(monkeypatch, Says(None, refusal="I would rather not."))
    assert response.json()["code"] == "upstream_invalid"
    assert "refused" in response.json()["detail"]


def test_a_hanging_engine_ends_with_the_callers_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    response, _ = ask(monkeypatch, Hangs(), headers={"X-Timeout-Ms": "300"})
    assert response.status_code == 504
    assert response.json()["code"] == "deadline_exceeded"


def test_an_engine_that_is_down_is_unavailable_and_unready(monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"query": "the kite", "objects": [row.model_dump() for row in ROWS]}
    with reasoner(monkeypatch, f"http://127.0.0.1:{free_port()}/v1") as client:
        assert client.post("/v1/reason", json=body).json()["code"] == "upstream_unavailable"
        assert client.get("/readyz").status_code == 503
        assert client.get("/livez").status_code == 200


def test_an_engine_that_keeps_failing_is_left_alone_and_readiness_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"query": "the kite", "objects": [row.model_dump() for row in ROWS]}
    with openai_server(Fails(400), Fails(500, {"retry-after-ms": "1"})) as engine:
        with reasoner(monkeypatch, engine.url) as client:
            codes = [client.post("/v1/reason", json=body).json()["code"] for _ in range(4)]
            calls = len(engine.requests)
            assert client.post("/v1/reason", json=body).json()["code"] == "upstream_unavailable"
            needs = client.get("/readyz").json()["needs"]
        assert len(engine.requests) == calls
    assert codes == ["upstream_invalid", *["upstream_unavailable"] * 3]
    assert "times in a row; trying again in" in needs["engine"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": " ", "objects": []}, "invalid_query"),
        ({"query": "x" * 2001, "objects": []}, "invalid_query"),
        ({"query": "the kite", "objects": [ROWS[0].model_dump()] * 2}, "invalid_options"),
        ({"query": "the kite"}, "invalid_options"),
    ],
)
def test_a_wrong_request_is_refused_before_the_model_is_asked(
    monkeypatch: pytest.MonkeyPatch, body: dict[str, Any], code: str
) -> None:
    with openai_server(Fails(500)) as engine, reasoner(monkeypatch, engine.url) as client:
        response = client.post("/v1/reason", json=body)
        assert response.status_code == 400
        assert response.json()["code"] == code
        assert engine.requests == []


def test_info_names_model_and_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    with openai_server(Fails(500)) as engine, reasoner(monkeypatch, engine.url) as client:
        info = client.get("/v1/info").json()
    assert info["service"] == "reasoner"
    assert info["models"] == {"llm": "scripted"}
    assert (info["settings"]["auto"], info["settings"]["adapters"]) == ("zero_shot", {})
    assert len(info["prompts"]) == 64


def test_a_schema_with_the_twins_own_indices_is_sent_where_the_engine_can_be_held_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, engine = ask(monkeypatch, decide({9}, rows=(4, 9)), twin=rows(9, 4), REASONER_ENGINE_STRUCTURED_OUTPUT="true")
    schema = engine.requests[0]["response_format"]["json_schema"]["schema"]
    assert list(schema["properties"]) == ["path", "indices"]
    assert schema["properties"]["indices"]["items"] == {"type": "integer", "enum": [4, 9]}
    assert schema["$defs"]["Decision"]["properties"]["index"] == {"type": "integer", "enum": [4, 9]}
    assert list(schema["$defs"]["Step"]["properties"]) == ["step", "criterion", "decisions", "otherwise"]
    assert "uniqueItems" not in json.dumps(schema)


def test_further_answers_decide_by_majority_where_none_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Says("The kite is number 2.")
    script = [wrong, wrong, decide({2}), wrong, decide({2}), wrong, wrong]
    response, engine = ask(monkeypatch, *script, REASONER_ENGINE_MAX_IN_FLIGHT="1")
    answer = response.json()
    assert answer["indices"] == [2]
    assert answer["confidence"] == {"2": 1.0}
    assert answer["usage"]["calls"] == 7
    (warning,) = answer["warnings"]
    assert warning.startswith("the model scripted answered twice wrongly: ")
    assert warning.endswith("this is what most of the 2 valid among 5 more answers keep")
    assert [request["temperature"] for request in engine.requests] == [0, 0, *[1] * 5]
    assert engine.requests[2]["messages"] == engine.requests[0]["messages"]


@pytest.mark.parametrize(
    ("reply", "settings", "calls"),
    [
        (Says("no"), {"REASONER_FURTHER_SAMPLES": "0"}, 2),
        (Says("no"), {"REASONER_FURTHER_SAMPLES": "1"}, 3),
        (Says("half an ans", finish_reason="length"), {}, 6),
        (Says(None, refusal="No."), {}, 1),
        (Fails(400), {}, 1),
        (Fails(404), {}, 1),
    ],
    ids=["none are wanted", "one is", "an answer that was cut off", "a refusal", "a rejection", "no such model"],
)
def test_further_answers_are_asked_for_where_another_may_be_better(
    monkeypatch: pytest.MonkeyPatch, reply: Reply, settings: dict[str, str], calls: int
) -> None:
    response, engine = ask(monkeypatch, reply, **settings)
    assert response.status_code == 502
    assert len(engine.requests) == calls


def test_no_further_answers_are_begun_that_could_not_end_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"query": "the kite", "objects": [row.model_dump() for row in ROWS]}
    with openai_server(Says("no"), latency_s=0.6) as engine, reasoner(monkeypatch, engine.url) as client:
        response = client.post("/v1/reason", json=body, headers={"X-Timeout-Ms": "1900"})
    assert response.json()["code"] == "upstream_invalid"
    assert len(engine.requests) == 2
