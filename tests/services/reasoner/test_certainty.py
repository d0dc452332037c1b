"""Confidence from log-probabilities: the tokens of the final list are found, or nothing is claimed."""

import math
from typing import Any

import pytest

from dtwinseger.service.engine.completion import Token
from services.reasoner.certainty import Certainty, certainty
from tests.doubles.openai_server import Reply, Says, openai_server
from tests.services.reasoner.conversation import decide, decided, question, reasoner, spelt

HALF, MOST = math.log(0.5), math.log(0.8)


def tokens(*told: tuple[str, float]) -> list[Token]:
    return [Token(token=token, logprob=logprob) for token, logprob in told]


def approx(of_indices: dict[int, float], of_list: float) -> Certainty:
    return Certainty(pytest.approx(of_indices), pytest.approx(of_list))  # type: ignore[arg-type]


def test_each_index_has_the_probability_of_its_tokens_and_the_list_of_all() -> None:
    told = tokens(('{"path":[],"indices":[', HALF), ("3", MOST), (",", MOST), ("1", HALF), ("2", HALF), ("]}", MOST))
    assert certainty(told, [3, 12]) == approx({3: 0.8, 12: 0.25}, 0.8**3 * 0.25)


def test_an_empty_list_is_as_likely_as_its_end() -> None:
    assert certainty(tokens(('"indices":[', HALF), ("]", MOST), ("}", HALF)), []) == approx({}, 0.8)
    assert certainty(tokens(('"indices":[]}', HALF)), []) == approx({}, 0.5)


def test_a_token_with_more_than_an_index_counts_for_all_that_it_holds() -> None:
    assert certainty(tokens(('"indices": [ 3, 7', HALF), (" ]\n}", MOST)), [3, 7]) == approx({3: 0.5, 7: 0.5}, 0.4)


def test_what_surrounds_the_list_does_not_matter() -> None:
    told = tokens(
        ("\ufffd", HALF), ("", HALF), ('"indices":[', HALF), ("7", MOST), ("]", 0.0), ("}", HALF), ("<|e|>", -9)
    )
    assert certainty(told, [7]) == approx({7: 0.8}, 0.8)


def test_the_last_list_counts_and_words_of_the_path_do_not() -> None:
    said = '"reasoning":"\\"indices\\":[9]","criterion":"indices","indices":[1],'
    assert certainty(tokens((said, HALF), ('"indices":[', 0.0), ("2", MOST), ("]", 0.0)), [2]) == approx({2: 0.8}, 0.8)


def test_a_probability_never_passes_one() -> None:
    assert certainty(tokens(('"indices":[', 0.0), ("2", 1e-7), ("]", 3.0)), [2]) == approx({2: 1.0}, 1.0)


@pytest.mark.parametrize(
    "told",
    [
        tokens(),
        tokens(("The kite", HALF)),
        tokens(('"indices":[', HALF), ("3", HALF), ("]", HALF)),
        tokens(('"indices":[', HALF), ("2", HALF)),
        tokens(('"indices":[', HALF), ("2,2", HALF), ("]", HALF)),
        tokens(('"indices":Ġ[', HALF), ("2", HALF), ("]", HALF)),
        tokens(('"indices":[', HALF), ("9" * 6_000, HALF), ("]", HALF)),
    ],
)
def test_tokens_that_do_not_hold_the_list_tell_nothing(told: list[Token]) -> None:
    assert certainty(told, [2]) is None


def ask(
    monkeypatch: pytest.MonkeyPatch, *script: Reply, logprobs: str = "true", votes: int = 1
) -> tuple[Any, list[Any]]:
    settings = {"REASONER_LOGPROBS": logprobs, "REASONER_ENGINE_MAX_IN_FLIGHT": "1"}
    with openai_server(*script) as engine, reasoner(monkeypatch, engine.url, **settings) as client:
        response = client.post("/v1/reason", json=question(votes=votes))
        assert response.status_code == 200, response.text
        return response.json(), engine.requests


def test_log_probabilities_are_asked_for_and_become_confidence(monkeypatch: pytest.MonkeyPatch) -> None:
    text = decided({1, 2})
    head, ids = text.removesuffix("1,2]}"), (("1", HALF), (",", 0.0), ("2", MOST), ("]}", 0.0))
    answer, requests = ask(monkeypatch, spelt(text, (head, -3.0), *ids))
    assert answer["confidence"] == {"1": pytest.approx(0.5), "2": pytest.approx(0.8)}
    assert answer["answer_confidence"] == pytest.approx(0.4)
    assert requests[0]["logprobs"] is True


def test_they_are_not_asked_for_where_the_engine_does_not_give_them(monkeypatch: pytest.MonkeyPatch) -> None:
    answer, requests = ask(monkeypatch, Says(decided({2}), gives_logprobs=True), logprobs="false")
    assert (answer["confidence"], answer["answer_confidence"]) == ({}, None)
    assert "logprobs" not in requests[0]


def test_an_engine_that_leaves_them_out_still_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    answer, _ = ask(monkeypatch, decide({2}))
    assert answer["indices"] == [2]
    assert (answer["confidence"], answer["answer_confidence"]) == ({}, None)


def test_those_of_a_refused_answer_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = spelt(decided({2}, indices=(1,)), (decided({2}, indices=(1,)), HALF))
    answer, _ = ask(monkeypatch, wrong, spelt(decided({2}), (decided({2}), MOST)))
    assert answer["confidence"] == {"2": pytest.approx(0.8)}


def test_votes_weigh_by_their_certainty(monkeypatch: pytest.MonkeyPatch) -> None:
    votes = [spelt(decided(keep), (decided(keep), sure)) for keep, sure in (({2}, MOST), ({1}, MOST), ({2}, HALF))]
    answer, _ = ask(monkeypatch, *votes, votes=3)
    assert answer["indices"] == [2]
    assert answer["confidence"] == {"2": pytest.approx((0.8 + 0.5) / 3)}
    assert answer["answer_confidence"] == pytest.approx((0.8 + 0.5) / 3)


def test_info_says_so_for_answers_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    with reasoner(monkeypatch, "http://127.0.0.1:9/v1", REASONER_LOGPROBS="true") as client:
        assert client.get("/v1/info").json()["settings"]["logprobs"] is True
