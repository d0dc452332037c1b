"""Many queries reasoned over one twin together: each with its own answer or its own error."""

import asyncio

from dtwinseger import api
from dtwinseger.problems import Problem
from dtwinseger.service.engine import Engine
from dtwinseger.service.middleware import request_id
from services.reasoner.calls import Calls, last_moment
from services.reasoner.reasoning import reason


async def reason_many(engine: Engine, logprobs: bool, asked: api.ReasonManyRequest) -> api.ReasonManyResponse:
    """An outcome for each query; where the deadline comes first, that is its error, and the others are told.

    No more queries are begun at once than the engine takes calls, so that other requests wait for a few and not for
    all. Cancelling this cancels every call.
    """
    ends_at = last_moment()  # one for all: who begins late has no time of its own
    slots = asyncio.Semaphore(engine.settings.max_in_flight)
    counted = [(query, Calls(engine, logprobs, ends_at)) for query in asked.queries]

    async def one(query: str, calls: Calls) -> api.ReasonOutcome:
        try:
            async with slots:
                answer = await reason(calls, query, asked.objects, asked.options)
        except Problem as problem:
            return api.ReasonOutcome(query=query, error=problem.details(request_id.get()))
        return api.ReasonOutcome(query=query, answer=answer)

    async with asyncio.TaskGroup() as tasks:
        ended = [tasks.create_task(one(query, calls)) for query, calls in counted]
    return api.ReasonManyResponse(
        outcomes=tuple(task.result() for task in ended),
        usage=sum((calls.usage for _, calls in counted), api.EngineUsage()),
    )
