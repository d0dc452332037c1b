"""Server-Timing on the answers of `POST /segment`."""

import re

from gateway.timing import server_timing
from tests.gateway.conftest import Gateway

STAGES = {"perception", "granularity", "semantics", "reasoning"}


def told(header: str) -> dict[str, tuple[float, bool]]:
    """Stage -> milliseconds, and whether it was cached."""
    entries = [re.fullmatch(r'(\w+);dur=([\d.]+)(;desc="cached")?', entry) for entry in header.split(", ")]
    return {entry[1]: (float(entry[2]), bool(entry[3])) for entry in entries if entry}


def test_stages_in_milliseconds_and_the_cached_marked() -> None:
    header = server_timing({"perception": 812.34, "reasoning": 0.0, "total": 1_234_567.0}, ["answer"])
    assert header == 'perception;dur=812.34, reasoning;dur=0;desc="cached", total;dur=1234567'
    assert server_timing({}, []) == ""


def test_an_answer_tells_its_stages_and_a_stored_one_that_they_cost_nothing(front: Gateway) -> None:
    built = front.segment()
    times = told(built.headers["server-timing"])
    assert set(times) == STAGES | {"total"}
    assert not any(cached for _, cached in times.values())
    assert times["total"][0] == built.json()["timings_ms"]["total"]
    again = told(front.segment().headers["server-timing"])
    assert {stage for stage, (_, cached) in again.items() if cached} == STAGES


def test_a_mask_alone_has_it_too(front: Gateway) -> None:
    mask = front.segment(query="the cup", Accept="image/png")
    assert mask.headers["content-type"] == "image/png"
    assert set(told(mask.headers["server-timing"])) == STAGES | {"total"}
