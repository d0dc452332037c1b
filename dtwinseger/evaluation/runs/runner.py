"""Asks a running gateway about every sample, so many at once, and keeps each answer as it comes."""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from dtwinseger.api import GatewayInfo, SegmentResult, Usage
from dtwinseger.client import AsyncClient
from dtwinseger.evaluation.metrics import pixel_counts
from dtwinseger.evaluation.runs.journal import Journal
from dtwinseger.evaluation.runs.record import Failure, FreshRecord, FreshTwin, RunError, Stopped
from dtwinseger.evaluation.runs.retries import ATTEMPTS, BROKEN, BUSY, Gate, wait_before
from dtwinseger.evaluation.samples import Sample, Truth
from dtwinseger.problems import Problem
from dtwinseger.twin import Mask

BUSY_PATIENCE_S = 600.0  # that one sample waits for a gateway that has too much to do
FINISHING = 32  # samples read, compared and kept while as many requests as allowed are in flight
SWITCH_S = 0.0005  # that a thread which compares masks may keep the one that sends; ten times less than by default
CHOSEN = "llm"  # the role whose model depends on the options: the base, or one of its adapters
SHOW_EVERY_S = 0.25


@dataclass(frozen=True)
class Asked:
    """What became of one request."""

    answer: SegmentResult | Problem
    seconds: float  # from the first try, waiting included
    attempts: int


@dataclass
class Runner:
    """One run. concurrency: requests in flight at most. keep_twins: fetch and keep the twin behind each answer."""

    client: AsyncClient
    gate: Gate
    journal: Journal
    info: GatewayInfo
    options: Mapping[str, Any]
    concurrency: int
    keep_twins: bool

    async def run(self, work: Sequence[tuple[int, Sample]], show: Callable[[], None]) -> None:
        """Ask about each sample of `work`, with its position in the split, and keep the answers.

        Raises Stopped where the gateway stays away, the system changed, or the disk is full; DatasetError where a truth
        cannot be read.
        """
        sys.setswitchinterval(SWITCH_S)
        self._slots = asyncio.Semaphore(self.concurrency)
        todo = iter(work)
        try:
            async with asyncio.TaskGroup() as tasks:
                showing = tasks.create_task(_keep_showing(show))
                async with asyncio.TaskGroup() as workers:
                    for _ in range(min(len(work), self.concurrency + FINISHING)):
                        workers.create_task(self._work(todo))
                showing.cancel()
        except ExceptionGroup as group:
            raise _first(group) from group
        if work:
            await self._same_system()

    async def _work(self, todo: Iterator[tuple[int, Sample]]) -> None:
        for position, sample in todo:
            try:
                image = await asyncio.to_thread(sample.image.read_bytes)
            except OSError as error:
                raise RunError(f"{sample.image}: {error.strerror}; is the data set whole?") from error
            async with self._slots:
                asked = await self._ask(sample, image)
            twin = await self._twin(asked.answer)
            self.journal.append(await asyncio.to_thread(_record, sample, position, asked, twin))

    async def _ask(self, sample: Sample, image: bytes) -> Asked:
        """The answer, after as many tries as are right. Raises Stopped where the gateway stays away."""
        started = time.monotonic()
        attempt = 0
        while True:
            attempt += 1
            try:
                answer: SegmentResult | Problem = await self.client.segment(image, sample.query, self.options)
            except Problem as problem:
                if await self._again(problem, attempt, time.monotonic() - started):
                    continue
                answer = problem
            return Asked(answer, time.monotonic() - started, attempt)

    async def _again(self, problem: Problem, attempt: int, waited_s: float) -> bool:
        """Wait as long as is right before another try; False where none is."""
        if problem.code == "unauthorized":
            raise Stopped(f"{problem.code}: {problem.detail}")
        if problem.code in BROKEN:
            if await self.gate.until_ready():
                await self._same_system()
            if attempt >= ATTEMPTS:
                return False
        elif problem.code not in BUSY or waited_s > BUSY_PATIENCE_S:
            return False
        await asyncio.sleep(wait_before(attempt, problem))
        return True

    async def _twin(self, answer: SegmentResult | Problem) -> FreshTwin | None:
        """The twin behind an answer, or None: where none is wanted, or the store has not kept it."""
        if isinstance(answer, Problem) or not self.keep_twins:
            return None
        try:
            twin = FreshTwin.model_validate_json(await self.client.export(answer.twin_id, "json"))
        except (Problem, ValidationError):
            return None  # the answer counts; the report says where a twin is missing
        if any(twin.provenance.models.get(role) != name for role, name in models(self.info).items() if role != CHOSEN):
            raise Stopped(f"the models changed: {models(self.info)} became {twin.provenance.models}")
        return twin

    async def _same_system(self) -> None:
        try:
            now = await self.client.info()
        except Problem as problem:
            raise Stopped(f"cannot ask whether the models are still the same: {problem.detail}") from problem
        if now != self.info:
            raise Stopped(f"the system changed during the run: {models(self.info)} became {models(now)}")


def models(info: GatewayInfo) -> dict[str, str]:
    """Role -> name and version, over all services."""
    return {role: name for service in info.services for role, name in service.models.items()}


def _record(sample: Sample, position: int, asked: Asked, twin: FreshTwin | None) -> FreshRecord:
    """The line of a sample. Raises DatasetError where its truth cannot be read."""
    truth = sample.load_truth()
    answer = asked.answer
    if isinstance(answer, SegmentResult) and (answer.mask.size != truth.size or not isinstance(answer.mask, Mask)):
        detail = f"the mask is {_size(answer.mask.size)} and the truth {_size(truth.size)} (height x width)"
        answer = Problem("upstream_invalid", detail)
    if isinstance(answer, Problem):
        empty = np.zeros(truth.size, dtype=np.bool_)
        intersection, union = counts(empty, truth)
        return FreshRecord(
            sample_id=sample.sample_id,
            position=position,
            mask=Mask.encode(empty),
            problem=Failure(code=answer.code, detail=answer.detail),
            intersection=intersection,
            union=union,
            seconds=round(asked.seconds, 3),
            attempts=asked.attempts,
            usage=Usage(cost_usd=None),  # what was spent before it failed is not told
        )
    mask = Mask.model_validate(answer.mask.model_dump())
    intersection, union = counts(mask.decode(), truth)
    return FreshRecord(
        sample_id=sample.sample_id,
        position=position,
        mask=mask,
        intersection=intersection,
        union=union,
        granularity=answer.granularity,
        indices=answer.indices,
        seconds=round(asked.seconds, 3),
        attempts=asked.attempts,
        timings_ms=twin.timings_ms if twin else answer.timings_ms,
        usage=twin.usage if twin else answer.usage,
        warnings=answer.warnings,
        twin=twin,
    )


def counts(prediction: NDArray[np.bool_], truth: Truth) -> tuple[int, int]:
    """Pixels of intersection and union by LISA's definition; prediction: [H, W] bool."""
    return pixel_counts(prediction, truth.target, truth.ignore)


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


async def _keep_showing(show: Callable[[], None]) -> None:
    while True:
        show()
        await asyncio.sleep(SHOW_EVERY_S)


def _first(group: BaseExceptionGroup[Exception]) -> Exception:
    """The first error of a group: they end a run one at a time."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
