"""One query reasoned over one twin (Eqs. 5-9): samples of the answer, and the one that stands."""

import asyncio
from collections.abc import Sequence
from typing import Literal

from dtwinseger import api, prompts
from dtwinseger.problems import Problem
from dtwinseger.prompts import Message
from dtwinseger.service.engine.failure import CallFailed
from dtwinseger.twin.text import Rendering
from services.reasoner.answer import NOTHING_THERE, Vote
from services.reasoner.calls import Calls
from services.reasoner.reading import Reading
from services.reasoner.votes import confidence, elected, majority

TEMPERATURE = 0.7  # of every vote but the first, which is the answer that one vote gives
FURTHER_TEMPERATURE = 1.0  # where no vote is valid: to leave the path that failed


async def reason(
    calls: Calls, query: str, reading: Reading, rendering: Rendering, options: api.ReasoningOptions
) -> api.ReasonResponse:
    """Ask the LLM for as many votes as `options` want; the answer is one of them, whole, so its path is its own.

    A vote that fails is left out while one remains. Where none is valid, further samples are asked for if there is
    time; else, or if none of those is valid, the first vote's Problem is raised. A twin without objects is answered
    without asking.
    """
    votes, warnings = [Vote(NOTHING_THERE)], list(reading.warnings)
    if reading.rows:
        messages = prompts.reasoning(query, reading.rows, rendering)
        votes, said = await _voted(calls, messages, [row.index for row in reading.rows], options.votes)
        warnings += said
    kept = [vote.answer.indices for vote in votes]
    answer = votes[elected(kept)].answer
    if list(answer.indices) != (wanted := majority(kept)):
        warnings.append(f"no single vote keeps exactly what most keep, {wanted}; the nearest is the answer")
    each, whole = confidence(votes, answer.indices)
    return api.ReasonResponse(
        indices=answer.indices,
        path=reading.of_the_whole(answer.path),
        confidence=each,
        answer_confidence=whole,
        mode=calls.asking.model.mode,
        model=calls.asking.model.identity,
        prompts=prompts.reasoning_digest(rendering),
        usage=calls.usage,
        warnings=tuple(warnings),
    )


async def _voted(
    calls: Calls, messages: list[Message], present: Sequence[int], wanted: int
) -> tuple[list[Vote], list[str]]:
    """At least one vote, and warnings. Raises the first Problem where no vote is valid.

    Votes at a temperature are samples: they are taken off those that may follow.
    """
    clock = asyncio.get_running_loop().time
    began = clock()
    votes, problems = await _asked(calls, messages, present, [0.0, *[TEMPERATURE] * (wanted - 1)], tries=2)
    if votes:
        return votes, [f"{len(problems)} of {wanted} votes are left out: {problems[0].detail}"] if problems else []
    more = calls.asking.further_samples - (wanted - 1)
    a_call_s = (clock() - began) / 2  # an invalid vote has asked twice
    if more < 1 or not all(_is_invalid(problem) for problem in problems) or not calls.time_for(a_call_s):
        raise problems[0]
    votes, _ = await _asked(calls, messages, present, [FURTHER_TEMPERATURE] * more, tries=1)
    if not votes:
        raise problems[0]
    return votes, [f"{problems[0].detail}; this is what most of the {len(votes)} valid among {more} more answers keep"]


async def _asked(
    calls: Calls, messages: list[Message], present: Sequence[int], temperatures: list[float], tries: Literal[1, 2]
) -> tuple[list[Vote], list[Problem]]:
    """One vote for each temperature, all at once: the valid ones and the problems of the others, in their order."""

    async def one(temperature: float) -> Vote | Problem:
        try:
            return await calls.vote(messages, present, temperature, tries)
        except Problem as problem:
            return problem

    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(one(temperature)) for temperature in temperatures]
    ended = [task.result() for task in asked]
    return [vote for vote in ended if isinstance(vote, Vote)], [no for no in ended if isinstance(no, Problem)]


def _is_invalid(problem: Problem) -> bool:
    """Whether the model answered, and wrongly: another sample may be better. An engine that fails is left alone."""
    return isinstance(problem, CallFailed) and problem.outcome == "invalid"
