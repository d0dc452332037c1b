"""The breaker by a clock that the test moves."""

import pytest

from dtwinseger.service.engine.breaker import Breaker


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(clock: Clock) -> Breaker:
    """One that opened this moment, after three failures, for ten seconds."""
    breaker = Breaker(3, 10.0, clock)
    for _ in range(3):
        assert breaker.admit()
        breaker.failed()
    return breaker


def test_failures_that_are_not_in_a_row_keep_it_closed(clock: Clock) -> None:
    breaker = Breaker(3, 10.0, clock)
    for _ in range(5):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert not breaker.open
    assert breaker.remaining() == 0
    assert breaker.admit()


def test_failures_in_a_row_open_it_and_it_says_for_how_long(opened: Breaker, clock: Clock) -> None:
    assert opened.open
    assert not opened.admit()
    clock.now += 4
    assert not opened.admit()
    assert opened.remaining() == 6
    assert str(opened) == "the engine failed 3 times in a row; trying again in 6 s"


def test_after_the_pause_one_call_is_let_through(opened: Breaker, clock: Clock) -> None:
    clock.now += 10
    assert opened.remaining() == 0
    assert [opened.admit() for _ in range(3)] == [True, False, False]


def test_a_probe_that_succeeds_closes_it(opened: Breaker, clock: Clock) -> None:
    clock.now += 10
    opened.admit()
    opened.succeeded()
    assert [opened.admit() for _ in range(3)] == [True, True, True]


def test_a_probe_that_fails_opens_it_for_another_pause(opened: Breaker, clock: Clock) -> None:
    clock.now += 10
    opened.admit()
    clock.now += 5
    opened.failed()
    assert opened.remaining() == 10
    assert "4 times" in str(opened)


def test_a_probe_that_never_ends_is_followed_by_another(opened: Breaker, clock: Clock) -> None:
    clock.now += 10
    assert opened.admit()
    clock.now += 10
    assert opened.admit()


def test_a_call_from_before_that_succeeds_closes_it(opened: Breaker) -> None:
    opened.succeeded()
    assert opened.admit()
