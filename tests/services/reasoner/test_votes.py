"""Votes: how they decide together, and over HTTP what is asked, what stands and what is said of the rest."""

import random
from typing import Any

import pytest

from dtwinseger import api
from dtwinseger.twin import violations
from services.reasoner.answer import ReasonAnswer, Vote
from services.reasoner.certainty import Certainty
from services.reasoner.votes import confidence, elected, majority
from tests.doubles.openai_server import Fails, Hangs, Reply, Says, openai_server
from tests.services.reasoner.conversation import decide, decided, problem, question, reasoner, rows

NONSENSE = Says("The kite is number 2.")
ONE_BY_ONE = {"REASONER_ENGINE_MAX_IN_FLIGHT": "1"}  # so that the script's order is the votes'


@pytest.mark.parametrize(
    ("votes", "kept", "number"),
    [
        ([[2]], [2], 0),
        ([[1], [2], [2]], [2], 1),
        ([[1], [2]], [1], 0),  # a tie: the first vote's
        ([[2], [1]], [2], 0),
        ([[], [1], [1], []], [], 0),
        ([[1, 2], [2, 3], [1, 3]], [1, 2, 3], 0),  # none agrees, all are equally near
        ([[1], [1, 2], [2, 3], [2, 3, 4], [1, 2, 3]], [1, 2, 3], 4),
        ([[4], [1, 2], [2, 3], [1, 3, 5]], [], 0),
        ([[], []], [], 0),
    ],
)
def test_an_object_is_kept_as_most_votes_decide(votes: list[list[int]], kept: list[int], number: int) -> None:
    assert majority(votes) == kept
    assert elected(votes) == number


def test_the_vote_that_stands_is_as_near_to_the_majority_as_any() -> None:
    dice = random.Random(5)
    for _ in range(500):
        votes = [sorted(dice.sample(range(1, 6), dice.randint(0, 5))) for _ in range(dice.randint(1, 5))]
        kept = set(majority(votes))
        distances = [len(kept.symmetric_difference(vote)) for vote in votes]
        assert distances[elected(votes)] == min(distances)
        for index in range(1, 6):
            share = sum(index in vote for vote in votes) / len(votes)
            assert (index in kept) == (index in votes[0] if share == 0.5 else share > 0.5)


def voted(*indices: int, sure: Certainty | None = None) -> Vote:
    return Vote(ReasonAnswer.model_construct(path=(), indices=indices), sure)


def test_without_log_probabilities_the_share_of_votes_is_the_confidence() -> None:
    votes = [voted(1, 2), voted(1), voted(1, 2)]
    assert confidence(votes, (1, 2)) == ({1: 1.0, 2: pytest.approx(2 / 3)}, pytest.approx(2 / 3))
    assert confidence([voted(), voted(1)], ()) == ({}, 0.5)
    assert confidence([voted(1, 2)], (1, 2)) == ({}, None)


def test_with_log_probabilities_each_vote_counts_by_its_certainty() -> None:
    votes = [voted(2, sure=Certainty({2: 0.8}, 0.7)), voted(1, sure=Certainty({1: 0.9}, 0.9))]
    assert confidence(votes[:1], (2,)) == ({2: 0.8}, 0.7)
    assert confidence(votes, (2,)) == ({2: 0.4}, 0.35)
    assert confidence([*votes, voted(2)], (2,)) == ({2: pytest.approx(2 / 3)}, pytest.approx(2 / 3))


def ask(monkeypatch: pytest.MonkeyPatch, *script: Reply, votes: int, **settings: str) -> tuple[Any, list[Any]]:
    with openai_server(*script) as engine, reasoner(monkeypatch, engine.url, **ONE_BY_ONE | settings) as client:
        return client.post("/v1/reason", json=question(votes=votes)), engine.requests


def test_the_first_vote_is_asked_as_ever_and_the_others_at_a_temperature(monkeypatch: pytest.MonkeyPatch) -> None:
    response, requests = ask(monkeypatch, decide({1}), decide({2}), decide({2}), votes=3)
    answer = response.json()
    assert answer["indices"] == [2]
    assert [d["keep"] for d in answer["path"][0]["decisions"]] == [False, True]
    assert answer["confidence"] == {"2": pytest.approx(2 / 3)}
    assert answer["answer_confidence"] == pytest.approx(2 / 3)
    assert answer["usage"]["calls"] == 3
    assert answer["warnings"] == []
    first, *others = requests
    assert first["temperature"] == 0
    assert all(other["temperature"] > 0 and other["messages"] == first["messages"] for other in others)


def test_a_majority_that_no_vote_holds_is_told_and_the_nearest_vote_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    script = [decide(keep, rows=(1, 2, 3)) for keep in ({1, 2}, {2, 3}, {1, 3})]
    with openai_server(*script) as engine, reasoner(monkeypatch, engine.url, **ONE_BY_ONE) as client:
        answer = client.post("/v1/reason", json=question(objects=rows(1, 2, 3), votes=3)).json()
    assert answer["indices"] == [1, 2]
    assert [d["keep"] for d in answer["path"][0]["decisions"]] == [True, True, False]
    assert answer["warnings"] == ["no single vote keeps exactly what most keep, [1, 2, 3]; the nearest is the answer"]
    assert answer["answer_confidence"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("valid", [0, 1, 2])
def test_votes_that_fail_are_left_out_while_one_remains(monkeypatch: pytest.MonkeyPatch, valid: int) -> None:
    script: list[Reply] = [NONSENSE] * 4  # the last one also to what is asked again, after all votes were asked once
    script[valid] = decide({2})
    response, requests = ask(monkeypatch, *script, votes=3)
    answer = response.json()
    assert answer["indices"] == [2]
    assert answer["confidence"] == {}  # what one vote says, its share does not measure
    assert answer["usage"]["calls"] == len(requests) == 5
    (warning,) = answer["warnings"]
    assert warning.startswith("2 of 3 votes are left out: the model scripted answered twice wrongly")


def test_where_no_vote_is_valid_there_is_a_problem_and_no_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    response, requests = ask(monkeypatch, NONSENSE, votes=5)
    assert problem(response) == (502, "upstream_invalid")
    assert len(requests) == 11  # each is sent back once; the four that are samples leave one of five further ones


def test_an_engine_that_fails_once_costs_one_vote(monkeypatch: pytest.MonkeyPatch) -> None:
    response, _ = ask(monkeypatch, decide({2}), Fails(400), decide({2}), votes=3)
    answer = response.json()
    assert answer["confidence"] == {"2": 1.0}
    assert answer["warnings"] == [
        "1 of 3 votes are left out: the engine rejects the request: Error code: 400 - as scripted"
    ]


def test_a_vote_that_hangs_does_not_cost_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with openai_server(decide({2}), Hangs()) as engine, reasoner(monkeypatch, engine.url, **ONE_BY_ONE) as client:
        response = client.post("/v1/reason", json=question(votes=2), headers={"X-Timeout-Ms": "1000"})
    assert response.status_code == 200
    assert response.json()["indices"] == [2]
    assert "did not answer within the request's time" in response.json()["warnings"][0]


@pytest.mark.parametrize("votes", [0, 6, -1, 1.5, "many", None])
def test_other_numbers_of_votes_are_refused(monkeypatch: pytest.MonkeyPatch, votes: Any) -> None:
    response, requests = ask(monkeypatch, decide({2}), votes=votes)
    assert problem(response) == (400, "invalid_options")
    assert "votes" in response.json()["detail"]
    assert requests == []


def test_whatever_the_votes_say_the_answer_is_one_of_them_with_its_own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(3)
    present = (2, 5, 9)
    sets = [set(dice.sample(present, dice.randint(0, 3))) for _ in range(60)]

    def any_of_them(body: Any) -> str:
        return decided(dice.choice(sets), rows=present)

    with openai_server(Says(any_of_them)) as engine, reasoner(monkeypatch, engine.url) as client:
        for _ in range(20):
            response = client.post("/v1/reason", json=question(objects=rows(*present), votes=5))
            answer = api.ReasonResponse.model_validate_json(response.content)
            assert violations(answer.path, answer.indices, present) == []
            assert set(answer.confidence) == set(answer.indices)
