"""The one thread that owns the device: jobs wait in a bounded queue, and those that wait are taken together."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from traceback import clear_frames
from typing import Generic, TypeVar

import structlog
import torch

from dtwinseger.problems import Problem
from dtwinseger.service.deadline import remaining
from dtwinseger.service.telemetry import span
from services.perception import metrics

log = structlog.get_logger()
Job = TypeVar("Job")
Result = TypeVar("Result")

LATEST = 0.3  # weight of the latest batch in the time that a job takes


@dataclass(frozen=True)
class Taken(Generic[Job]):
    """A job at work."""

    job: Job
    abandoned: Callable[[], bool]  # whether nobody waits for it any more: the caller left, the deadline passed


@dataclass(eq=False)
class _Waiting(Generic[Job, Result]):
    job: Job
    answer: "asyncio.Future[Result | Exception]"  # an exception is a result here, so that asyncio never misses one
    gone: threading.Event = field(default_factory=threading.Event)
    since: float = field(default_factory=monotonic)
    waited_s: float = 0.0  # until it was taken
    beside: int = 0  # jobs that were taken with it

    def settle(self, outcome: Result | Exception) -> None:
        """Hand the outcome to whoever waits for it, if anyone does; from any thread."""
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self.answer.get_loop().call_soon_threadsafe(self._deliver, outcome)

    def _deliver(self, outcome: Result | Exception) -> None:
        if not self.answer.done():
            self.answer.set_result(outcome)


class Device(Generic[Job, Result]):
    """Runs `work` on a thread of its own, from now until `close`.

    work: from the jobs taken, at least one and in the order of their arrival, to the result or the exception of each.
        Where it raises, every job that was taken gets that exception.
    check: raises where the device is gone; called on the same thread after `idle_s` seconds without a job, and again.
    together: jobs taken at once, at most. waiting: jobs in the queue, at most. Both at least 1.
    stuck_after_s: seconds after which one call of `work` or `check` counts as stuck.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Taken[Job]]], Sequence[Result | Exception]],
        check: Callable[[], None],
        *,
        together: int,
        waiting: int,
        stuck_after_s: float,
        idle_s: float = 30.0,
    ) -> None:
        self._work = work
        self._check = check
        self._idle_s = idle_s
        self._together = together
        self._waiting = waiting
        self._stuck_after_s = stuck_after_s
        self._queue: deque[_Waiting[Job, Result]] = deque()
        self._changed = threading.Condition()  # guards the queue, _closed and _fault
        self._closed = False
        self._fault: str | None = None  # why the device is gone for good
        self._at_work_since: float | None = None
        self._job_s = 0.0  # seconds that a job took lately
        # A daemon, so that a device that hangs does not keep the process from its end.
        self._thread = threading.Thread(target=self._serve, name="device", daemon=True)
        self._thread.start()

    async def run(self, job: Job) -> Result:
        """The result of `job`; a cancelled job leaves the queue, or reads as abandoned if it is at work.

        Raises what `work` says of the job, and Problem: `overloaded` where too many wait or the service stops,
        `deadline_exceeded` where no time is left, `upstream_unavailable` where `state` is not "ok".
        """
        if remaining() == 0:
            raise Problem("deadline_exceeded", "no time was left for the device")
        waiting: _Waiting[Job, Result] = _Waiting(job, asyncio.get_running_loop().create_future())
        with span("device") as traced:
            self._put(waiting)
            try:
                outcome = await waiting.answer
            finally:
                waiting.gone.set()
                self._forget(waiting)
                traced.set_attribute("dtwinseger.waited_ms", round(waiting.waited_s * 1000, 1))
                traced.set_attribute("dtwinseger.images_beside", waiting.beside)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def state(self) -> str:
        """Why the device does not work, in words; "ok" where it does. A failure is for good, a late answer is not."""
        if self._fault:
            return self._fault
        busy_s = self._busy_s()
        return "ok" if busy_s <= self._stuck_after_s else f"the device has not answered for {busy_s:.0f} s"

    def close(self) -> None:
        """Refuse the jobs that wait, and stop once the batch in hand is done or counts as stuck."""
        with self._changed:
            self._closed = True
            refused = self._take_all()
            self._changed.notify()
        for waiting in refused:
            waiting.settle(_stopping())
        self._thread.join(max(0.0, self._stuck_after_s - self._busy_s()))

    def _put(self, waiting: _Waiting[Job, Result]) -> None:
        with self._changed:
            if self._closed:
                raise _stopping()
            if (state := self.state()) != "ok":
                # Not `internal`, no request is at fault, nor `overloaded`, waiting need not help: a thing that the
                # service stands on is down, as an engine may be.
                raise Problem("upstream_unavailable", state)
            if len(self._queue) >= self._waiting:
                retry_after = max(1.0, self._job_s * len(self._queue))
                detail = f"{len(self._queue)} images wait for the device already; try again shortly"
                raise Problem("overloaded", detail, retry_after=retry_after)
            self._queue.append(waiting)
            metrics.QUEUE_DEPTH.set(len(self._queue))
            self._changed.notify()

    def _forget(self, waiting: _Waiting[Job, Result]) -> None:
        with self._changed:
            if waiting in self._queue:
                self._queue.remove(waiting)
                metrics.QUEUE_DEPTH.set(len(self._queue))

    def _take_all(self) -> list[_Waiting[Job, Result]]:
        taken = list(self._queue)
        self._queue.clear()
        metrics.QUEUE_DEPTH.set(0)
        return taken

    def _busy_s(self) -> float:
        since = self._at_work_since
        return 0.0 if since is None else monotonic() - since

    def _serve(self) -> None:
        while self._serve_batch():  # a call for each batch: a thread that waits must not hold on to images
            pass

    def _serve_batch(self) -> bool:
        """Wait for jobs and work on them, or check the device where none come; False once it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed, timeout=self._idle_s)
            if self._closed:
                return False
            batch = [self._queue.popleft() for _ in range(min(self._together, len(self._queue)))]
            metrics.QUEUE_DEPTH.set(len(self._queue))
            self._at_work_since = monotonic()
        if not batch:
            self._look()
            return True
        metrics.BATCH_IMAGES.observe(len(batch))
        for waiting in batch:
            waiting.waited_s, waiting.beside = self._at_work_since - waiting.since, len(batch) - 1
        outcomes = self._outcomes(batch)
        job_s = self._busy_s() / len(batch)
        self._job_s = (1 - LATEST) * self._job_s + LATEST * job_s if self._job_s else job_s
        self._at_work_since = None
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                _let_go(outcome)
                if not self._fault and _context_is_gone(outcome):
                    self._fail(outcome)
        for waiting, outcome in zip(batch, outcomes, strict=True):
            waiting.settle(outcome)
        return True

    def _look(self) -> None:
        """See whether the device still works while nobody needs it."""
        try:
            if not self._fault:
                self._check()
        except Exception as error:
            self._fail(error)
        self._at_work_since = None

    def _outcomes(self, batch: list[_Waiting[Job, Result]]) -> Sequence[Result | Exception]:
        try:
            outcomes = self._work([Taken(waiting.job, waiting.gone.is_set) for waiting in batch])
            if len(outcomes) != len(batch):
                raise RuntimeError(f"{len(outcomes)} results came of {len(batch)} jobs")
        except Exception as error:
            return [error] * len(batch)
        return outcomes

    def _fail(self, error: Exception) -> None:
        """The device is gone: nothing that waits can be done any more."""
        reason = str(error).partition("\n")[0] or type(error).__name__  # CUDA adds advice for developers
        log.error("device.failed", exc_info=error)
        with self._changed:
            self._fault = f"the device failed: {reason}"
            refused = self._take_all()
        for waiting in refused:
            waiting.settle(Problem("upstream_unavailable", self._fault))


def _stopping() -> Problem:
    return Problem("overloaded", "the service is stopping; try again shortly", retry_after=1.0)


def _let_go(error: BaseException) -> None:
    """Clear the frames of `error` and of what caused it: their tensors would live for as long as it does."""
    cause: BaseException | None = error
    while cause:
        clear_frames(cause.__traceback__)
        cause = cause.__cause__ or cause.__context__


def _context_is_gone(error: Exception) -> bool:
    """Whether the process cannot use CUDA any more after `error`; running out of memory leaves it alive."""
    text = str(error)
    if isinstance(error, torch.OutOfMemoryError) or "out of memory" in text or "ALLOC_FAILED" in text:
        return False
    return isinstance(error, torch.AcceleratorError) or (isinstance(error, RuntimeError) and "CUDA error" in text)
