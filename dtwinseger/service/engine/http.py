"""The HTTP client under the openai client. It sees every attempt, and decides which may be made and made again.

Retrying is the openai client's; this only tells it where not to, with the header and the errors that it heeds.
"""

import contextlib
import ssl
import time
from typing import Any

import httpx2
import openai
import structlog

from dtwinseger.service.deadline import remaining
from dtwinseger.service.engine import metrics
from dtwinseger.service.engine.breaker import Breaker
from dtwinseger.service.engine.budget import RetryBudget
from dtwinseger.service.engine.failure import CallFailed, patience
from dtwinseger.service.engine.gate import Departure, Gate
from dtwinseger.service.telemetry import http_call

LIMITED_RETRIES = 5  # of a call that is answered 429, or 503 with Retry-After
FAILED_RETRIES = 2  # of a call that fails otherwise
RETRIED = (408, 409, 429)  # and 5xx, by the openai client
LONGEST_PATIENCE_S = 120.0  # what an engine may ask of all calls, and the client waits for
BACK_OFF_S = 1.0  # after a 429 that does not say how long
MAX_BYTES = 4_000_000  # of an answer

log = structlog.get_logger()


class GuardedHttp(openai.DefaultAsyncHttpxClient):
    """One engine's calls, through its gate and its breaker, retried within its budget, read up to MAX_BYTES.

    gate_s: the longest wait at the gate, in seconds, where there is no deadline.
    """

    def __init__(self, role: metrics.Role, breaker: Breaker, budget: RetryBudget, gate_s: float) -> None:
        super().__init__()
        self._role = role
        self._breaker = breaker
        self._budget = budget
        self._gate = Gate()
        self._gate_s = gate_s
        self._in_flight = metrics.IN_FLIGHT.labels(role)

    async def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """One attempt, its body read. Raises CallFailed where it is not let through or the body is too long."""
        retries = int(request.headers.get("x-stainless-retry-count", "0"))
        if retries:
            metrics.CALLS.labels(self._role, "retried").inc()
        else:
            self._budget.earn()
        left = await self._let_through()
        started = time.perf_counter()
        try:
            with (
                self._in_flight.track_inprogress(),
                http_call(request.method, str(request.url), "/chat/completions") as call,
            ):
                request.headers.update(call.headers)
                response = await _whole(await super().send(request, stream=True, **options))
                call.answered(response.status_code)
        except (httpx2.RequestError, ssl.SSLError) as error:
            self._failed()
            if self._may_retry(retries, FAILED_RETRIES):
                raise
            if isinstance(error, httpx2.TimeoutException):
                raise openai.APITimeoutError(request=request) from error
            raise openai.APIConnectionError(request=request) from error
        if response.is_success:
            metrics.SECONDS.labels(self._role).observe(time.perf_counter() - started)
        self._judge(response, left, retries)
        return response

    async def _let_through(self) -> Departure:
        """Wait at the gate until the call may leave. Raises CallFailed."""
        if not self._breaker.remaining():
            longest = remaining()
            left = await self._gate.passed(self._gate_s if longest is None else longest)
            if left is None:
                wait = self._gate.remaining()
                detail = f"the engine limits its rate; it asks to wait {wait:.0f} s, which is too long for this call"
                raise CallFailed("rate_limited", "upstream_unavailable", detail, wait)
            if self._breaker.admit():
                return left
        raise CallFailed("unavailable", "upstream_unavailable", str(self._breaker), max(1.0, self._breaker.remaining()))

    def _judge(self, response: httpx2.Response, left: Departure, retries: int) -> None:
        """Tell gate and breaker of an answer, and the openai client whether to retry."""
        status, wait = response.status_code, patience(response.headers)
        limited = status == 429 or (status == 503 and wait is not None)
        if status >= 500 and not limited:
            self._failed()
        else:
            self._breaker.succeeded()
            metrics.BREAKER_OPEN.labels(self._role).set(0)
        if limited:
            self._gate.shut(min(BACK_OFF_S if wait is None else wait, LONGEST_PATIENCE_S), left)
            log.warning("engine.limited", engine=self._role, status=status, seconds=wait)
        elif status < 500:
            self._gate.answered(left)
        said = response.headers.get("x-should-retry")
        if said == "true" or (said != "false" and (status in RETRIED or status >= 500)):
            may = self._may_retry(retries, LIMITED_RETRIES if limited else FAILED_RETRIES, wait or 0.0)
            response.headers["x-should-retry"] = "true" if may else "false"

    def _failed(self) -> None:
        was_open = self._breaker.open
        self._breaker.failed()
        if self._breaker.open and not was_open:
            metrics.BREAKER_OPEN.labels(self._role).set(1)
            log.error("engine.failed", engine=self._role, state=str(self._breaker))

    def _may_retry(self, retries: int, most: int, wait: float = 0.0) -> bool:
        """Whether the call may be made again after `wait` seconds; if so the budget is charged."""
        left = remaining()
        longest = LONGEST_PATIENCE_S if left is None else min(left, LONGEST_PATIENCE_S)
        return retries < most and wait < longest and not self._breaker.open and self._budget.spend()


async def _whole(response: httpx2.Response) -> httpx2.Response:
    """The response with its body read and decoded. Raises CallFailed over MAX_BYTES, whatever its headers claim."""
    body = bytearray()
    async with contextlib.aclosing(response.aiter_bytes()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > MAX_BYTES:
                raise CallFailed("invalid", "upstream_invalid", f"the engine's answer is over {MAX_BYTES:,} bytes")
    headers = httpx2.Headers(response.headers)
    for name in ("content-encoding", "content-length", "transfer-encoding"):
        headers.pop(name, None)
    return httpx2.Response(response.status_code, headers=headers, content=bytes(body), request=response.request)
