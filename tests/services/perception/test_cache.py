"""A cache keeps what was used last, within its bytes."""

import pytest
from prometheus_client import REGISTRY

from services.perception.cache import LEAST_BYTES, ByteBudget

KB = LEAST_BYTES


def kept(cache: ByteBudget[str], *keys: str) -> list[str]:
    """Those of `keys` that the cache still has."""
    return [key for key in keys if cache.get(key) is not None]


def reads(cache: str, result: str) -> float:
    return REGISTRY.get_sample_value("perception_cache_reads_total", {"cache": cache, "result": result}) or 0


def test_a_value_that_was_put_is_got() -> None:
    cache = ByteBudget[str]("tested", 10 * KB)
    assert cache.get("a") is None
    cache.put("a", "an embedding", 4 * KB)
    assert cache.get("a") == "an embedding"
    assert cache.nbytes == 4 * KB


def test_past_the_budget_the_value_used_longest_ago_goes() -> None:
    cache = ByteBudget[str]("tested", 10 * KB)
    for key in "abc":
        cache.put(key, key, 3 * KB)
    cache.get("a")
    cache.put("d", "d", 3 * KB)
    assert kept(cache, *"abcd") == ["a", "c", "d"]
    assert cache.nbytes == 9 * KB


def test_a_large_value_displaces_as_many_as_it_must() -> None:
    cache = ByteBudget[str]("tested", 10 * KB)
    for key in "abc":
        cache.put(key, key, 3 * KB)
    cache.put("d", "d", 7 * KB)
    assert kept(cache, *"abcd") == ["c", "d"]
    assert cache.nbytes == 10 * KB


def test_a_replaced_value_counts_once() -> None:
    cache = ByteBudget[str]("tested", 10 * KB)
    cache.put("a", "old", 6 * KB)
    cache.put("b", "b", 2 * KB)
    cache.put("a", "new", 8 * KB)
    assert (cache.get("a"), cache.get("b")) == ("new", "b")
    assert cache.nbytes == 10 * KB


def test_a_value_over_the_whole_budget_is_not_kept_and_displaces_nothing_else() -> None:
    cache = ByteBudget[str]("tested", 10 * KB)
    cache.put("a", "old", 3 * KB)
    cache.put("b", "b", 3 * KB)
    cache.put("a", "new", 10 * KB + 1)
    assert kept(cache, "a", "b") == ["b"]
    assert cache.nbytes == 3 * KB


@pytest.mark.parametrize("nbytes", [0, 1, KB])
def test_a_budget_of_nothing_keeps_nothing(nbytes: int) -> None:
    cache = ByteBudget[str]("tested", 0)
    cache.put("a", "a", nbytes)
    assert cache.get("a") is None
    assert cache.nbytes == 0


def test_empty_values_do_not_outgrow_the_budget() -> None:
    cache = ByteBudget[str]("tested", 10 * KB)
    keys = [str(i) for i in range(100)]
    for key in keys:
        cache.put(key, "", 0)
    assert kept(cache, *keys) == keys[-10:]


def test_hits_and_misses_are_counted_by_cache() -> None:
    hits, misses, elsewhere = reads("tested", "hit"), reads("tested", "miss"), reads("another", "hit")
    cache = ByteBudget[str]("tested", 10 * KB)
    cache.put("a", "a", KB)
    for key in "aab":
        cache.get(key)
    assert (reads("tested", "hit") - hits, reads("tested", "miss") - misses) == (2, 1)
    assert reads("another", "hit") == elsewhere
