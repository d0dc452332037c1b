"""How gateways that share a store share the work: one leads a build and tells the store, the others follow.

The leader holds a lock that runs out soon after it has died; then the next one that wants the twin leads, and repeats
only the stages that are missing.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from dtwinseger.problems import Problem
from dtwinseger.service.middleware import request_id
from dtwinseger.twin import DigitalTwin
from gateway.cache import Cache
from gateway.journal import Journal, Snapshot

LOCK_TTL_S = 5.0
BEAT_S = 0.5  # between two signs of life of a leader
LOOK_S = 0.15  # between two looks of a follower
_REMOVED = "removed"  # who holds the lock of a twin that must not be built on

Stop = Callable[[Problem], None]


@asynccontextmanager
async def leading(cache: Cache, journal: Journal, stop: Stop) -> AsyncIterator[None]:
    """Keep the lock, which `journal.token` holds, and the journal in the store while the body builds the twin.

    A Problem of the body stays in the store, unless somebody removes the twin: then `stop` is called.
    """
    status = f"status:{journal.identity}"
    beats = asyncio.create_task(_beat(cache, journal, stop))
    try:
        await cache.put(status, journal.snapshot())
        yield
    except Problem as problem:
        await _end(beats)
        if await cache.holder(_lock(journal.identity)) == _REMOVED:
            await cache.discard(status)
        else:
            await cache.put(status, journal.snapshot(problem.details(request_id.get())))
        raise
    except BaseException:
        await _end(beats)
        await cache.discard(status)
        raise
    else:
        await _end(beats)
        await cache.discard(status)
    finally:
        await cache.unlock(_lock(journal.identity), journal.token)


async def lead(cache: Cache, journal: Journal) -> bool:
    """Take the lock of the twin; False where another gateway, or another build of this one, leads."""
    return await cache.lock(_lock(journal.identity), journal.token, LOCK_TTL_S)


async def follow(cache: Cache, journal: Journal) -> DigitalTwin | None:
    """Repeat the leader's journal until it ends: its twin, or None where it has left the work to others.

    Raises the Problem that the leader met; only its deadline is its own.
    """
    status = f"status:{journal.identity}"
    leader = holder = await cache.holder(_lock(journal.identity))
    while holder is not None:
        snapshot = await cache.get(status, Snapshot)
        if snapshot is not None and snapshot.status.status == "building":
            journal.repeat(snapshot)
        await asyncio.sleep(LOOK_S)
        before, holder = holder, await cache.holder(_lock(journal.identity))
        if holder == _REMOVED != before:
            raise removed()
    if leader == _REMOVED:  # what was removed may be built anew
        return None
    snapshot = await cache.get(status, Snapshot)
    if snapshot is not None and (told := snapshot.status.problem):
        if told.code == "deadline_exceeded":
            return None
        raise Problem(told.code, told.detail)
    return await cache.get(f"twin:{journal.identity}", DigitalTwin)


async def standing(cache: Cache, identity: str) -> Snapshot | None:
    """How the build of a twin stands in the store; one whose leader has died has failed."""
    snapshot = await cache.get(f"status:{identity}", Snapshot)
    if snapshot is None or snapshot.status.status == "failed" or await cache.holder(_lock(identity)) is not None:
        return snapshot
    detail = "the gateway stopped before the twin was ready; send the request again: finished stages are not repeated"
    problem = Problem("upstream_unavailable", detail).details(request_id.get())
    return snapshot.model_copy(
        update={"status": snapshot.status.model_copy(update={"status": "failed", "problem": problem})}
    )


async def remove(cache: Cache, identity: str) -> None:
    """Stop the build of a twin wherever it is, and whoever follows it. Raises Problem `storage_unavailable`."""
    if await cache.holder(_lock(identity)) is not None:
        await cache.seize(_lock(identity), _REMOVED, 2 * BEAT_S)
    await cache.delete(f"status:{identity}")


def removed() -> Problem:
    """What a build ends with whose twin is removed."""
    return Problem("gone", "this twin was removed while it was being built")


async def _beat(cache: Cache, journal: Journal, stop: Stop) -> None:
    """Hold the lock and tell how things stand. A lock that another took meanwhile is no reason to throw work away."""
    told: Snapshot | None = None
    while True:
        await asyncio.sleep(BEAT_S)
        if (snapshot := journal.snapshot()) != told:
            await cache.put(f"status:{journal.identity}", told := snapshot)
        held = await cache.lock(_lock(journal.identity), journal.token, LOCK_TTL_S)
        if not held and await cache.holder(_lock(journal.identity)) == _REMOVED:
            stop(removed())
            return


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _lock(identity: str) -> str:
    return f"lock:{identity}"
