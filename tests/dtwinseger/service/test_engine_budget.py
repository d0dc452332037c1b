"""The retry budget: a share of all calls, after a reserve."""

import pytest

from dtwinseger.service.engine.budget import RetryBudget


def spent(budget: RetryBudget, most: int = 1000) -> int:
    """Retries that the budget pays for at once."""
    return sum(budget.spend() for _ in range(most))


def test_it_begins_with_its_reserve() -> None:
    assert spent(RetryBudget(0.2, 3)) == 3


def test_calls_earn_their_share_of_retries() -> None:
    budget = RetryBudget(0.2, 3)
    retries = 0
    for _ in range(1000):
        budget.earn()
        retries += budget.spend()
    assert retries == pytest.approx(3 + 200, abs=1)


def test_quiet_times_save_up_no_more_than_twice_the_reserve() -> None:
    budget = RetryBudget(0.2, 3)
    for _ in range(1000):
        budget.earn()
    assert spent(budget) == 6
