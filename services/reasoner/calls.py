"""What one query asks of the LLM: guarded answers, what they cost, and no longer than there is time to tell them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dtwinseger.api import EngineUsage
from dtwinseger.problems import Problem
from dtwinseger.prompts import Message
from dtwinseger.service.deadline import remaining
from dtwinseger.service.engine import Engine
from dtwinseger.service.engine.completion import Token
from dtwinseger.twin import violations
from services.reasoner.answer import ReasonAnswer, Vote, schema_of
from services.reasoner.certainty import certainty
from services.reasoner.models import Chosen

TOKENS, TOKENS_AN_OBJECT = 400, 80  # of an answer, at most: three steps about every object in any model's tokens
TO_TELL_S = 0.25  # of the deadline, at most a tenth of it, to tell what is there


@dataclass(frozen=True)
class Asking:
    """Whom one request asks, and how. logprobs: whether for log-probabilities too.

    further_samples: how many answers may be asked for once none is valid.
    """

    engine: Engine
    model: Chosen
    logprobs: bool
    further_samples: int


def last_moment() -> float | None:
    """Until when the current request may ask, on the event loop's clock; None where it has no deadline."""
    left = remaining()
    return None if left is None else asyncio.get_running_loop().time() + left - min(TO_TELL_S, left / 10)


class Calls:
    """The calls of one query, which end at `ends_at` on the event loop's clock."""

    def __init__(self, asking: Asking, ends_at: float | None) -> None:
        self.asking = asking
        self.usage = EngineUsage()  # of every call that was answered, also where the answer was of no use
        self._ends_at = ends_at

    def time_for(self, seconds: float) -> bool:
        """Whether a call that takes so long can end in time."""
        return self._ends_at is None or asyncio.get_running_loop().time() + seconds < self._ends_at

    async def vote(
        self, messages: Sequence[Message], present: Sequence[int], temperature: float, tries: Literal[1, 2] = 2
    ) -> Vote:
        """An answer about a twin whose indices are `present`, which keeps the rules of the path.

        One that does not is sent back once, where there are two `tries`. Raises Problems.
        """
        late = Problem("deadline_exceeded", "the model did not answer within the request's time")
        if not self.time_for(0):
            raise late
        heard: list[Token] = []
        engine = self.asking.engine
        try:
            async with asyncio.timeout_at(self._ends_at):
                answer, _ = await engine.ask(
                    messages,
                    ReasonAnswer,
                    TOKENS + TOKENS_AN_OBJECT * len(present),
                    check=lambda said: violations(said.path, said.indices, present),
                    temperature=temperature,
                    hear=heard.extend if self.asking.logprobs else None,
                    meter=self._count,
                    model=self.asking.model.name,
                    held_to=schema_of(present) if engine.settings.structured_output else None,
                    tries=tries,
                )
        except TimeoutError:
            raise late from None
        return Vote(answer, certainty(heard, answer.indices))

    def _count(self, cost: EngineUsage) -> None:
        self.usage += cost
