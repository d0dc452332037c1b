"""The engine against a real HTTP server: one JSON answer, one reask, and every failure as the problem that it is."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from dtwinseger.api import EngineUsage
from dtwinseger.problems import Problem
from dtwinseger.service.deadline import deadline
from dtwinseger.service.engine import Engine, EngineSettings
from dtwinseger.service.engine.completion import Token
from tests.doubles.openai_server import Fails, Garbage, Hangs, OpenAIServer, Reply, Says, lists, openai_server
from tests.doubles.serving import free_port

MESSAGES = [{"role": "user", "content": "How many?"}]


class Count(BaseModel):
    count: int
    note: str | None = None
    notes: list[str] = []


def ask(
    *script: Reply,
    check: Callable[[Count], list[str]] | None = None,
    seconds: float | None = None,
    **settings: Any,
) -> tuple[Count, EngineUsage, OpenAIServer]:
    """Ask once, of a server with this script."""
    with openai_server(*script) as server:
        engine = EngineSettings(**{"url": server.url, "model": "counter"} | settings)
        answer, usage = asyncio.run(_ask(engine, check, seconds))
    return answer, usage, server


async def _ask(
    settings: EngineSettings, check: Callable[[Count], list[str]] | None, seconds: float | None
) -> tuple[Count, EngineUsage]:
    async with Engine(settings, "llm") as engine:
        if seconds is None:
            return await engine.ask(MESSAGES, Count, 50, check)
        async with deadline(seconds):
            return await engine.ask(MESSAGES, Count, 50, check)


def problem_of(*script: Reply, **options: Any) -> Problem:
    with pytest.raises(Problem) as raised:
        ask(*script, **options)
    return raised.value


def test_an_answer_is_parsed_and_its_tokens_are_counted() -> None:
    answer, usage, server = ask(Says('{"count":3}'))
    assert answer == Count(count=3)
    assert usage == EngineUsage(calls=1, prompt_tokens=100, completion_tokens=10, cost_usd=None)
    (request,) = server.requests
    assert request["model"] == "counter"
    assert request["temperature"] == 0
    assert request["max_tokens"] == 50
    assert request["messages"] == MESSAGES


def test_a_schema_is_asked_for_only_where_the_engine_can_be_held_to_one() -> None:
    _, _, plain = ask(Says('{"count":3}'))
    assert "response_format" not in plain.requests[0]
    _, _, held = ask(Says('{"count":3}'), structured_output=True)
    schema = held.requests[0]["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"]["required"] == ["count", "note", "notes"]
    assert schema["schema"]["additionalProperties"] is False


def test_a_json_fence_is_tolerated() -> None:
    answer, usage, _ = ask(Says('```json\n{"count": 3}\n```\n'))
    assert answer.count == 3
    assert usage.calls == 1


def test_an_answer_with_talk_around_it_is_sent_back() -> None:
    answer, usage, server = ask(Says('Sure! {"count":3}'), Says('{"count":4}'))
    assert answer.count == 4
    assert usage == EngineUsage(calls=2, prompt_tokens=200, completion_tokens=20, cost_usd=None)
    *_, said, complaint = server.requests[1]["messages"]
    assert said == {"role": "assistant", "content": 'Sure! {"count":3}'}
    assert "not valid" in complaint["content"]


def test_an_answer_of_the_wrong_shape_is_sent_back_with_the_field() -> None:
    _, _, server = ask(Says('{"count":"many"}'), Says('{"count":4}'))
    assert "count" in server.requests[1]["messages"][-1]["content"]


def test_an_answer_that_the_check_refuses_is_sent_back_with_the_reason() -> None:
    answer, _, server = ask(
        Says('{"count":-1}'), Says('{"count":1}'), check=lambda c: ["count is negative"] if c.count < 0 else []
    )
    assert answer.count == 1
    assert "count is negative" in server.requests[1]["messages"][-1]["content"]


def test_two_invalid_answers_are_an_invalid_upstream() -> None:
    problem = problem_of(Says("no idea"), Says("still none"))
    assert problem.code == "upstream_invalid"


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Says(None, refusal="I cannot count."), "refused"),
        (Says("", finish_reason="content_filter"), "refused"),
        (Says('{"count":', finish_reason="length"), "cut off"),
        (Says("  "), "empty"),
        (Garbage(), "no chat completion"),
        (Garbage("[" * 100_000, "application/json"), "no chat completion"),
        (Garbage('{"choices": [{"message": null}]}', "application/json"), "no chat completion"),
        (Garbage('{"choices": []}', "application/json"), "gave no answer"),
        (Says('{"count":3}' + " " * 300_000), "gave an answer of 300,011 characters"),
        (Says("x" * 10_000_000), "over 4,000,000 bytes"),
        (Fails(400), "rejects the request"),
    ],
)
def test_no_answer_is_an_invalid_upstream_that_says_why(reply: Reply, words: str) -> None:
    problem = problem_of(reply)
    assert problem.code == "upstream_invalid"
    assert words in problem.detail


def test_a_failing_engine_is_tried_again() -> None:
    answer, usage, server = ask(Fails(500, {"retry-after-ms": "1"}), Says('{"count":3}'))
    assert answer.count == 3
    assert usage.calls == 1
    assert len(server.requests) == 2


def test_a_busy_engine_is_waited_for_as_it_says() -> None:
    answer, _, server = ask(Fails(429, {"Retry-After": "1"}), Says('{"count":3}'))
    assert answer.count == 3
    assert len(server.requests) == 2


def test_an_engine_that_keeps_failing_is_unavailable() -> None:
    problem = problem_of(Fails(503, {"retry-after-ms": "1"}))
    assert problem.code == "upstream_unavailable"
    assert "503" in problem.detail


def test_an_engine_that_stays_busy_is_unavailable_and_says_for_how_long() -> None:
    problem = problem_of(Fails(429, {"Retry-After": "7"}), seconds=5)
    assert problem.code == "upstream_unavailable"
    assert problem.retry_after == 7


def test_a_rejected_key_does_not_appear_in_the_problem() -> None:
    problem = problem_of(Fails(401), api_key="sk-secret")
    assert problem.code == "upstream_unavailable"
    assert "sk-secret" not in str(problem)


@pytest.mark.parametrize(
    ("status", "words"), [(401, "refuses the API key"), (404, "does not know the model counter"), (302, "answered 302")]
)
def test_a_wrong_setting_is_told_and_not_tried_again(status: int, words: str) -> None:
    with openai_server(Fails(status)) as server:
        with pytest.raises(Problem, match=words) as raised:
            asyncio.run(_ask(EngineSettings(url=server.url, model="counter"), None, None))
        assert len(server.requests) == 1
    assert raised.value.code == "upstream_unavailable"


def test_an_answer_with_thousands_of_faults_is_sent_back_in_few_words() -> None:
    _, _, server = ask(Says(json.dumps({"count": 1, "notes": [0] * 50_000})), Says('{"count":4}'))
    assert "50000 fields are wrong" in server.requests[1]["messages"][-1]["content"]


def test_an_engine_that_is_down_is_unavailable() -> None:
    settings = EngineSettings(url=f"http://127.0.0.1:{free_port()}/v1", model="counter")
    with pytest.raises(Problem) as raised:
        asyncio.run(_ask(settings, None, None))
    assert raised.value.code == "upstream_unavailable"


def test_a_hanging_engine_ends_with_the_deadline() -> None:
    assert problem_of(Hangs(), seconds=0.3).code == "deadline_exceeded"


def test_a_call_longer_than_its_timeout_is_unavailable() -> None:
    assert problem_of(Hangs(), timeout_s=0.1, seconds=20).code == "upstream_unavailable"


def test_no_more_calls_are_in_flight_than_allowed() -> None:
    async def all_at_once(url: str) -> None:
        async with Engine(EngineSettings(url=url, model="counter", max_in_flight=2), "llm") as engine:
            await asyncio.gather(*(engine.ask(MESSAGES, Count, 50) for _ in range(8)))

    with openai_server(Says(lambda body: json.dumps({"count": len(body["messages"])}))) as server:
        asyncio.run(all_at_once(server.url))
        assert len(server.requests) == 8
        assert server.most_at_once <= 2


def test_readiness_says_whether_the_engine_can_be_reached() -> None:
    async def state(url: str) -> str:
        async with Engine(EngineSettings(url=url, model="counter"), "llm") as engine:
            return await engine.state()

    with openai_server(Says("{}")) as server:
        assert asyncio.run(state(server.url)) == "ok"
    assert "cannot be reached" in asyncio.run(state(server.url))


def test_readiness_notices_what_is_no_engine() -> None:
    async def state(url: str) -> str:
        async with Engine(EngineSettings(url=url, model="counter"), "llm") as engine:
            return await engine.state()

    with openai_server(Says("{}"), models=Garbage()) as server:
        assert asyncio.run(state(server.url)) == "the engine lists its models as text/html; is its URL right?"
    with openai_server(Says("{}"), models=Fails(401)) as server:
        assert asyncio.run(state(server.url)) == "the engine answers 401"


def heard(reply: Reply, *more: Reply, **options: Any) -> tuple[list[Token], list[Any]]:
    """The tokens that were told of an answer, and what the engine was asked."""
    tokens: list[Token] = []

    async def run(url: str) -> None:
        async with Engine(EngineSettings(url=url, model="counter"), "llm") as engine:
            await engine.ask(MESSAGES, Count, 50, hear=tokens.extend, **options)

    with openai_server(reply, *more) as server:
        asyncio.run(run(server.url))
        return tokens, server.requests


def test_log_probabilities_are_asked_for_only_where_someone_hears_them() -> None:
    tokens, (request,) = heard(Says('{"count":3}', gives_logprobs=True))
    assert tokens == [Token(token='{"count":3}', logprob=-0.1)]
    assert request["logprobs"] is True
    _, _, server = ask(Says('{"count":3}'))
    assert "logprobs" not in server.requests[0]


def test_only_the_tokens_of_the_answer_that_is_returned_are_heard() -> None:
    tokens, _ = heard(Says("no idea", gives_logprobs=True), Says('{"count":3}', gives_logprobs=True))
    assert [token.token for token in tokens] == ['{"count":3}']


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        {},
        {"content": None},
        {"content": [{"token": "3"}]},
        {"content": [{"token": 3, "logprob": "?"}]},
        {"tokens": ["3"], "token_logprobs": [-1.0]},
        [-1.0],
        "none",
    ],
)
def test_an_answer_is_not_lost_over_its_log_probabilities(logprobs: object) -> None:
    choice = {"message": {"role": "assistant", "content": '{"count":3}'}, "logprobs": logprobs}
    tokens, requests = heard(Garbage(json.dumps({"choices": [choice]}), "application/json"))
    assert tokens == []
    assert len(requests) == 1


def test_a_temperature_is_sent_with_each_call() -> None:
    _, requests = heard(Says("no idea"), Says('{"count":3}'), temperature=0.7)
    assert [request["temperature"] for request in requests] == [0.7, 0.7]


@pytest.mark.parametrize(
    ("listed", "model", "words"),
    [
        (lists("counter", "other"), "counter", "ok"),
        (lists("a", "b"), "counter", "the engine does not list counter; it lists a, b"),
        (lists(*"abcdefgh"), "counter", "the engine does not list counter; it lists a, b, c, d, e and 3 more"),
        (lists("a", owned_by="meta"), "counter", "degraded: the engine does not list counter; it lists a; it may"),
        (lists("a", owned_by="meta"), "models/dtwin-mini-llm", "ok"),
        (lists("a"), "models/dtwin-mini-llm", "the engine does not list models/dtwin-mini-llm; it lists a"),
        (lists(), "counter", "ok"),
        (Garbage('{"data": "none"}', "application/json"), "counter", "ok"),
        (Garbage("[" * 2_000_000, "application/json"), "counter", "ok"),
    ],
    ids=["listed", "vLLM", "vLLM, many", "another", "another, a folder", "vLLM, a folder", "none", "no list", "long"],
)
def test_readiness_says_when_the_model_is_not_listed(listed: Garbage, model: str, words: str) -> None:
    async def state(url: str) -> str:
        async with Engine(EngineSettings(url=url, model=model), "vlm") as engine:
            return await engine.state()

    with openai_server(Fails(500), models=listed) as server:
        said = asyncio.run(state(server.url))
    assert said.startswith(words)
    assert words != "ok" or said == "ok"
