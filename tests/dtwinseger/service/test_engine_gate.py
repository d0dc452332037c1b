"""The gate: all wait where one was asked to, and nobody longer than they can."""

import asyncio
import time

import pytest

from dtwinseger.service.engine.gate import EASE, LEAST_PACE_S, Gate


def test_an_open_gate_holds_nobody() -> None:
    async def leave() -> list[float | None]:
        gate = Gate()
        return [await gate.passed(0.0) for _ in range(3)]

    assert None not in asyncio.run(leave())


def test_a_shut_gate_holds_a_call_until_it_opens() -> None:
    async def leave() -> float:
        gate = Gate()
        gate.shut(0.1, sent_at=0)
        started = time.monotonic()
        assert await gate.passed(1.0) is not None
        return time.monotonic() - started

    assert 0.1 <= asyncio.run(leave()) < 1.0


def test_the_longest_wait_that_was_asked_for_counts() -> None:
    now = 0.0
    gate = Gate(lambda: now)
    gate.shut(9.0, sent_at=0)
    gate.shut(1.0, sent_at=0)
    assert gate.remaining() == 9.0


def test_a_call_that_cannot_wait_so_long_is_told_at_once() -> None:
    async def leave() -> float | None:
        gate = Gate()
        gate.shut(60.0, sent_at=0)
        async with asyncio.timeout(5):
            return await gate.passed(30.0)

    assert asyncio.run(leave()) is None


def test_a_call_that_waits_can_be_cancelled() -> None:
    async def leave() -> None:
        gate = Gate()
        gate.shut(60.0, sent_at=0)
        async with asyncio.timeout(0.05):
            await gate.passed(100.0)

    with pytest.raises(TimeoutError):
        asyncio.run(leave())


def test_calls_leave_a_gate_that_was_shut_one_by_one() -> None:
    async def leave() -> list[float]:
        gate = Gate()
        gate.shut(0.01, sent_at=0)
        times = await asyncio.gather(*(gate.passed(10.0) for _ in range(3)))
        return sorted(at for at in times if at is not None)

    first, second, third = asyncio.run(leave())
    assert second - first >= LEAST_PACE_S
    assert third - second >= LEAST_PACE_S


class Paced:
    """A gate whose clock stands still but for `leave`."""

    def __init__(self) -> None:
        self.now = 100.0
        self.gate = Gate(lambda: self.now)

    def leave(self) -> tuple[float, float]:
        """Let a call through as soon as may be: when that was, and the pace after it, seconds."""
        self.now += self.gate.remaining()
        sent_at = asyncio.run(self.gate.passed(0.0))
        assert sent_at == self.now
        return sent_at, self.gate.remaining()


def test_refusals_at_a_pace_slow_it_and_answers_quicken_it() -> None:
    paced = Paced()
    paced.gate.shut(1.0, paced.now)
    sent_at, pace = paced.leave()
    assert (sent_at, pace) == (101.0, pytest.approx(LEAST_PACE_S))
    paced.gate.shut(1.0, sent_at)
    sent_at, pace = paced.leave()
    assert pace == pytest.approx(2 * LEAST_PACE_S)
    paced.gate.answered(sent_at)
    assert paced.leave()[1] == pytest.approx(2 * LEAST_PACE_S / EASE)


def test_many_refusals_of_calls_that_were_in_flight_together_slow_it_once() -> None:
    paced = Paced()
    for _ in range(8):
        paced.gate.shut(1.0, sent_at=99.0)
    assert paced.leave()[1] == pytest.approx(LEAST_PACE_S)


def test_answers_to_calls_from_before_it_was_shut_quicken_nothing() -> None:
    paced = Paced()
    paced.gate.shut(1.0, sent_at=99.0)
    for _ in range(100):
        paced.gate.answered(sent_at=99.0)
    assert paced.leave()[1] == pytest.approx(LEAST_PACE_S)


def test_after_many_good_answers_it_is_wide_open() -> None:
    paced = Paced()
    paced.gate.shut(1.0, paced.now)
    sent_at, _ = paced.leave()
    for _ in range(100):
        paced.gate.answered(sent_at)
    assert [paced.leave()[1] for _ in range(3)] == [0, 0, 0]
