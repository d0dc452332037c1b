"""One order answered in the way that its caller wants: when it is done, in events on the way, or later."""

import asyncio
from collections.abc import AsyncIterator
from time import perf_counter

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from dtwinseger import api
from dtwinseger.api import TIMEOUT_HEADER
from dtwinseger.service.deadline import requested
from dtwinseger.service.request import while_waiting
from gateway import sse
from gateway.build import Order, Outcome
from gateway.negotiation import preferred
from gateway.preferences import Preferences
from gateway.result import answer_mask, mask_png, to_result
from gateway.runs import Run, Runs
from gateway.settings import GatewaySettings
from gateway.timing import server_timing

JSON, PNG, EVENTS = "application/json", "image/png", sse.MEDIA_TYPE
LINGER_S = 3.0  # a caller that lost its stream of events may come back within this time
RETRY_AFTER_S = 2


async def answer(request: Request, order: Order, runs: Runs, settings: GatewaySettings) -> Response:
    """The response to a request for `order`, by its headers Accept, Prefer and X-Timeout-Ms.

    The request's body must have been read. Raises Problem, and ClientDisconnect where the caller leaves.
    """
    started = perf_counter()
    kind = preferred(request.headers.get("accept", "*/*"), (JSON, PNG, EVENTS))
    preferences = Preferences.of(request.headers.getlist("prefer"))
    patience_s = preferences.patience_s(settings.sync_wait_s)
    headers = {"Vary": "Accept, Prefer", "Content-Location": f"/dt/{order.identity}"}
    headers |= preferences.applied(settings.sync_wait_s)
    limit_s = settings.timeout_s if patience_s is None and kind != EVENTS else settings.async_timeout_s
    seconds = requested(request.headers.get(TIMEOUT_HEADER), limit_s)
    run, first = runs.join(order, seconds)
    if kind == EVENTS:
        async with run.watched(LINGER_S):
            await while_waiting(request, seconds, run.acceptance)
            return _streamed(watch(run, request.headers.get("last-event-id", "")), headers)
    async with run.watched():
        done = await while_waiting(request, seconds, lambda: _patient(run, patience_s))
        if done is None:
            run.kept_on = True
            headers |= {"Location": f"/dt/{order.identity}", "Retry-After": str(RETRY_AFTER_S)}
            body = run.journal.snapshot().status.model_dump_json()
            return Response(body, status_code=202, media_type=JSON, headers=headers)
    outcome = done if first else Outcome.stored(done.twin, started)  # it is paid for once
    return await _told(order, outcome, kind, headers)


async def watch(run: Run, last_id: str) -> AsyncIterator[bytes]:
    """The events of a run, and its result."""
    async with run.watched(LINGER_S):

        async def result() -> api.SegmentResult:
            return await result_of(run.order, await run.outcome())

        async for event in sse.events(run.journal, last_id, result):
            yield event


async def result_of(order: Order, outcome: Outcome) -> api.SegmentResult:
    """The body of the answer, in the order's mask format."""
    error = order.cache.last_error
    warnings = [f"the twin store does not answer ({error}): this twin may not be found again"] if error else []
    return await asyncio.to_thread(
        to_result,
        outcome.twin,
        order.asked.options.mask_format,
        outcome.usage,
        outcome.timings_ms,
        outcome.cached,
        warnings,
    )


async def _patient(run: Run, patience_s: float | None) -> Outcome | None:
    """What the run comes to; None where that takes longer than `patience_s` seconds."""
    if patience_s is None:
        return await run.outcome()
    await run.acceptance()
    if run.task.done():
        return await run.outcome()
    try:
        async with asyncio.timeout(patience_s):
            return await run.outcome()
    except TimeoutError:
        return None


async def _told(order: Order, outcome: Outcome, kind: str, headers: dict[str, str]) -> Response:
    headers |= {"Server-Timing": server_timing(outcome.timings_ms, outcome.cached)}
    if kind == PNG:
        picture = await asyncio.to_thread(lambda: mask_png(answer_mask(outcome.twin)))
        return Response(picture, media_type=PNG, headers=headers)
    result = await result_of(order, outcome)
    return Response(result.model_dump_json(), media_type=JSON, headers=headers)


def _streamed(body: AsyncIterator[bytes], headers: dict[str, str]) -> StreamingResponse:
    return StreamingResponse(body, media_type=EVENTS, headers=headers | sse.HEADERS)
