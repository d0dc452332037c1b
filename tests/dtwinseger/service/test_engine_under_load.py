"""Many calls against a real HTTP server that limits its rate, fails or hangs: what it sees, and who waits."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY
from pydantic import BaseModel

from dtwinseger.problems import Problem
from dtwinseger.service.deadline import deadline
from dtwinseger.service.engine import Engine, EngineSettings, client
from tests.doubles.openai_server import Fails, Hangs, Limit, OpenAIServer, Says, openai_server, rate, window

MESSAGES = [{"role": "user", "content": "How many?"}]
ONE = Says('{"count":1}')


class Count(BaseModel):
    count: int


def engine_of(server: OpenAIServer) -> Engine:
    return Engine(EngineSettings(url=server.url, model="counter"), "llm")


async def asked(engine: Engine, calls: int) -> list[Problem]:
    """Ask so many times at once; the problems of those that failed."""
    said = await asyncio.gather(
        *(engine.ask(MESSAGES, Count, 50) for _ in range(calls)),
        return_exceptions=True,
    )
    failed = [one for one in said if isinstance(one, BaseException)]
    problems = [one for one in failed if isinstance(one, Problem)]
    assert problems == failed
    return problems


def asked_of(server: OpenAIServer, calls: int) -> list[Problem]:
    async def run() -> list[Problem]:
        async with engine_of(server) as engine, deadline(30):
            return await asked(engine, calls)

    return asyncio.run(run())


@pytest.fixture
def dead() -> Iterator[OpenAIServer]:
    with openai_server(Fails(500, {"retry-after-ms": "1"})) as server:
        yield server


@pytest.mark.parametrize("limit", [window(0, 0.5), window(0.3, 0.8), rate(28, burst=4), rate(20, burst=8)])
def test_a_rate_limit_costs_a_fifth_more_calls_at_most_and_no_answer(limit: Limit) -> None:
    with openai_server(ONE, latency_s=0.1, limit=limit) as server:
        assert asked_of(server, 40) == []
        assert server.limited > 0
        assert server.retries <= 0.2 * 40


def test_calls_that_a_rate_limit_outlasts_are_told_at_once_for_how_long() -> None:
    with openai_server(Fails(429, {"Retry-After": "60"})) as server:
        started = time.monotonic()
        problems = asked_of(server, 20)
        assert time.monotonic() - started < 10
        assert len(server.requests) <= 8
    assert len(problems) == 20
    assert all(50 < (problem.retry_after or 0) <= 60 for problem in problems)


def test_a_dead_engine_is_soon_left_alone(dead: OpenAIServer) -> None:
    problems = asked_of(dead, 40)
    assert {problem.code for problem in problems} == {"upstream_unavailable"}
    assert len(dead.requests) <= client.FAILURES + 8  # and what was in flight when the last one came
    assert "times in a row; trying again in" in problems[-1].detail
    assert problems[-1].retry_after == pytest.approx(client.PAUSE_S, abs=5)


def test_readiness_says_that_the_engine_failed_and_when_it_is_tried_again(dead: OpenAIServer) -> None:
    async def state() -> str:
        async with engine_of(dead) as engine:
            await asked(engine, 10)
            return await engine.state()

    assert "times in a row; trying again in" in asyncio.run(state())
    assert REGISTRY.get_sample_value("engine_breaker_open", {"engine": "llm"}) == 1


def test_an_engine_that_comes_back_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PAUSE_S", 0.2)

    async def run(server: OpenAIServer) -> None:
        async with engine_of(server) as engine:
            assert len(await asked(engine, 5)) == 5
            server.script[:] = [ONE]
            async with asyncio.timeout(10):
                while await engine.state() != "ok":  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            assert await asked(engine, 1) == []
            assert await asked(engine, 10) == []

    with openai_server(Fails(500, {"retry-after-ms": "1"})) as server:
        asyncio.run(run(server))
    assert REGISTRY.get_sample_value("engine_breaker_open", {"engine": "llm"}) == 0


def test_requests_that_the_engine_rejects_do_not_open_the_breaker() -> None:
    async def state(server: OpenAIServer) -> str:
        async with engine_of(server) as engine:
            assert len(await asked(engine, 20)) == 20
            return await engine.state()

    with openai_server(Fails(400)) as server:
        assert asyncio.run(state(server)) == "ok"
        assert len(server.requests) == 20


def test_an_engine_that_fails_now_and_then_is_retried_within_the_budget() -> None:
    script = [Fails(500, {"retry-after-ms": "1"}) if number % 3 == 0 else ONE for number in range(400)]
    with openai_server(*script) as server:
        problems = asked_of(server, 200)
        assert problems  # a third fails, a fifth may be retried
        assert 0.2 * 200 <= server.retries <= 8 + 0.2 * 200


@pytest.mark.parametrize("calls", [1, 8])
def test_calls_stop_upstream_within_a_second_after_their_caller_left(calls: int) -> None:
    async def leave(server: OpenAIServer) -> None:
        async with engine_of(server) as engine:
            asking = [asyncio.create_task(engine.ask(MESSAGES, Count, 50)) for _ in range(calls)]
            async with asyncio.timeout(10):
                while server.at_once < calls:  # noqa: ASYNC110 - the server has a thread of its own
                    await asyncio.sleep(0.01)
            for task in asking:
                task.cancel()
            async with asyncio.timeout(1):
                await asyncio.gather(*asking, return_exceptions=True)
                while server.at_once:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert server.left == calls
            server.script[:] = [ONE]
            assert await asked(engine, 10) == []  # every slot is free again

    def cancelled() -> float:
        return REGISTRY.get_sample_value("engine_calls_total", {"engine": "llm", "outcome": "cancelled"}) or 0.0

    before = cancelled()
    with openai_server(Hangs()) as server:
        asyncio.run(leave(server))
    assert cancelled() == before + calls


def test_a_deadline_ends_a_wait_for_the_engines_rate() -> None:
    async def run(server: OpenAIServer) -> Problem:
        async with engine_of(server) as engine:
            assert len(await asked(engine, 1)) == 0
            with pytest.raises(Problem) as raised:
                async with deadline(0.5):
                    await engine.ask(MESSAGES, Count, 50)
            return raised.value

    with openai_server(ONE, limit=lambda number, seconds: None if number == 0 else 0.3) as server:
        started = time.monotonic()
        assert asyncio.run(run(server)).code in ("deadline_exceeded", "upstream_unavailable")
        assert time.monotonic() - started < 5
