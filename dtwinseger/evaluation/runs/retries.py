"""When a request is tried again, and what to do while the gateway is away."""

import asyncio
import random
import time

import httpx2
from pydantic import ValidationError

from dtwinseger.api import Readiness
from dtwinseger.evaluation.runs.record import Stopped
from dtwinseger.problems import Problem

BUSY = ("overloaded", "rate_limited")  # the system is well and asks for patience
BROKEN = ("upstream_unavailable", "storage_unavailable")  # a part of it is away, or the connection was lost
ATTEMPTS = 4  # at what is broken
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
PROBE_S = 1.0  # between two looks at a gateway that is away
PROBE_TIMEOUT_S = 5.0


def wait_before(attempt: int, problem: Problem) -> float:
    """Seconds before try `attempt` + 1: as the gateway asks, else twice as long each time; a little more by chance."""
    wished = problem.retry_after if problem.retry_after is not None else FIRST_WAIT_S * 2 ** min(attempt - 1, 16)
    return min(wished, LONGEST_WAIT_S) * random.uniform(1.0, 1.25)  # noqa: S311 - spreads the load


class Gate:
    """Lets requests through while the gateway is there; one looks out for it while it is away.

    patience_s: seconds that it may be away before the run stops.
    """

    def __init__(self, url: str, patience_s: float) -> None:
        self._http = httpx2.AsyncClient(base_url=url, timeout=PROBE_TIMEOUT_S)
        self._url = url
        self._patience_s = patience_s
        self._looking = asyncio.Lock()
        self.away_since: float | None = None  # by time.monotonic

    async def ready(self) -> bool:
        """Is the gateway there, and every service behind it? It answers without its store."""
        try:
            response = await self._http.get("/readyz")
            needs = Readiness.model_validate_json(response.content).needs
        except (httpx2.HTTPError, ValidationError):
            return False
        return response.is_success and all(state == "ok" for need, state in needs.items() if need != "store")

    async def until_ready(self) -> bool:
        """Wait for the gateway; was it away? Raises Stopped where it stays away."""
        async with self._looking:
            if await self.ready():
                return False
            self.away_since = time.monotonic()
            while not await self.ready():
                if time.monotonic() - self.away_since > self._patience_s:
                    waited = f"the gateway at {self._url}, or a service behind it, has been away for"
                    raise Stopped(f"{waited} {self._patience_s:g} s; results are kept: run the same command again")
                await asyncio.sleep(min(PROBE_S, self._patience_s))
            self.away_since = None
            return True

    async def close(self) -> None:
        """Close the connection."""
        await self._http.aclose()
