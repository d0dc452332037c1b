"""What a call cost: tokens, pictures and money, per answer and as metrics."""

import asyncio
from typing import Any

import pytest
from prometheus_client import REGISTRY
from pydantic import BaseModel, ValidationError

from dtwinseger.api import EngineUsage
from dtwinseger.problems import Problem
from dtwinseger.service.engine import Engine, EngineSettings
from tests.doubles.openai_server import Fails, Garbage, Reply, Says, openai_server

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}
MESSAGES = [
    {"role": "system", "content": "Count."},
    {"role": "user", "content": [{"type": "text", "text": "How many?"}, PICTURE, PICTURE]},
]
PRICES = {"price_input": 2.0, "price_output": 8.0}


class Count(BaseModel):
    count: int


def metered(*script: Reply, **settings: Any) -> tuple[list[EngineUsage], Problem | EngineUsage]:
    """What the meter heard while one question was asked, and how it ended."""
    heard: list[EngineUsage] = []

    async def ask(url: str) -> EngineUsage:
        async with Engine(EngineSettings(url=url, model="counter", **settings), "vlm") as engine:
            _, usage = await engine.ask(MESSAGES, Count, 50, meter=heard.append)
            return usage

    with openai_server(*script) as server:
        try:
            return heard, asyncio.run(ask(server.url))
        except Problem as problem:
            return heard, problem


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, {"engine": "vlm"} | labels) or 0.0


def test_tokens_pictures_and_money_are_counted() -> None:
    _, usage = metered(Says('{"count":3}', cached_tokens=60), **PRICES, price_cached=1.0)
    assert isinstance(usage, EngineUsage)
    assert usage.cost_usd == pytest.approx((40 * 2 + 60 * 1 + 10 * 8) / 1e6)
    assert usage.model_copy(update={"cost_usd": None}) == EngineUsage(
        calls=1, images=2, prompt_tokens=100, cached_tokens=60, completion_tokens=10, cost_usd=None
    )


def test_cached_input_costs_what_input_costs_where_it_has_no_price() -> None:
    _, usage = metered(Says('{"count":3}', cached_tokens=60), **PRICES)
    assert isinstance(usage, EngineUsage)
    assert usage.cost_usd == pytest.approx((100 * 2 + 10 * 8) / 1e6)


@pytest.mark.parametrize(
    ("reply", "prices"),
    [(Says('{"count":3}'), {}), (Says('{"count":3}', counts_tokens=False), PRICES)],
)
def test_a_cost_that_is_not_known_is_null(reply: Reply, prices: dict[str, float]) -> None:
    _, usage = metered(reply, **prices)
    assert isinstance(usage, EngineUsage)
    assert (usage.calls, usage.images, usage.cost_usd) == (1, 2, None)


@pytest.mark.parametrize("prices", [{"price_input": 1.0}, {"price_output": 1.0}, {"price_cached": 1.0}])
def test_half_a_price_table_is_a_mistake(prices: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="price_"):
        EngineSettings.model_validate({"model": "counter"} | prices)


def test_the_meter_hears_of_every_answer_also_where_the_ask_fails() -> None:
    heard, problem = metered(Says("no idea"), Says("still none"), **PRICES)
    assert isinstance(problem, Problem)
    assert [usage.completion_tokens for usage in heard] == [10, 10]
    assert all(usage.cost_usd == pytest.approx(280e-6) for usage in heard)


@pytest.mark.parametrize("reply", [Says(None, refusal="No."), Says("", finish_reason="length")])
def test_an_answer_of_no_use_is_paid_all_the_same(reply: Reply) -> None:
    heard, problem = metered(reply, **PRICES)
    assert isinstance(problem, Problem)
    assert [usage.prompt_tokens for usage in heard] == [100]


def test_a_call_that_was_not_answered_costs_nothing() -> None:
    heard, problem = metered(Fails(400), **PRICES)
    assert isinstance(problem, Problem)
    assert heard == []


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        ([Says('{"count":3}')], "ok"),
        ([Fails(500, {"retry-after-ms": "1"}), Says('{"count":3}')], "retried"),
        ([Says(None, refusal="No.")], "refused"),
        ([Fails(401)], "refused"),
        ([Garbage()], "invalid"),
        ([Says("no idea"), Says('{"count":3}')], "invalid"),
        ([Fails(429, {"Retry-After": "121"})], "rate_limited"),
        ([Fails(500, {"x-should-retry": "false"})], "unavailable"),
    ],
)
def test_calls_are_counted_by_how_they_ended(script: list[Reply], outcome: str) -> None:
    before = metric("engine_calls_total", outcome=outcome)
    metered(*script)
    assert metric("engine_calls_total", outcome=outcome) == before + 1


def test_metrics_count_what_usage_counts() -> None:
    names = {
        "engine_images_total": {},
        "engine_cost_usd_total": {},
        "engine_seconds_count": {},
        "engine_tokens_total": {"kind": "cached"},
    }
    before = {name: metric(name, **labels) for name, labels in names.items()}
    metered(Says('{"count":3}', cached_tokens=60), **PRICES)
    after = {name: metric(name, **labels) - before[name] for name, labels in names.items()}
    assert after == pytest.approx(
        {
            "engine_images_total": 2,
            "engine_cost_usd_total": 280e-6,
            "engine_seconds_count": 1,
            "engine_tokens_total": 60,
        }
    )
    assert metric("engine_in_flight") == 0
