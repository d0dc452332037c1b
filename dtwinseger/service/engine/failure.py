"""Why a call brought no answer, as the problem that it is."""

import math
import time
from email.utils import mktime_tz, parsedate_tz

import httpx2
import openai

from dtwinseger.problems import Problem, ProblemCode
from dtwinseger.service.engine.metrics import Outcome


class CallFailed(Problem):
    """A problem that knows under which `outcome` it is counted."""

    def __init__(self, outcome: Outcome, code: ProblemCode, detail: str, retry_after: float | None = None) -> None:
        super().__init__(code, detail, retry_after=retry_after)
        self.outcome = outcome


def patience(headers: httpx2.Headers) -> float | None:
    """Seconds that an engine asks to wait, from retry-after-ms or Retry-After (seconds or a date), else None."""
    for name, scale in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * scale
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    date = parsedate_tz(headers.get("retry-after", ""))
    try:
        return None if date is None else max(0.0, mktime_tz(date) - time.time())
    except (ValueError, OverflowError, OSError):  # a date that no calendar has
        return None


def as_failure(error: openai.APIError, model: str) -> CallFailed:
    """What the client library raised once it had given up."""
    if isinstance(error, openai.APITimeoutError):
        return CallFailed("unavailable", "upstream_unavailable", "the engine did not answer in time")
    if isinstance(error, openai.APIStatusError):
        return _by_status(error, model)
    return CallFailed("unavailable", "upstream_unavailable", "the engine cannot be reached")


def _by_status(error: openai.APIStatusError, model: str) -> CallFailed:
    status = error.status_code
    after = patience(error.response.headers)
    if status == 429:
        return CallFailed("rate_limited", "upstream_unavailable", "the engine answered 429: too many calls", after)
    if status >= 500 or status in (408, 409):
        return CallFailed("unavailable", "upstream_unavailable", f"the engine answered {status}", after)
    if status in (401, 403):
        return CallFailed("refused", "upstream_unavailable", f"the engine answered {status}: it refuses the API key")
    if status == 404:
        detail = f"the engine answered 404: it does not know the model {model}, or its URL is wrong"
        return CallFailed("refused", "upstream_unavailable", detail)
    if status in (400, 413, 422):
        return CallFailed("refused", "upstream_invalid", f"the engine rejects the request: {error.message[:300]}")
    return CallFailed("refused", "upstream_unavailable", f"the engine answered {status}")
