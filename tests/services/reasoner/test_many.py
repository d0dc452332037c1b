"""Many queries on one twin: together, in order, each with its own answer or error, and gone with their caller."""

from typing import Any

import httpx2
import pytest

from dtwinseger import api
from tests.doubles.openai_server import Fails, Hangs, Says, openai_server
from tests.services.reasoner.conversation import ROWS, decided, problem, questions, reasoner, until


def answers_by_query(body: dict[str, Any]) -> str:
    """For `Says`: the kite, the tree, nothing, or nonsense where that is asked for."""
    query = body["messages"][1]["content"].rpartition("Query: ")[2]
    keep = {"the kite": {2}, "the tree": {1}}
    return "I do not know." if query == "nonsense" else decided(keep.get(query, set()))


def outcomes(response: httpx2.Response) -> api.ReasonManyResponse:
    assert response.status_code == 200, response.text
    return api.ReasonManyResponse.model_validate_json(response.content)


def kept(outcome: api.ReasonOutcome) -> tuple[int, ...]:
    assert outcome.error is None, outcome.error
    assert outcome.answer
    return outcome.answer.indices


def test_each_query_has_its_answer_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["the kite", "the tree", "the cat", "the kite"]
    with openai_server(Says(answers_by_query)) as engine, reasoner(monkeypatch, engine.url) as client:
        told = outcomes(client.post("/v1/reason/many", json=questions(*asked)))
        one = client.post("/v1/reason", json={"query": "the kite", "objects": [row.model_dump() for row in ROWS]})
    assert [outcome.query for outcome in told.outcomes] == asked
    assert [*map(kept, told.outcomes)] == [(2,), (1,), (), (2,)]
    assert told.usage.calls == 4
    assert told.usage.prompt_tokens == 400
    assert told.outcomes[0].answer == api.ReasonResponse.model_validate_json(one.content)


def test_they_run_together_under_the_engines_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["the kite"] * 64
    with (
        openai_server(Says(answers_by_query), latency_s=0.02) as engine,
        reasoner(monkeypatch, engine.url, REASONER_ENGINE_MAX_IN_FLIGHT="5") as client,
    ):
        told = outcomes(client.post("/v1/reason/many", json=questions(*asked)))
        assert len(engine.requests) == 64
        assert engine.most_at_once == 5
    assert [*map(kept, told.outcomes)] == [(2,)] * 64


def test_a_query_that_fails_is_its_own_error_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    body = questions("the kite", "nonsense", "the tree")
    with openai_server(Says(answers_by_query)) as engine, reasoner(monkeypatch, engine.url) as client:
        told = outcomes(client.post("/v1/reason/many", json=body, headers={"X-Request-Id": "mine"}))
    first, second, third = told.outcomes
    assert kept(first) == (2,)
    assert second.answer is None
    assert second.error
    assert (second.error.code, second.error.request_id) == ("upstream_invalid", "mine")
    assert kept(third) == (1,)
    assert told.usage.calls == 9  # the nonsense was sent back once, then five more answers were asked for


def test_votes_count_for_each_query(monkeypatch: pytest.MonkeyPatch) -> None:
    with openai_server(Says(answers_by_query)) as engine, reasoner(monkeypatch, engine.url) as client:
        told = outcomes(client.post("/v1/reason/many", json=questions("the kite", "the tree", votes=3)))
    assert [outcome.answer and outcome.answer.confidence for outcome in told.outcomes] == [{2: 1.0}, {1: 1.0}]
    assert told.usage.calls == 6


def test_queries_that_are_not_ready_in_time_cost_none_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    body = questions("the kite", *["the tree"] * 20)
    with (
        openai_server(Says(answers_by_query), Hangs()) as engine,
        reasoner(monkeypatch, engine.url, REASONER_ENGINE_MAX_IN_FLIGHT="1") as client,
    ):
        told = outcomes(client.post("/v1/reason/many", json=body, headers={"X-Timeout-Ms": "1500"}))
    first, *others = told.outcomes
    assert kept(first) == (2,)
    assert {outcome.error and outcome.error.code for outcome in others} == {"deadline_exceeded"}


def test_an_engine_that_is_down_is_an_error_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    with openai_server(Fails(500, {"retry-after-ms": "1"})) as engine, reasoner(monkeypatch, engine.url) as client:
        told = outcomes(client.post("/v1/reason/many", json=questions(*["the kite"] * 10)))
    assert {outcome.error and outcome.error.code for outcome in told.outcomes} == {"upstream_unavailable"}


def test_a_twin_without_objects_is_answered_without_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    with openai_server(Fails(500)) as engine, reasoner(monkeypatch, engine.url) as client:
        told = outcomes(client.post("/v1/reason/many", json=questions("the kite", "the tree", objects=[])))
        assert engine.requests == []
    assert [*map(kept, told.outcomes)] == [(), ()]


def test_when_the_caller_leaves_all_calls_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        openai_server(Hangs()) as engine,
        reasoner(monkeypatch, engine.url, REASONER_ENGINE_MAX_IN_FLIGHT="4") as client,
    ):
        with pytest.raises(httpx2.ReadTimeout):
            client.post("/v1/reason/many", json=questions(*["the kite"] * 20), timeout=1)
        until(lambda: engine.left == 4)
        assert len(engine.requests) == 4


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (questions(), "invalid_options", "queries"),
        (questions(*["the kite"] * 65), "invalid_options", "64"),
        (questions("the kite", " "), "invalid_query", "number 2"),
        (questions("the kite", "x" * 2001), "invalid_query", "number 2"),
        (questions("the kite", objects=[ROWS[0], ROWS[0]]), "invalid_options", "index 1 is given to 2"),
        ({"queries": "the kite", "objects": []}, "invalid_options", "queries"),
        ({"query": "the kite", "objects": []}, "invalid_options", "queries"),
    ],
)
def test_a_wrong_request_is_refused_whole(
    monkeypatch: pytest.MonkeyPatch, body: dict[str, Any], code: str, words: str
) -> None:
    with openai_server(Fails(500)) as engine, reasoner(monkeypatch, engine.url) as client:
        response = client.post("/v1/reason/many", json=body)
        assert engine.requests == []
    assert problem(response) == (400, code)
    assert words in response.json()["detail"]
