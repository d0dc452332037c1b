"""Many queries reasoned over one twin together: each with its own answer or its own error."""

import asyncio

from dtwinseger import api
from dtwinseger.problems import Problem
from dtwinseger.service.middleware import request_id
from dtwinseger.twin.text import Rendering
from services.reasoner.calls import Asking, Calls, last_moment
from services.reasoner.reading import Reading
from services.reasoner.reasoning import reason


async def reason_many(
    asking: Asking, asked: api.ReasonManyRequest, reading: Reading, rendering: Rendering
) -> api.ReasonManyResponse:
    """An outcome for each query; where the deadline comes first, that is its error, and the others are told.

    No more queries are begun at once than the engine takes calls, so that other requests wait for a few and not for
    all. Cancelling this cancels every call.
    """
    ends_at = last_moment()  # one for all: who begins late has no time of its own
    slots = asyncio.Semaphore(asking.engine.settings.max_in_flight)
    counted = [(query, Calls(asking, ends_at)) for query in asked.queries]

    async def one(query: str, calls: Calls) -> api.ReasonOutcome:
        try:
            async with slots:
                answer = await reason(calls, query, reading, rendering, asked.options)
        except Problem as problem:
            return api.ReasonOutcome(query=query, error=problem.details(request_id.get()))
        return api.ReasonOutcome(query=query, answer=answer)

    async with asyncio.TaskGroup() as tasks:
        ended = [tasks.create_task(one(query, calls)) for query, calls in counted]
    return api.ReasonManyResponse(
        outcomes=tuple(task.result() for task in ended),
        usage=sum((calls.usage for _, calls in counted), api.EngineUsage()),
    )
