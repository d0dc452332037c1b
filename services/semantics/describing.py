"""What each mask shows (Eq. 4): pictures of it to the VLM, a description or an error back, as each completes."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cache

from dtwinseger import api
from dtwinseger.problems import Problem
from dtwinseger.prompts import Message, views
from dtwinseger.prompts.questions import question
from dtwinseger.prompts.showing import Numbered, Prepared, prepare, show
from dtwinseger.service.middleware import request_id
from services.semantics.asking import ask_about
from services.semantics.calls import Calls
from services.semantics.votes import consolidated

Emit = Callable[[api.SemanticsLine], None]
Group = Sequence[api.DescribedMask]  # asked about in one call

AHEAD = 2  # questions that are made or under way, for each call that the engine may be at work on


@dataclass(frozen=True)
class Asking:
    """What all questions of one request share. `drawing` are the threads in which their pictures are made."""

    calls: Calls
    drawing: Executor
    prepared: Prepared
    query: str | None
    emit: Emit


async def describe(
    calls: Calls, drawing: Executor, image: views.Picture, asked: api.SemanticsRequest, side: int, emit: Emit
) -> None:
    """Describe every mask of `asked`, the largest first, handing each line to `emit` as it completes.

    image: [H, W, 3] uint8, the size of the masks; the VLM sees pictures of `side` pixels, made in the threads of
    `drawing`. A mask that fails becomes a line with its error. Cancelling this cancels every call.
    """
    options = asked.options
    query = asked.query if options.scope == "query" else None
    largest_first = sorted(asked.masks, key=lambda item: -item.mask.area)
    smallest_first = map(_decoded, reversed(largest_first))
    prepared = await asyncio.to_thread(prepare, options, image, smallest_first, side)
    asking = Asking(calls, drawing, prepared, query, emit)
    groups = [largest_first[start : start + options.batch] for start in range(0, len(largest_first), options.batch)]
    # Pictures are made ahead, so that no call waits for its own, but no more than for the calls that come next.
    slots = asyncio.Semaphore(AHEAD * calls.at_once)

    async def one(group: Group) -> None:
        async with slots:
            await _describe(asking, group)

    async with asyncio.TaskGroup() as tasks:
        for group in groups:
            tasks.create_task(one(group))


def failed(index: int, problem: Problem) -> api.SemanticsLine:
    """The line of a mask that could not be described."""
    return api.SemanticsLine(index=index, error=problem.details(request_id.get()))


async def _describe(asking: Asking, group: Group) -> None:
    """The lines of a group. Where its answer is invalid each mask is asked about alone, lest one lose the others."""
    try:
        said = await _said(asking, group)
    except Problem as problem:
        if len(group) > 1 and problem.code == "upstream_invalid":
            for item in group:
                await _describe(asking, [item])
            return
        for item in group:
            asking.emit(failed(item.index, problem))
    else:
        for index, semantics in said.items():
            asking.emit(api.SemanticsLine(index=index, semantics=semantics))


async def _said(asking: Asking, group: Group) -> dict[int, api.Semantics]:
    """What the votes say of each mask, consolidated. Raises the first one's Problem where none has an answer."""
    indices = [item.index for item in group]
    problems: list[Problem] = []
    loop = asyncio.get_running_loop()

    async def vote(number: int) -> dict[int, api.Semantics]:
        async def asked() -> list[Message]:
            return (await questions())[number]

        try:
            return await ask_about(asking.calls, indices, asked)
        except Problem as problem:
            problems.append(problem)
            return {}

    # Once for all votes, and not at all where none may be asked.
    questions = cache(lambda: loop.run_in_executor(asking.drawing, _questions, asking.prepared, asking.query, group))
    async with asyncio.TaskGroup() as tasks:
        votes = [tasks.create_task(vote(number)) for number in range(asking.prepared.options.votes)]
    answers = [answer for task in votes if (answer := task.result())]
    if not answers:
        raise problems[0]
    return {index: consolidated([answer[index] for answer in answers]) for index in indices}


def _questions(prepared: Prepared, query: str | None, group: Group) -> list[list[Message]]:
    """The question about a group for each vote."""
    options = prepared.options
    shown = show(prepared, [_decoded(item) for item in group])
    return [question(options, query, shown, prepared.side, vote) for vote in range(options.votes)]


def _decoded(item: api.DescribedMask) -> Numbered:
    return item.index, item.mask.decode()
