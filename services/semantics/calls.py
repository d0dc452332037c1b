"""The calls that one request makes to its engine: counted, and ended at the ceiling that its options set."""

import asyncio
import math
from collections.abc import Callable, Coroutine

from dtwinseger.api import EngineUsage, SemanticsOptions
from dtwinseger.problems import Problem
from dtwinseger.prompts import Message
from dtwinseger.service.engine import Engine
from dtwinseger.service.engine.completion import Check, T

Question = Callable[[], Coroutine[None, None, list[Message]]]  # put into messages once it may be asked

CALLS_AN_ASK = 2  # at most: an invalid answer is sent back once


class LeftOut(Problem):
    """The ceiling is reached: no call is made any more. Nothing failed."""

    def __init__(self, ceiling: str) -> None:
        super().__init__("rate_limited", f"left out: {ceiling}")


class Calls:
    """What one request asks of `engine`, within `max_calls` and `max_cost_usd` of its options.

    An ask begins where what is left suffices for it and for those under way, should each need its second call; the last
    one begins alone, where one call is left. So `max_calls` is passed by no more than the second call of that last ask.
    A call is expected to cost what the dearest so far did, and the first is made alone to learn that.
    """

    def __init__(self, engine: Engine, options: SemanticsOptions) -> None:
        self.at_once = engine.settings.max_in_flight
        self.usage = EngineUsage()  # of every call that was answered, also where the answer was of no use
        self._engine = engine
        self._max_calls = options.max_calls
        self._max_cost = options.max_cost_usd
        self._dearest = 0.0  # USD
        self._asking = 0
        self._slots = asyncio.Semaphore(self.at_once)  # an ask keeps its own for a second call
        self._line = asyncio.Lock()  # those who wait, in the order in which they came
        self._ended = asyncio.Event()  # an ask

    async def ask(self, question: Question, schema: type[T], max_tokens: int, check: Check[T]) -> T:
        """The model's answer. Who comes first asks first. Raises LeftOut, and what `Engine.ask` raises."""
        async with self._line:
            while self._asking and self._room() < CALLS_AN_ASK * (self._asking + 1):
                await self._ended.wait()
            if self._room() < 1:
                raise LeftOut(self._ceiling())
            self._asking += 1
        messages = asyncio.ensure_future(question())  # made while others ask
        try:
            async with self._slots:
                answer, _ = await self._engine.ask(await messages, schema, max_tokens, check, meter=self._count)
        finally:
            messages.cancel()
            self._asking -= 1
            self._ended.set()  # wakes who waits now
            self._ended.clear()
        return answer

    def _count(self, cost: EngineUsage) -> None:
        self.usage += cost
        self._dearest = max(self._dearest, cost.cost_usd or 0.0)

    def _room(self) -> float:
        """How many calls the ceiling still leaves."""
        calls = math.inf if self._max_calls is None else self._max_calls - self.usage.calls
        return min(calls, self._affordable())

    def _affordable(self) -> float:
        if self._max_cost is None:
            return math.inf
        if self.usage.cost_usd is None:
            return 0
        if not self.usage.calls:
            return 1
        left = self._max_cost - self.usage.cost_usd
        return left / self._dearest + 1e-9 if self._dearest else math.inf  # sums of cents are not exact

    def _ceiling(self) -> str:
        if self._max_calls is not None and self.usage.calls >= self._max_calls:
            return f"max_calls {self._max_calls} reached"
        if self.usage.cost_usd is None:
            return "the engine does not count its tokens, so that max_cost_usd cannot be kept"
        return f"max_cost_usd {self._max_cost:g} reached"
