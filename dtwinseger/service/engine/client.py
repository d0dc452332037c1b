"""The engine as a service asks it: typed answers, what they cost, and no more calls at once than it should see."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self

import httpx2
import openai
from opentelemetry.trace import SpanKind
from opentelemetry.util.types import AttributeValue

from dtwinseger.api import EngineUsage
from dtwinseger.prompts import Message, reask
from dtwinseger.service.deadline import remaining
from dtwinseger.service.engine import metrics
from dtwinseger.service.engine.breaker import Breaker
from dtwinseger.service.engine.budget import RetryBudget
from dtwinseger.service.engine.completion import (
    Check,
    Completion,
    T,
    Token,
    completion,
    images,
    read,
    response_format,
)
from dtwinseger.service.engine.failure import CallFailed, as_failure
from dtwinseger.service.engine.http import LIMITED_RETRIES, GuardedHttp
from dtwinseger.service.engine.listing import MOST_BYTES, Listing, read_up_to
from dtwinseger.service.engine.settings import EngineSettings
from dtwinseger.service.telemetry import note, span

FAILURES = 5  # in a row, after which the engine is left alone
PAUSE_S = 15.0  # then until the next try
RETRY_SHARE = 0.2  # of all calls; beside it each call in flight may be retried once
_CONNECT_S = 5.0
_READY_S = 2.0  # for the engine to list its models

Meter = Callable[[EngineUsage], None]
Hear = Callable[[Sequence[Token]], None]


class Engine:
    """One engine for one service. Retries are the openai client's own; there is no other layer of them.

    role: under which metrics name it.
    """

    def __init__(self, settings: EngineSettings, role: metrics.Role) -> None:
        self.settings = settings
        self.role = role
        self._breaker = Breaker(FAILURES, PAUSE_S)
        budget = RetryBudget(RETRY_SHARE, reserve=settings.max_in_flight)
        self._client = openai.AsyncOpenAI(
            base_url=settings.url,
            api_key=settings.api_key.get_secret_value(),
            max_retries=LIMITED_RETRIES,
            timeout=httpx2.Timeout(settings.timeout_s, connect=min(_CONNECT_S, settings.timeout_s)),
            http_client=GuardedHttp(role, self._breaker, budget, settings.timeout_s),
        )
        # Readiness is no call: it takes no probe's place, waits at no gate and earns no retries.
        key = settings.api_key.get_secret_value()
        self._readiness = httpx2.AsyncClient(timeout=_READY_S, headers={"Authorization": f"Bearer {key}"})
        self._slots = asyncio.Semaphore(settings.max_in_flight)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()
        await self._readiness.aclose()

    async def ask(
        self,
        messages: Sequence[Message],
        schema: type[T],
        max_tokens: int,
        check: Check[T] | None = None,
        *,
        temperature: float = 0,
        hear: Hear | None = None,
        meter: Meter | None = None,
        model: str | None = None,
        held_to: Mapping[str, Any] | None = None,
        tries: Literal[1, 2] = 2,
    ) -> tuple[T, EngineUsage]:
        """The answer of `model` (None: the one in the settings) as `schema`, and what it cost.

        An answer that is no valid `schema`, or with which `check` finds fault, is sent back once with the error, unless
        `tries` is 1. `held_to` is the JSON schema that the engine is held to where it can be, in place of `schema`'s.
        `meter` is told of each call once the engine has answered it, also where this raises in the end. With `hear` the
        engine is asked for log-probabilities, and `hear` is told the tokens of the answer that is returned, none where
        the engine leaves them out.

        Raises Problem `upstream_invalid` where the last answer is no better, or the model refuses, is cut off, says
        nothing or far too much; `upstream_unavailable` where the engine cannot be reached, fails, has failed too often
        or limits its rate for longer than the deadline leaves; `deadline_exceeded`.
        """
        usage = EngineUsage()
        asked = list(messages)
        error = ""
        name = model or self.settings.model
        form = None
        if self.settings.structured_output:
            form = response_format(schema.__name__, held_to or schema.model_json_schema())
        for _ in range(tries):
            with span(f"chat {name}", self._described(name, max_tokens, temperature), SpanKind.CLIENT):
                try:
                    answered = await self._complete(name, asked, form, max_tokens, temperature, hear is not None)
                    cost = self._counted(answered, images(asked))
                    usage += cost
                    if meter:
                        meter(cost)
                    text = self._text(answered, name)
                except CallFailed as failure:
                    self._count(failure.outcome)
                    raise
                except asyncio.CancelledError:
                    self._count("cancelled")
                    raise
                answer, error = read(text, schema, check)
                self._count("invalid" if answer is None else "ok")
            if answer is not None:
                if hear and answered:
                    hear(answered.tokens())
                return answer, usage
            asked += reask(text, error)
        detail = f"the model {name} answered {'twice ' if tries == 2 else ''}wrongly: {error}"
        raise CallFailed("invalid", "upstream_invalid", detail)

    async def state(self) -> str:
        """For readiness: "ok", or what is wrong with the engine or with how it lists the model in the settings."""
        listing = await self.listing()
        return listing if isinstance(listing, str) else listing.state(self.settings.model)

    async def listing(self) -> Listing | str:
        """The models that the engine lists, or what is wrong with it."""
        if self._breaker.remaining():
            return str(self._breaker)
        try:
            async with self._readiness.stream("GET", f"{self.settings.url.rstrip('/')}/models") as response:
                kind = response.headers.get("content-type", "nothing").partition(";")[0]
                body = await read_up_to(MOST_BYTES, response) if response.is_success else b""
        except (httpx2.HTTPError, httpx2.InvalidURL):
            return "the engine cannot be reached"
        if not response.is_success:
            return f"the engine answers {response.status_code}"
        if not kind.endswith("json"):
            return f"the engine lists its models as {kind}; is its URL right?"
        return Listing.of(body)

    async def _complete(
        self,
        model: str,
        messages: list[Message],
        form: Any,
        max_tokens: int,
        temperature: float,
        logprobs: bool,
    ) -> Completion | None:
        """One call, with its retries. None is an answer that is no completion."""
        async with self._slots:
            left = remaining()
            if left is not None and left <= 0:
                raise CallFailed("cancelled", "deadline_exceeded", "no time was left to ask the engine")
            body: dict[str, object] = {
                "model": model,
                "messages": messages,
                "temperature": temperature,
                "max_tokens": max_tokens,
            }
            if logprobs:
                body["logprobs"] = True
            if form:
                body["response_format"] = form
            try:
                # `chat.completions.create` would first compare every part of the messages with its types: half of the
                # time that a call takes here.
                response = await self._client.post("/chat/completions", cast_to=httpx2.Response, body=body)
            except openai.APIError as error:
                raise as_failure(error, model) from error
        return completion(response.content)

    def _text(self, answered: Completion | None, model: str) -> str:
        if answered is None:  # the client hands on whatever a 200 holds
            raise CallFailed("invalid", "upstream_invalid", "the engine's response is no chat completion")
        return answered.text(model)

    def _counted(self, answered: Completion | None, pictures: int) -> EngineUsage:
        """What one call cost."""
        if answered is None or answered.usage is None:
            usage = EngineUsage(calls=1, images=pictures, cost_usd=None)
        else:
            counts = answered.usage
            prompt, cached, completed = counts.prompt_tokens, counts.cached_tokens, counts.completion_tokens
            usage = EngineUsage(
                calls=1,
                images=pictures,
                prompt_tokens=prompt,
                cached_tokens=cached,
                completion_tokens=completed,
                cost_usd=self.settings.cost_usd(prompt, cached, completed),
            )
        metrics.observe(self.role, usage)
        note({"gen_ai.usage.input_tokens": usage.prompt_tokens, "gen_ai.usage.output_tokens": usage.completion_tokens})
        return usage

    def _described(self, model: str, max_tokens: int, temperature: float) -> dict[str, AttributeValue]:
        """A call by the semantic conventions of generative AI; what is asked and answered stays out of it."""
        return {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",  # its protocol, whoever serves
            "gen_ai.request.model": model,
            "gen_ai.request.max_tokens": max_tokens,
            "gen_ai.request.temperature": temperature,
            "dtwinseger.engine": self.role,
        }

    def _count(self, outcome: metrics.Outcome) -> None:
        metrics.CALLS.labels(self.role, outcome).inc()
        note({"dtwinseger.outcome": outcome})
