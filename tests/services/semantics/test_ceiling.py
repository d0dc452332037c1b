"""The ceiling of a request: what it lets through, what it leaves out, and what it says of that."""

from typing import Any

import numpy as np
import pytest

from dtwinseger import api
from dtwinseger.twin import Mask
from tests.doubles.openai_server import Says
from tests.services.semantics.conversation import (
    HEIGHT,
    MUG,
    SAYS_MUG,
    WIDTH,
    asked_about,
    describe,
    describes_all,
    masks,
    told,
)

# A call costs 100 tokens of input and 10 of output: 0.001 USD.
PRICES = {"SEMANTICS_ENGINE_PRICE_INPUT": "5", "SEMANTICS_ENGINE_PRICE_OUTPUT": "50"}


def request(shown: tuple[api.DescribedMask, ...], **options: Any) -> api.SemanticsRequest:
    return api.SemanticsRequest(query="the mug", masks=shown, options=api.SemanticsOptions(**options))


def left_out(lines: dict[int, api.SemanticsLine]) -> dict[int, tuple[str, str]]:
    """Code and detail of each line with an error, by index."""
    return {index: (line.error.code, line.error.detail) for index, line in lines.items() if line.error}


@pytest.mark.parametrize("in_flight", ["1", "8"])
def test_masks_beyond_max_calls_are_left_out_and_said_to_be(service: Any, in_flight: str) -> None:
    url, engine = service(SAYS_MUG, SEMANTICS_ENGINE_MAX_IN_FLIGHT=in_flight)
    lines, end = told(describe(url, request(masks(15), max_calls=10)))
    assert left_out(lines) == dict.fromkeys(range(11, 16), ("rate_limited", "left out: max_calls 10 reached"))
    assert len(engine.requests) == end.usage.calls == 10


def test_the_largest_masks_are_asked_about_first(service: Any) -> None:
    shown = []
    for index, size in ((1, 5), (2, 20), (3, 12)):
        mask = np.zeros((HEIGHT, WIDTH), dtype=np.bool_)
        mask[:size, :size] = True
        shown.append(api.DescribedMask(index=index, mask=Mask.encode(mask)))
    url, engine = service(SAYS_MUG)
    lines, _ = told(describe(url, request(tuple(shown), max_calls=2)))
    assert [asked_about(body) for body in engine.requests] == [[2], [3]]
    assert list(left_out(lines)) == [1]


def test_a_call_made_again_counts(service: Any) -> None:
    url, engine = service(Says("{}"), SAYS_MUG)
    lines, end = told(describe(url, request(masks(5), max_calls=4)))
    assert end.usage.calls == len(engine.requests) == 4
    assert sorted(left_out(lines)) == [4, 5]


@pytest.mark.parametrize("in_flight", ["1", "8"])
def test_only_the_second_call_of_the_last_ask_passes_the_ceiling(service: Any, in_flight: str) -> None:
    url, engine = service(Says("{}"), SEMANTICS_ENGINE_MAX_IN_FLIGHT=in_flight)
    _, end = told(describe(url, request(masks(9), max_calls=7)))
    assert end.usage.calls == len(engine.requests) == 8


@pytest.mark.parametrize("in_flight", ["1", "8"])
def test_masks_beyond_max_cost_are_left_out(service: Any, in_flight: str) -> None:
    url, engine = service(SAYS_MUG, SEMANTICS_ENGINE_MAX_IN_FLIGHT=in_flight, **PRICES)
    lines, end = told(describe(url, request(masks(12), max_cost_usd=0.005)))
    assert end.usage.cost_usd == pytest.approx(0.005)
    assert len(engine.requests) == 5
    assert left_out(lines) == dict.fromkeys(range(6, 13), ("rate_limited", "left out: max_cost_usd 0.005 reached"))


def test_a_cost_that_the_engine_does_not_tell_ends_the_asking(service: Any) -> None:
    url, engine = service(Says(SAYS_MUG.text, counts_tokens=False), **PRICES)
    lines, end = told(describe(url, request(masks(3), max_cost_usd=1.0)))
    assert lines[1].semantics == api.Semantics(**MUG)
    assert sorted(left_out(lines)) == [2, 3]
    assert "does not count" in left_out(lines)[2][1]
    assert (end.usage.calls, end.usage.cost_usd) == (len(engine.requests), None) == (1, None)


def test_what_is_affordable_is_asked_about_in_batches_too(service: Any) -> None:
    url, engine = service(Says(describes_all))
    lines, _ = told(describe(url, request(masks(9), batch=3, max_calls=2)))
    assert sorted(left_out(lines)) == [7, 8, 9]
    assert len(engine.requests) == 2


def test_a_batch_taken_apart_stays_below_the_ceiling(service: Any) -> None:
    def invalid_for_many(body: dict[str, Any]) -> str:
        return "no" if len(asked_about(body)) > 1 else describes_all(body)

    url, engine = service(Says(invalid_for_many))
    lines, _ = told(describe(url, request(masks(4), batch=4, max_calls=4)))
    assert len(engine.requests) == 4
    assert sorted(left_out(lines)) == [3, 4]


def test_votes_that_the_ceiling_leaves_out_are_done_without(service: Any) -> None:
    url, engine = service(SAYS_MUG)
    lines, _ = told(describe(url, request(masks(2), votes=3, max_calls=4)))
    assert not left_out(lines)
    assert len(engine.requests) == 4


def test_a_ceiling_that_is_not_reached_changes_nothing(service: Any) -> None:
    url, engine = service(SAYS_MUG, latency_s=0.05, SEMANTICS_ENGINE_MAX_IN_FLIGHT="4", **PRICES)
    lines, _ = told(describe(url, request(masks(6), max_calls=100, max_cost_usd=1.0)))
    assert not left_out(lines)
    assert len(engine.requests) == 6
    assert engine.most_at_once >= 2
