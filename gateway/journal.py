"""What happens to a twin in the making, in order, for whoever watches."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from dtwinseger import api
from dtwinseger.problems import ProblemDetails


@dataclass(frozen=True)
class Event:
    """`name` is that of the server-sent event: stage, object, result or problem."""

    name: str
    data: BaseModel


class Snapshot(BaseModel):
    """A journal as the store holds it, so that another gateway can follow."""

    model_config = ConfigDict(frozen=True)

    status: api.TwinStatus
    seen: tuple[api.SeenObject, ...] = ()


class Journal:
    """The events of one build. `token` tells them from those of another journal about the same twin."""

    def __init__(self, identity: str, query: str) -> None:
        self.token = secrets.token_hex(8)
        self.identity = identity
        self._query = query
        self._created = datetime.now(UTC)
        self._events: list[Event] = []
        self._stages: dict[api.Stage, api.StageProgress] = {}
        self._seen: dict[int, api.SeenObject] = {}
        self._closed = False
        self._more = asyncio.Event()

    def stage(self, progress: api.StageProgress) -> None:
        """A stage has begun, got on, or ended."""
        if self._stages.get(progress.stage) != progress:
            self._stages[progress.stage] = progress
            self._tell(Event("stage", progress))

    def advance(self, stage: api.Stage, done: int, total: int) -> None:
        """A stage at work has done `done` of `total`."""
        self.stage(api.StageProgress(stage=stage, state="running", done=done, total=total))

    def end(self, stage: api.Stage, *, stored: bool, ms: float) -> None:
        """A stage has ended; its counts stay."""
        begun = self._stages.get(stage, api.StageProgress(stage=stage, state="running"))
        self.stage(begun.model_copy(update={"state": "stored" if stored else "done", "ms": ms}))

    def see(self, item: api.SeenObject) -> None:
        """An object has been described."""
        if self._seen.get(item.index) != item:
            self._seen[item.index] = item
            self._tell(Event("object", item))

    def repeat(self, snapshot: Snapshot) -> None:
        """Tell what the journal of another gateway holds and this one does not."""
        for progress in snapshot.status.stages:
            self.stage(progress)
        for item in snapshot.seen:
            self.see(item)

    def close(self) -> None:
        """Nothing more will happen."""
        self._closed = True
        self._wake()

    def snapshot(self, problem: ProblemDetails | None = None) -> Snapshot:
        """How things stand; with `problem`, how they ended."""
        running = [p.stage for p in self._stages.values() if p.state == "running"]
        status = api.TwinStatus(
            id=self.identity,
            status="failed" if problem else "building",
            query=self._query,
            created=self._created,
            stage=running[0] if running else None,
            stages=tuple(self._stages.values()),
            problem=problem,
        )
        return Snapshot(status=status, seen=tuple(self._seen.values()))

    async def read(self, after: int, silence_s: float) -> AsyncIterator[tuple[int, Event | None]]:
        """The events after number `after`, each with its number from 1, until the journal is closed.

        None instead of an event says that nothing happened for `silence_s` seconds.
        """
        number = after
        while True:
            more = self._more
            while number < len(self._events):
                number += 1
                yield number, self._events[number - 1]
            if self._closed:
                return
            try:
                async with asyncio.timeout(silence_s):
                    await more.wait()
            except TimeoutError:
                yield number, None

    def _tell(self, event: Event) -> None:
        self._events.append(event)
        self._wake()

    def _wake(self) -> None:
        self._more.set()
        self._more = asyncio.Event()
