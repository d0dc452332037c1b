"""Server-sent events of a twin in the making: what the journal tells, then the result or the problem."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from pydantic import BaseModel

from dtwinseger.problems import Problem
from dtwinseger.service.middleware import request_id
from gateway.journal import Journal

MEDIA_TYPE = "text/event-stream"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # the latter for nginx, which would hold events back
HEARTBEAT_S = 10.0


async def events(journal: Journal, last_id: str, result: Callable[[], Awaitable[BaseModel]]) -> AsyncIterator[bytes]:
    """Those after `last_id`, the Last-Event-ID of a caller that comes back; all of them where it is another journal's.

    Ids are the journal's token and a number. An event says how things are, so hearing one twice does no harm.
    """
    token, _, count = last_id.partition("-")
    after = int(count) if token == journal.token and re.fullmatch(r"[0-9]{1,9}", count) else 0
    number = after
    async for number, event in journal.read(after, HEARTBEAT_S):
        yield KEEPALIVE_COMMENT if event is None else _encoded(journal.token, number, event.name, event.data)
    yield await last(journal.token, number + 1, result)


async def last(token: str, number: int, result: Callable[[], Awaitable[BaseModel]]) -> bytes:
    """The event that ends a stream."""
    try:
        return _encoded(token, number, "result", await result())
    except Problem as problem:
        return _encoded(token, number, "problem", problem.details(request_id.get()))


def _encoded(token: str, number: int, name: str, data: BaseModel) -> bytes:
    return format_sse_event(event=name, data_str=data.model_dump_json(), id=f"{token}-{number}")
