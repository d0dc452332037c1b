"""What one tenant stores no other finds; that the store is down they learn together."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from dtwinseger.api import SegmentOptions
from gateway.build import Tombstone
from gateway.cache import Cache
from gateway.keys import of_tenant, twin_id
from gateway.store import open_store


def with_cache(url: str, work: Callable[[Cache], Awaitable[None]]) -> None:
    async def run() -> None:
        store = open_store(url)
        try:
            await work(Cache(store, 60))
        finally:
            await store.close()

    asyncio.run(run())


def test_tenants_share_no_value_no_lock_and_no_set(store_url: str) -> None:
    async def work(cache: Cache) -> None:
        acme, globex = cache.of("acme"), cache.of("globex")
        await acme.put("twin:1", Tombstone.now())
        await acme.include("asked:1", "mine", 9)
        assert await acme.lock("lock:1", "us", 5)
        assert await globex.get("twin:1", Tombstone) is None
        assert await globex.members("asked:1") == []
        assert await globex.holder("lock:1") is None
        assert await globex.lock("lock:1", "them", 5)
        await globex.delete("twin:1")
        assert await acme.get("twin:1", Tombstone) is not None
        assert await acme.holder("lock:1") == "us"
        assert await cache.of("acme").members("asked:1") == ["mine"]

    with_cache(store_url, work)


def test_a_store_that_is_down_rests_for_all_tenants(tmp_path: Path) -> None:
    broken = tmp_path / "twins.sqlite"
    broken.write_bytes(b"no database" * 1000)

    async def work(cache: Cache) -> None:
        assert cache.last_error is None
        assert await cache.of("acme").get("twin:1", Tombstone) is None
        assert cache.last_error
        assert cache.of("globex").last_error == cache.last_error

    with_cache(f"sqlite:///{broken}", work)


def test_a_key_names_its_kind_and_its_tenant() -> None:
    assert of_tenant("acme", "twin:1") == "twin:acme:1"
    assert of_tenant("a", "b:c") != of_tenant("a-b", "c")


def test_an_id_depends_on_its_tenant() -> None:
    ids = {twin_id(tenant, "0" * 64, "the mug", SegmentOptions(), []) for tenant in ("acme", "globex", "public")}
    assert len(ids) == 3
