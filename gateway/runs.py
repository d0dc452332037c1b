"""Builds at work: each twin is built once, whoever asks for it and through whichever gateway."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from os import cpu_count
from time import perf_counter
from typing import Any, TypeVar

from dtwinseger.images import decode_image
from dtwinseger.problems import Problem
from dtwinseger.service.admission import Admission
from dtwinseger.service.app import as_problem
from dtwinseger.service.deadline import deadline
from gateway.build import Order, Outcome
from gateway.handoff import follow, lead, leading
from gateway.journal import Journal
from gateway.pipeline import build_twin
from gateway.twins import find_whole, keep_image
from gateway.upstream import Services

T = TypeVar("T")

UNTOLD_S = 30.0  # for which an outcome that is not in the store waits for those who were answered 202


class Run:
    """One twin in the making, and those who wait for it."""

    def __init__(self, order: Order, until: float) -> None:
        self.order = order
        self.journal = Journal(order.identity, order.asked.query)
        self.until = until  # on the loop's clock, the latest deadline of those who wait
        self.kept_on = False  # whether it goes on though nobody waits
        self.task: asyncio.Task[Outcome]
        self.accepted = asyncio.Event()  # the image is one, and the store says that its twin is being built
        self.stopped: Problem | None = None
        self._waiting = 0

    @asynccontextmanager
    async def watched(self, linger_s: float = 0.0) -> AsyncIterator[None]:
        """Wait for the run; `linger_s` seconds after the last one has stopped waiting it is cancelled."""
        self._waiting += 1
        try:
            yield
        finally:
            if linger_s and not self.task.done():
                asyncio.get_running_loop().call_later(linger_s, self._leave)
            else:
                self._leave()

    async def acceptance(self) -> None:
        """Wait until the image is known to be one and the twin can be asked for. Raises Problem where it is none."""
        accepted = asyncio.ensure_future(self.accepted.wait())
        try:
            await asyncio.wait({accepted, self.task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            accepted.cancel()
        if not self.accepted.is_set():
            await self.outcome()

    async def outcome(self) -> Outcome:
        """What the run comes to. Raises the Problem that it ends with; cancelling this leaves the run alone."""
        await asyncio.wait({self.task})
        if self.task.cancelled():
            raise Problem("overloaded", "the work on this twin was given up; send the request again", retry_after=1)
        return self.task.result()

    async def stop(self, problem: Problem) -> None:
        """End the run with a problem, which the store then tells."""
        self.give_up(problem)
        await asyncio.wait({self.task})

    def give_up(self, problem: Problem) -> None:
        """`stop`, without waiting for the end."""
        if not self.task.done():
            self.stopped = problem
            self.task.cancel()

    def _leave(self) -> None:
        self._waiting -= 1
        if not self._waiting and not self.kept_on:
            self.task.cancel()


class Runs:
    """The runs of this process."""

    def __init__(self, services: Services, admission: Admission) -> None:
        self._services = services
        self._admission = admission
        self._decoding = asyncio.Semaphore(cpu_count() or 1)  # an image takes up to 120 MB
        self._runs: dict[tuple[str, bool], Run] = {}
        self._untold: dict[tuple[str, bool], Run] = {}

    def join(self, order: Order, seconds: float) -> tuple[Run, bool]:
        """The run that comes to the twin, and whether it begins with this; it has at least `seconds` from now.

        Whoever joins enters `watched` before awaiting anything else.
        """
        until = asyncio.get_running_loop().time() + seconds
        key = (order.identity, order.asked.size is None)  # a stored image cannot be proposed on, an upload can
        run = self._runs.get(key)
        if run is not None and not run.task.cancelling():
            run.until = max(run.until, until)
            return run, False
        run = self._runs[key] = Run(order, until)
        run.task = asyncio.create_task(self._make(run))
        run.task.add_done_callback(lambda task: self._ended(key, run))
        return run, True

    def find(self, tenant: str, identity: str) -> Run | None:
        """The run that makes this twin of the tenant's in this process."""
        run = self._runs.get((identity, True)) or self._runs.get((identity, False))
        return run if run and run.order.cache.tenant == tenant else None

    def untold(self, tenant: str, identity: str) -> Run | None:
        """The run of this twin that has just ended here, where the store could not take what it came to."""
        run = self._untold.get((identity, True)) or self._untold.get((identity, False))
        return run if run and run.order.cache.tenant == tenant else None

    async def close(self) -> None:
        """End all runs; what they have finished is in the store."""
        detail = "the gateway is stopping; send the request again: finished stages are not repeated"
        problem = Problem("overloaded", detail, retry_after=1)
        await asyncio.gather(*(run.stop(problem) for run in list(self._runs.values())))

    def _ended(self, key: tuple[str, bool], run: Run) -> None:
        run.journal.close()
        if self._runs.get(key) is run:
            del self._runs[key]
        if run.task.cancelled():
            return
        run.task.exception()  # whoever waits raises it; where nobody does, the store tells it
        if run.order.cache.last_error:
            run.order = replace(run.order, asked=replace(run.order.asked, data=b""))
            self._untold[key] = run
            asyncio.get_running_loop().call_later(UNTOLD_S, self._untold.pop, key, None)

    async def _make(self, run: Run) -> Outcome:
        """The twin from the store, else by building it. Raises Problem `overloaded` where that has no place."""
        started = perf_counter()
        if twin := await find_whole(run.order.cache, run.order.identity):
            return Outcome.stored(twin, started)
        with self._admission.place():
            size: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()
            kept = asyncio.create_task(self._keep(run.order, size))
            kept.add_done_callback(lambda task: task.cancelled() or task.exception())  # who awaits it raises it
            try:
                either: list[asyncio.Future[Any]] = [kept, size]
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if not size.done():
                    await kept  # raises: it is no image
                return await self._lead_or_follow(run, size.result(), kept, started)
            finally:
                kept.cancel()

    async def _lead_or_follow(
        self, run: Run, size: tuple[int, int], kept: asyncio.Task[None], started: float
    ) -> Outcome:
        order, cache = run.order, run.order.cache

        async def build() -> Outcome:
            async with self._admission.turn():
                return await build_twin(self._services, order, size, kept, run.journal)

        while True:
            if await lead(cache, run.journal):
                async with leading(cache, run.journal, run.give_up):
                    run.accepted.set()
                    if twin := await find_whole(cache, order.identity):  # whoever led before has just finished
                        return Outcome.stored(twin, started)
                    return await _as_problems(run, lambda: _in_time(run, build))
            run.accepted.set()
            if twin := await _as_problems(run, lambda: _in_time(run, lambda: follow(cache, run.journal))):
                return Outcome.stored(twin, started)

    async def _keep(self, order: Order, size: asyncio.Future[tuple[int, int]]) -> None:
        """Tell the (height, width) of the image, then store it, upright, unless it is there."""
        if order.asked.size:
            size.set_result(order.asked.size)
            return
        async with self._decoding:
            image = await asyncio.to_thread(decode_image, order.asked.data)
            size.set_result(image.size)
            await keep_image(order.cache, order.asked.sha256, image.pixels)


async def _in_time(run: Run, work: Callable[[], Awaitable[T]]) -> T:
    """`work` until the run's deadline; begun again where somebody with a later one has joined meanwhile."""
    loop = asyncio.get_running_loop()
    while True:
        until = run.until
        try:
            async with deadline(until - loop.time()):
                return await work()
        except Problem as problem:
            if problem.code != "deadline_exceeded" or run.until <= until:
                raise


async def _as_problems(run: Run, work: Callable[[], Awaitable[T]]) -> T:
    """Whatever ends `work` as a Problem, but for the cancellation of a run that nobody waits for."""
    try:
        return await work()
    except asyncio.CancelledError:
        if not run.stopped:
            raise
        run.task.uncancel()
        raise run.stopped from None
    except Exception as error:
        raise as_problem(error) from error
