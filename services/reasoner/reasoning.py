"""One query reasoned over one twin (Eqs. 5-9): samples of the answer, and the one that stands."""

import asyncio
from collections.abc import Sequence

from dtwinseger import api, prompts
from dtwinseger.problems import Problem
from dtwinseger.twin import TwinRow
from services.reasoner.answer import NOTHING_THERE, Vote
from services.reasoner.calls import Calls
from services.reasoner.votes import confidence, elected, majority

TEMPERATURE = 0.7  # of every vote but the first, which is the answer that one vote gives


async def reason(
    calls: Calls, query: str, objects: Sequence[TwinRow], options: api.ReasoningOptions
) -> api.ReasonResponse:
    """Ask the LLM for as many votes as `options` want; the answer is one of them, whole, so its path is its own.

    A vote that fails is left out while one remains; else the first one's Problem is raised. A twin without objects is
    answered without asking.
    """
    warnings: list[str] = []
    if objects:
        votes, problems = await _votes(calls, query, objects, options.votes)
        if not votes:
            raise problems[0]
        if problems:
            warnings.append(f"{len(problems)} of {options.votes} votes are left out: {problems[0].detail}")
    else:
        votes = [Vote(NOTHING_THERE)]
    kept = [vote.answer.indices for vote in votes]
    answer = votes[elected(kept)].answer
    if list(answer.indices) != (wanted := majority(kept)):
        warnings.append(f"no single vote keeps exactly what most keep, {wanted}; the nearest is the answer")
    each, whole = confidence(votes, answer.indices)
    return api.ReasonResponse(
        indices=answer.indices,
        path=answer.path,
        confidence=each,
        answer_confidence=whole,
        model=calls.engine.settings.identity,
        prompts=prompts.digest(prompts.REASONING),
        usage=calls.usage,
        warnings=tuple(warnings),
    )


async def _votes(calls: Calls, query: str, objects: Sequence[TwinRow], count: int) -> tuple[list[Vote], list[Problem]]:
    """The valid votes and the problems of the others, both in the order of the votes."""
    messages = prompts.reasoning(query, objects)
    present = [row.index for row in objects]

    async def one(number: int) -> Vote | Problem:
        try:
            return await calls.vote(messages, present, TEMPERATURE if number else 0)
        except Problem as problem:
            return problem

    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(one(number)) for number in range(count)]
    ended = [task.result() for task in asked]
    return [vote for vote in ended if isinstance(vote, Vote)], [no for no in ended if isinstance(no, Problem)]
