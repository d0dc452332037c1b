"""How a service works on one request: admitted, within its deadline, and only while the caller waits."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from dtwinseger.api import TIMEOUT_HEADER
from dtwinseger.service.admission import Admission
from dtwinseger.service.deadline import deadline, requested

T = TypeVar("T")


async def attend(request: Request, admission: Admission, limit_s: float, work: Callable[[], Awaitable[T]]) -> T:
    """Run `work` once admitted; cancel it when the deadline passes or the caller leaves.

    limit_s: seconds, where the caller's X-Timeout-Ms leaves more. The request's body must have been read: what comes
    after it can only be the disconnect. Raises Problem `overloaded` or `deadline_exceeded`, and ClientDisconnect.
    """
    seconds = requested(request.headers.get(TIMEOUT_HEADER), limit_s)
    return await while_waiting(request, seconds, lambda: _admitted(admission, work))


async def while_waiting(request: Request, seconds: float, work: Callable[[], Awaitable[T]]) -> T:
    """Run `work`; cancel it after `seconds` or when the caller leaves. As `attend`, without admission."""
    async with deadline(seconds):
        job = asyncio.ensure_future(work())
        leaving = asyncio.ensure_future(_left(request))
        try:
            await asyncio.wait({job, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if job.done():
                return job.result()
            raise ClientDisconnect
        finally:
            job.cancel()
            leaving.cancel()
            await asyncio.gather(job, leaving, return_exceptions=True)


async def _admitted(admission: Admission, work: Callable[[], Awaitable[T]]) -> T:
    async with admission.slot():
        return await work()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
