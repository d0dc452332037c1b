"""The device's thread: what waits is taken together, what nobody waits for is dropped, what breaks is told."""

import asyncio
import gc
import logging
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

import pytest
import torch
from prometheus_client import REGISTRY

from dtwinseger.problems import Problem
from dtwinseger.service.deadline import deadline
from services.perception.device import Device, Taken
from services.perception.metrics import observe_device_memory

PATIENCE_S = 20  # for what happens at once unless the test fails
TINY_S = 0.05

CUDA_ERROR = RuntimeError("CUDA error: device-side assert triggered\nCompile with TORCH_USE_CUDA_DSA")

T = TypeVar("T")


class Bench:
    """Work whose first batch is held until `release`; a job that is an exception fails with it."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.abandoned: list[list[bool]] = []  # as each job reads at the end of its batch
        self.started = threading.Event()
        self.release = threading.Event()
        self.crash: Exception | None = None  # what the next batch raises

    def __call__(self, taken: Sequence[Taken[Any]]) -> list[Any]:
        self.batches.append([item.job for item in taken])
        self.started.set()
        assert self.release.wait(PATIENCE_S)
        self.abandoned.append([item.abandoned() for item in taken])
        if self.crash:
            crash, self.crash = self.crash, None
            raise crash
        return [item.job if isinstance(item.job, Exception) else f"{item.job} done" for item in taken]


Make = Callable[..., Device[Any, Any]]


def fine() -> None:
    """The device works."""


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def make(bench: Bench) -> Iterator[Make]:
    """Devices that do the bench's work and are closed in the end."""
    with ExitStack() as stack:

        def device(work: Any = bench, check: Callable[[], None] = fine, **limits: Any) -> Any:
            made: Device[Any, Any] = Device(work, check, **{"together": 3, "waiting": 8, "stuck_after_s": 60} | limits)
            stack.callback(made.close)
            stack.callback(bench.release.set)
            return made

        yield device


def play(scenario: Coroutine[Any, Any, T]) -> T:
    """Run it; a hang is a failure."""
    return asyncio.run(asyncio.wait_for(scenario, PATIENCE_S))


async def until(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, PATIENCE_S)


async def queued(device: Device[Any, Any], *jobs: Any) -> list[asyncio.Task[Any]]:
    """The jobs under way: each has reached the device's queue."""
    tasks = [asyncio.create_task(device.run(job)) for job in jobs]
    await asyncio.sleep(0)
    return tasks


async def held(device: Device[Any, Any], bench: Bench) -> asyncio.Task[Any]:
    """A job that the bench holds at work, so that the next ones wait."""
    (task,) = await queued(device, "first")
    await until(bench.started)
    return task


async def problem_of(running: Awaitable[Any]) -> Problem:
    with pytest.raises(Problem) as raised:
        await running
    return raised.value


def metric(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0


def test_jobs_that_wait_are_taken_together_in_the_order_of_their_arrival(make: Make, bench: Bench) -> None:
    device = make(together=3)
    batches, images = metric("perception_batch_images_count"), metric("perception_batch_images_sum")

    async def scenario() -> list[Any]:
        first = await held(device, bench)
        later = await queued(device, *range(5))
        assert metric("perception_queue_depth") == 5
        bench.release.set()
        return await asyncio.gather(first, *later)

    assert play(scenario()) == ["first done", *(f"{i} done" for i in range(5))]
    assert bench.batches == [["first"], [0, 1, 2], [3, 4]]
    assert metric("perception_queue_depth") == 0
    assert metric("perception_batch_images_count") - batches == 3
    assert metric("perception_batch_images_sum") - images == 6


def test_a_job_that_fails_does_not_fail_its_neighbours(make: Make, bench: Bench) -> None:
    device = make()
    fault = ValueError("no mask")

    async def scenario() -> list[Any]:
        first = await held(device, bench)
        later = await queued(device, "a", fault, "b")
        bench.release.set()
        return [await first, *await asyncio.gather(*later, return_exceptions=True)]

    answers = play(scenario())
    assert answers == ["first done", "a done", fault, "b done"]
    assert bench.batches == [["first"], ["a", fault, "b"]]


def test_work_that_raises_fails_its_batch_and_the_next_one_runs(make: Make, bench: Bench) -> None:
    device = make()
    bench.crash = ValueError("nothing works")

    async def scenario() -> None:
        bench.release.set()
        with pytest.raises(ValueError, match="nothing works"):
            await device.run("a")
        assert await device.run("b") == "b done"

    play(scenario())
    assert device.state() == "ok"


def test_every_job_of_a_batch_learns_why_it_failed(make: Make, bench: Bench) -> None:
    def fail_on_the_second(taken: Sequence[Taken[Any]]) -> list[Any]:
        done = bench(taken)
        if len(bench.batches) == 2:
            raise ValueError("nothing works")
        return done

    device = make(fail_on_the_second)

    async def scenario() -> list[Any]:
        first = await held(device, bench)
        later = await queued(device, "a", "b")
        bench.release.set()
        await first
        return await asyncio.gather(*later, return_exceptions=True)

    assert [str(error) for error in play(scenario())] == ["nothing works", "nothing works"]


def test_a_result_too_few_is_an_error_and_not_a_wait(make: Make) -> None:
    device = make(lambda taken: [])
    with pytest.raises(RuntimeError, match="0 results came of 1 jobs"):
        play(device.run("a"))


def test_past_the_queues_length_jobs_are_refused_until_one_leaves(make: Make, bench: Bench) -> None:
    device = make(waiting=2)

    async def scenario() -> None:
        first = await held(device, bench)
        a, b = await queued(device, "a", "b")
        refused = await problem_of(device.run("c"))
        assert (refused.code, refused.retry_after) == ("overloaded", 1)
        a.cancel()
        await asyncio.wait([a])
        (d,) = await queued(device, "d")
        bench.release.set()
        assert [await first, await b, await d] == ["first done", "b done", "d done"]

    play(scenario())


def test_retry_after_is_the_time_that_the_queue_takes(
    make: Make, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("services.perception.device.monotonic", lambda: now)

    def three_seconds_each(taken: Sequence[Taken[Any]]) -> list[Any]:
        nonlocal now
        now += 3 * len(taken)
        return bench(taken)

    device = make(three_seconds_each, together=1, waiting=4)

    async def scenario() -> None:
        bench.release.set()
        await device.run("a")
        bench.release.clear()
        bench.started.clear()
        await held(device, bench)
        await queued(device, *range(4))
        refused = await problem_of(device.run("c"))
        assert refused.retry_after == pytest.approx(4 * 3)

    play(scenario())


def test_a_job_cancelled_while_it_waits_never_reaches_the_work(make: Make, bench: Bench) -> None:
    device = make()

    async def scenario() -> None:
        first = await held(device, bench)
        a, b = await queued(device, "a", "b")
        a.cancel()
        await asyncio.wait([a])
        assert metric("perception_queue_depth") == 1
        bench.release.set()
        await asyncio.gather(first, b)
        assert a.cancelled()

    play(scenario())
    assert bench.batches == [["first"], ["b"]]


def test_a_job_whose_deadline_passes_while_it_waits_never_reaches_the_work(make: Make, bench: Bench) -> None:
    device = make()

    async def late() -> None:
        async with deadline(TINY_S):
            await device.run("late")

    async def scenario() -> None:
        first = await held(device, bench)
        assert (await problem_of(late())).code == "deadline_exceeded"
        bench.release.set()
        await first
        await device.run("next")

    play(scenario())
    assert bench.batches == [["first"], ["next"]]


def test_a_job_without_time_is_refused_before_it_could_wait(make: Make, bench: Bench) -> None:
    device = make(waiting=1)

    async def late() -> None:
        async with deadline(0):
            await device.run("late")

    async def scenario() -> None:
        await held(device, bench)
        await queued(device, "a")
        assert (await problem_of(late())).code == "deadline_exceeded"  # and not `overloaded`

    play(scenario())


def test_work_sees_which_of_its_jobs_were_abandoned(make: Make, bench: Bench) -> None:
    second = threading.Event()

    def hold_the_second(taken: Sequence[Taken[Any]]) -> list[Any]:
        if bench.batches:
            bench.started.set()
            assert second.wait(PATIENCE_S)
        return bench(taken)

    device = make(hold_the_second)

    async def scenario() -> None:
        first = await held(device, bench)
        bench.started.clear()
        a, b = await queued(device, "a", "b")
        bench.release.set()
        await first
        await until(bench.started)
        a.cancel()
        await asyncio.wait([a])
        second.set()
        assert await b == "b done"

    play(scenario())
    assert bench.abandoned == [[False], [True, False]]


def test_what_fails_after_its_caller_left_is_dropped_in_silence(
    make: Make, bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    device = make()
    bench.crash = ValueError("nobody hears this")

    async def scenario() -> None:
        first = await held(device, bench)
        first.cancel()
        await asyncio.wait([first])
        bench.release.set()
        assert await device.run("next") == "next done"

    with caplog.at_level(logging.DEBUG):
        play(scenario())
        gc.collect()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_the_thread_outlives_the_loop_of_its_caller(make: Make, bench: Bench) -> None:
    device = make()

    async def leave() -> None:
        await held(device, bench)

    play(leave())  # closes its loop with the job at work
    bench.release.set()
    assert play(device.run("next")) == "next done"


def test_a_device_that_does_not_answer_is_noticed_and_back_once_it_does(
    make: Make, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("services.perception.device.monotonic", lambda: now)
    device = make(stuck_after_s=120)

    async def scenario() -> None:
        nonlocal now
        first = await held(device, bench)
        now = 119
        assert device.state() == "ok"
        now = 130
        assert device.state() == "the device has not answered for 130 s"
        refused = await problem_of(device.run("a"))
        assert (refused.code, refused.detail) == ("upstream_unavailable", device.state())
        bench.release.set()
        assert await first == "first done"
        assert device.state() == "ok"
        assert await device.run("b") == "b done"

    play(scenario())


@pytest.mark.parametrize("error", [CUDA_ERROR, torch.AcceleratorError("device-side assert triggered")])
@pytest.mark.parametrize("raised", [True, False])
def test_a_lost_device_stays_lost_and_nobody_waits_for_it(
    make: Make, bench: Bench, error: Exception, raised: bool
) -> None:
    device = make()
    bench.crash = error if raised else None

    async def scenario() -> None:
        (first,) = await queued(device, "first" if raised else error)
        await until(bench.started)
        later = await queued(device, "a", "b")
        bench.release.set()
        with pytest.raises(type(error), match="device-side assert"):
            await first
        for task in later:
            assert (await problem_of(task)).code == "upstream_unavailable"
        refused = await problem_of(device.run("c"))
        assert (refused.code, refused.detail) == ("upstream_unavailable", device.state())

    play(scenario())
    assert len(bench.batches) == 1
    assert device.state() == f"the device failed: {str(error).splitlines()[0]}"


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        torch.AcceleratorError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("shapes do not match"),
        ValueError("CUDA error"),
    ],
)
def test_an_error_that_leaves_the_device_alive_is_told_once(make: Make, bench: Bench, error: Exception) -> None:
    device = make()
    bench.release.set()

    async def scenario() -> None:
        with pytest.raises(type(error)):
            await device.run(error)
        assert device.state() == "ok"
        assert await device.run("next") == "next done"

    play(scenario())


def test_close_ends_the_batch_in_hand_and_answers_those_that_wait(make: Make, bench: Bench) -> None:
    before = set(threading.enumerate())
    device = make()

    async def scenario() -> None:
        first = await held(device, bench)
        later = await queued(device, "a", "b")
        closing = asyncio.create_task(asyncio.to_thread(device.close))
        for task in later:
            assert (await problem_of(task)).code == "overloaded"
        assert not closing.done()
        bench.release.set()
        await closing
        assert await first == "first done"
        assert (await problem_of(device.run("c"))).code == "overloaded"

    play(scenario())
    assert bench.batches == [["first"]]
    assert set(threading.enumerate()) <= before
    device.close()


def test_a_device_that_hangs_does_not_hold_up_the_end(make: Make, bench: Bench) -> None:
    before = set(threading.enumerate())
    device = make(stuck_after_s=TINY_S)

    async def scenario() -> None:
        await held(device, bench)
        device.close()  # while the bench still holds the batch

    play(scenario())
    (thread,) = set(threading.enumerate()) - before
    assert thread.daemon
    bench.release.set()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


class Image:
    """Something that a weak reference can point at."""


def test_an_idle_thread_holds_on_to_no_image(make: Make, bench: Bench) -> None:
    device = make(lambda taken: ["done"])

    async def scenario() -> None:
        freed = threading.Event()
        image = Image()
        watch = weakref.ref(image, lambda _: freed.set())
        assert await device.run(image) == "done"
        del image
        await until(freed)
        assert watch() is None

    gc.disable()
    try:
        play(scenario())
    finally:
        gc.enable()


def test_an_error_holds_on_to_no_tensors_of_the_work(make: Make) -> None:
    alive: list[weakref.ref[Image]] = []

    def allocate() -> None:
        tensor = Image()
        alive.append(weakref.ref(tensor))
        raise torch.OutOfMemoryError("CUDA out of memory")

    def out_of_memory(taken: Sequence[Taken[Any]]) -> list[Any]:
        try:
            allocate()
        except torch.OutOfMemoryError as error:
            raise Problem("overloaded", "the device is out of memory") from error
        return []

    device = make(out_of_memory)
    problem = play(problem_of(device.run("a")))
    assert problem.__cause__
    assert alive[0]() is None


def test_a_cpu_reports_no_device_memory() -> None:
    observe_device_memory(torch.device("cpu"))
    assert REGISTRY.get_sample_value("perception_device_memory_bytes", {"kind": "allocated"}) is None


def eventually(holds: Callable[[], bool]) -> None:
    for _ in range(100 * PATIENCE_S):
        if holds():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came to hold")


def test_an_idle_device_that_is_lost_is_noticed(make: Make) -> None:
    def lost() -> None:
        raise RuntimeError("CUDA error: device lost")

    device = make(check=lost, idle_s=TINY_S)
    eventually(lambda: device.state() == "the device failed: CUDA error: device lost")
    with pytest.raises(Problem, match="device lost"):
        play(device.run("job"))


def test_an_idle_device_that_hangs_is_noticed_and_works_again_once_it_answers(make: Make, bench: Bench) -> None:
    answer = threading.Event()

    def slow() -> None:
        answer.wait(PATIENCE_S)

    device = make(check=slow, idle_s=TINY_S, stuck_after_s=TINY_S)
    bench.release.set()
    eventually(lambda: "has not answered" in device.state())
    answer.set()
    eventually(lambda: device.state() == "ok")
    assert play(device.run("job")) == "job done"
