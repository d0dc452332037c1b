"""Deadlines: what remains of the caller's time, handed from hop to hop in X-Timeout-Ms."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from dtwinseger.api import TIMEOUT_HEADER
from dtwinseger.problems import Problem

_ends_at: ContextVar[float | None] = ContextVar("deadline", default=None)


def remaining() -> float | None:
    """Seconds until the current request's deadline, never below 0; None outside a request."""
    ends_at = _ends_at.get()
    return None if ends_at is None else max(0.0, ends_at - asyncio.get_running_loop().time())


def forwarded() -> dict[str, str]:
    """The header that tells the next hop what remains."""
    left = remaining()
    return {} if left is None else {TIMEOUT_HEADER: str(max(1, int(left * 1000)))}


def requested(value: str | None, limit: float) -> float:
    """Seconds that a request may take: its X-Timeout-Ms, at most `limit`. Raises Problem `invalid_options`."""
    if value is None:
        return limit
    if not re.fullmatch(r"-?[0-9]{1,15}", value):
        raise Problem("invalid_options", f"{TIMEOUT_HEADER} must be whole milliseconds, not {value[:40]!r}")
    seconds = int(value) / 1000
    if seconds <= 0:
        raise Problem("deadline_exceeded", f"{TIMEOUT_HEADER} says that no time is left")
    return min(seconds, limit)


@asynccontextmanager
async def deadline(seconds: float) -> AsyncIterator[None]:
    """Cancel the body after `seconds` and raise Problem `deadline_exceeded`."""
    token = _ends_at.set(asyncio.get_running_loop().time() + seconds)
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise Problem("deadline_exceeded", f"the work did not finish within {seconds:g} s") from error
    finally:
        _ends_at.reset(token)
