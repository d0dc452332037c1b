"""The gate: all wait where one was asked to, and nobody longer than they can."""

import asyncio
import heapq
import itertools
import time
from dataclasses import dataclass
from statistics import median

import pytest

from dtwinseger.service.engine.gate import EASE, LEAST_PACE_S, MOST_WAITS, OPEN_S, Departure, Gate
from tests.doubles.openai_server import Limit, rate, share

BEFORE = Departure(0.0, 0.0)  # of a call that left before the gate was shut


def test_an_open_gate_holds_nobody() -> None:
    async def leave() -> list[Departure | None]:
        gate = Gate()
        return [await gate.passed(0.0) for _ in range(3)]

    assert None not in asyncio.run(leave())


def test_a_shut_gate_holds_a_call_until_it_opens() -> None:
    async def leave() -> float:
        gate = Gate()
        gate.shut(0.1, BEFORE)
        started = time.monotonic()
        assert await gate.passed(1.0) is not None
        return time.monotonic() - started

    assert 0.1 <= asyncio.run(leave()) < 1.0


def test_the_longest_wait_that_was_asked_for_counts() -> None:
    now = 0.0
    gate = Gate(lambda: now)
    gate.shut(9.0, BEFORE)
    gate.shut(1.0, BEFORE)
    assert gate.remaining() == 9.0


def test_a_call_that_cannot_wait_so_long_is_told_at_once() -> None:
    async def leave() -> Departure | None:
        gate = Gate()
        gate.shut(60.0, BEFORE)
        async with asyncio.timeout(5):
            return await gate.passed(30.0)

    assert asyncio.run(leave()) is None


def test_a_call_that_waits_can_be_cancelled() -> None:
    async def leave() -> None:
        gate = Gate()
        gate.shut(60.0, BEFORE)
        async with asyncio.timeout(0.05):
            await gate.passed(100.0)

    with pytest.raises(TimeoutError):
        asyncio.run(leave())


def test_calls_leave_a_gate_that_was_shut_one_by_one() -> None:
    async def leave() -> list[float]:
        gate = Gate()
        gate.shut(0.01, BEFORE)
        times = await asyncio.gather(*(gate.passed(10.0) for _ in range(3)))
        return sorted(left.at for left in times if left is not None)

    first, second, third = asyncio.run(leave())
    assert second - first >= LEAST_PACE_S
    assert third - second >= LEAST_PACE_S


class Paced:
    """A gate whose clock stands still but for `leave`."""

    def __init__(self) -> None:
        self.now = 100.0
        self.gate = Gate(lambda: self.now)

    def leave(self) -> Departure:
        """Let a call through as soon as may be."""
        self.now += self.gate.remaining()
        left = asyncio.run(self.gate.passed(0.0))
        assert left is not None
        assert left == Departure(self.now, pytest.approx(self.gate.remaining()))
        return left


def test_refusals_at_a_pace_slow_it_and_answers_quicken_it() -> None:
    paced = Paced()
    paced.gate.shut(1.0, BEFORE)
    left = paced.leave()
    assert left == Departure(101.0, pytest.approx(LEAST_PACE_S))
    paced.gate.shut(1.0, left)
    left = paced.leave()
    assert left.pace_s == pytest.approx(2 * LEAST_PACE_S)
    paced.gate.answered(left)
    assert paced.leave().pace_s == pytest.approx(2 * LEAST_PACE_S / EASE)


def test_many_refusals_of_calls_that_were_in_flight_together_slow_it_once() -> None:
    paced = Paced()
    for _ in range(8):
        paced.gate.shut(1.0, BEFORE)
    assert paced.leave().pace_s == pytest.approx(LEAST_PACE_S)


def test_answers_to_calls_from_before_it_was_shut_quicken_nothing() -> None:
    paced = Paced()
    paced.gate.shut(1.0, BEFORE)
    for _ in range(100):
        paced.gate.answered(BEFORE)
    assert paced.leave().pace_s == pytest.approx(LEAST_PACE_S)


def test_after_many_good_answers_it_is_wide_open() -> None:
    paced = Paced()
    paced.gate.shut(1.0, BEFORE)
    left = paced.leave()
    for _ in range(100):
        paced.gate.answered(left)
    assert [paced.leave().pace_s for _ in range(3)] == [0, 0, 0]


def test_the_pace_grows_no_further_than_the_waits_that_are_asked_for_suggest() -> None:
    paced = Paced()
    paces = []
    for wait in (1.0, *[0.1] * 8):
        left = paced.leave()
        paces.append(left.pace_s)
        paced.gate.shut(wait, left)
    assert max(paces) == pytest.approx(MOST_WAITS * 1.0)


def test_an_engine_that_refuses_calls_however_slow_is_left_to_each_call() -> None:
    paced = Paced()
    for _ in range(20):
        paced.gate.shut(0.1, paced.leave())
    assert paced.gate.remaining() == 0
    assert paced.leave().pace_s == 0


def test_an_engine_that_was_left_to_each_call_is_heeded_again_later() -> None:
    paced = Paced()
    for _ in range(20):
        paced.gate.shut(0.1, paced.leave())
    paced.now += OPEN_S
    paced.gate.shut(5.0, paced.leave())
    assert paced.gate.remaining() == 5.0


# --- a client of 8 calls at once, 0.2 s each, that tries again whatever is refused ---


@dataclass(frozen=True)
class Done:
    """What it took: calls beyond the first of each, as a share, and seconds."""

    extra: float
    seconds: float


def worked_off(limit: Limit, calls: int) -> Done:
    """Let so many calls through a gate, before an engine of that limit, on a clock of their own."""
    now, made, waiting, answered = 0.0, 0, calls, 0
    gate = Gate(lambda: now)
    events: list[tuple[float, int, Departure | None, float]] = []  # when, in which order, left, wait: 0 is an answer
    order = itertools.count()

    def soon(at: float, left: Departure | None = None, wait: float = 0.0) -> None:
        heapq.heappush(events, (at, next(order), left, wait))

    for _ in range(8):
        soon(now)
        waiting -= 1
    while answered < calls:
        now, _, left, wait = heapq.heappop(events)
        if left is None:
            if gate.remaining() > 0:
                soon(now + gate.remaining() + 1e-9)
                continue
            left = asyncio.run(gate.passed(0.0))
            made += 1
            asked = limit(made, now)
            soon(now + (0.2 if asked is None else 0.005), left, asked or 0.0)
        elif wait:
            gate.shut(wait, left)
            soon(now + wait)
        else:
            gate.answered(left)
            answered += 1
            if waiting:
                waiting -= 1
                soon(now)
    return Done(made / calls - 1, now)


@pytest.mark.parametrize(("a_second", "burst"), [(25, 8), (10, 8), (5, 4), (2, 1), (1, 1)])
def test_a_limit_of_a_rate_is_kept_with_few_refusals(a_second: float, burst: int) -> None:
    done = worked_off(rate(a_second, burst), 200)
    assert done.extra <= 0.2
    assert done.seconds <= 1.6 * 200 / a_second


@pytest.mark.parametrize("part", [0.1, 0.3, 0.5])
def test_refusals_by_dice_do_not_slow_the_calls_down_for_long(part: float) -> None:
    seconds = [worked_off(share(part, 0.2, seed), 40).seconds for seed in range(20)]
    assert median(seconds) < 8
    assert max(seconds) < 20
