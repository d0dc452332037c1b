"""Calls to a store end in time, and a late event loop is no late store."""

import asyncio
import time

import pytest

from gateway.store import STORE_TIMEOUT_S, StoreUnavailableError
from gateway.store.punctual import PunctualStore
from gateway.store.sqlite import SqliteStore


class Slow(SqliteStore):
    """Answers a get after so many turns of the event loop, or never."""

    def __init__(self, turns: int | None) -> None:
        super().__init__("unused")
        self.turns = turns
        self.cancelled = False

    async def get(self, key: str) -> bytes | None:
        try:
            if self.turns is None:
                await asyncio.Event().wait()
            for _ in range(self.turns or 0):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return b"value"


def test_a_store_that_does_not_answer_is_given_up() -> None:
    inner = Slow(None)

    async def ask() -> float:
        started = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="Slow did not answer within"):
            await PunctualStore(inner, "Slow").get("key")
        return time.monotonic() - started

    assert asyncio.run(ask()) >= STORE_TIMEOUT_S
    assert inner.cancelled


def test_an_event_loop_that_is_late_is_no_store_that_is_late() -> None:
    async def ask() -> bytes | None:
        loop = asyncio.get_running_loop()

        def block(left: int) -> None:
            time.sleep(0.3 * STORE_TIMEOUT_S)
            if left:
                loop.call_soon(block, left - 1)

        loop.call_soon(block, 5)
        return await PunctualStore(Slow(5), "Slow").get("key")

    assert asyncio.run(ask()) == b"value"


def test_who_leaves_takes_the_call_along() -> None:
    inner = Slow(None)

    async def leave() -> None:
        task = asyncio.create_task(PunctualStore(inner, "Slow").get("key"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(leave())
    assert inner.cancelled
