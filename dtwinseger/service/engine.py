"""The only way a service reaches a model: one JSON answer of a known shape over OpenAI chat completions."""

import asyncio
import hashlib
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Self, TypeVar

import openai
from openai.types.chat import ChatCompletion
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from dtwinseger.api import EngineUsage
from dtwinseger.problems import Problem, in_words
from dtwinseger.prompts import Message, reask
from dtwinseger.service.deadline import remaining

T = TypeVar("T", bound=BaseModel)
Check = Callable[[T], list[str]]  # what is wrong with an answer that has the right shape; empty when nothing is

_FENCE = re.compile(r"\s*```json\s*\n(.*?)\n?\s*```\s*", re.DOTALL)
_READY_S = 2.0  # for the engine to list its models


class EngineSettings(BaseModel):
    """Where a model is served. `structured_output` asks for a JSON schema where the engine can be held to one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = "http://127.0.0.1:8090/v1"
    model: str
    api_key: SecretStr = SecretStr("none")  # engines of one's own ask for none
    structured_output: bool = False
    max_in_flight: Annotated[int, Field(ge=1)] = 8
    timeout_s: Annotated[float, Field(gt=0)] = 120.0  # of one call, where the deadline leaves more

    @cached_property
    def identity(self) -> str:
        """The model's name, with a hash of its weights where it is a folder here: other weights, other results."""
        weights = sorted(Path(self.model).glob("*.safetensors"))
        if not weights:
            return self.model
        digest = hashlib.sha256()
        for path in weights:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return f"{self.model}@{digest.hexdigest()[:12]}"


class Engine:
    """One engine for one service. Retries are the openai client's own; there is no other layer of them."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self._client = openai.AsyncOpenAI(base_url=settings.url, api_key=settings.api_key.get_secret_value())
        self._slots = asyncio.Semaphore(settings.max_in_flight)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def ask(
        self, messages: Sequence[Message], schema: type[T], max_tokens: int, check: Check[T] | None = None
    ) -> tuple[T, EngineUsage]:
        """The model's answer as `schema`, and what it cost.

        An answer that is no valid `schema`, or with which `check` finds fault, is sent back once with the error. Raises
        Problem `upstream_invalid` where the second is no better, or the model refuses, is cut off or says nothing;
        `upstream_unavailable` where the engine cannot be reached or fails; `deadline_exceeded`.
        """
        usage = EngineUsage()
        asked = list(messages)
        for last in (False, True):
            text, cost = await self._complete(asked, schema, max_tokens)
            usage += cost
            answer, error = _read(text, schema, check)
            if answer is not None:
                return answer, usage
            if last:
                raise Problem("upstream_invalid", f"the model {self.settings.model} answered twice wrongly: {error}")
            asked += reask(text, error)
        raise AssertionError("unreachable")

    async def state(self) -> str:
        """For readiness: "ok", or what is wrong with the engine."""
        try:
            await self._client.with_options(timeout=_READY_S, max_retries=0).models.list()
        except openai.APIStatusError as error:
            return f"the engine answers {error.status_code}"
        except openai.APIError:
            return "the engine cannot be reached"
        return "ok"

    async def _complete(
        self, messages: list[Message], schema: type[BaseModel], max_tokens: int
    ) -> tuple[str, EngineUsage]:
        async with self._slots:
            left = remaining()
            if left is not None and left <= 0:
                raise Problem("deadline_exceeded", "no time was left to ask the engine")
            timeout = self.settings.timeout_s if left is None else min(left, self.settings.timeout_s)
            try:
                completion = await self._client.chat.completions.create(
                    model=self.settings.model,
                    messages=messages,  # type: ignore[arg-type]
                    temperature=0,
                    max_tokens=max_tokens,
                    timeout=timeout,
                    response_format=_response_format(schema) if self.settings.structured_output else openai.omit,
                )
            except openai.APIError as error:
                raise _as_problem(error) from error
        if not isinstance(completion, ChatCompletion):  # the client hands on whatever a 200 holds
            raise Problem("upstream_invalid", "the engine's response is no chat completion")
        counted = completion.usage
        usage = EngineUsage(
            calls=1,
            prompt_tokens=counted.prompt_tokens if counted else 0,
            completion_tokens=counted.completion_tokens if counted else 0,
        )
        return self._text(completion), usage

    def _text(self, completion: ChatCompletion) -> str:
        """What the model said; raises Problem `upstream_invalid` where it said nothing whole."""
        name = f"the model {self.settings.model}"
        if not completion.choices:
            raise Problem("upstream_invalid", f"{name} gave no answer")
        choice = completion.choices[0]
        if choice.message.refusal or choice.finish_reason == "content_filter":
            raise Problem("upstream_invalid", f"{name} refused to answer")
        if choice.finish_reason == "length":
            raise Problem("upstream_invalid", f"{name} was cut off before its answer ended")
        if not (choice.message.content or "").strip():
            raise Problem("upstream_invalid", f"{name} gave an empty answer")
        return choice.message.content or ""


def _read(text: str, schema: type[T], check: Check[T] | None) -> tuple[T | None, str]:
    """The answer, or None and what is wrong with it. A ```json fence around it is tolerated, nothing else."""
    fenced = _FENCE.fullmatch(text)
    try:
        answer = schema.model_validate_json(fenced[1] if fenced else text)
    except ValidationError as error:
        return None, in_words(error)
    faults = check(answer) if check else []
    return (None, "; ".join(faults)) if faults else (answer, "")


def _as_problem(error: openai.APIError) -> Problem:
    if isinstance(error, openai.APITimeoutError):
        left = remaining()
        if left is not None and left <= 0:
            return Problem("deadline_exceeded", "the engine did not answer before the deadline")
        return Problem("upstream_unavailable", "the engine did not answer in time")
    if isinstance(error, openai.APIStatusError):
        if error.status_code in (400, 413, 422):
            return Problem("upstream_invalid", f"the engine rejects the request: {error.message[:300]}")
        after = error.response.headers.get("retry-after", "")
        return Problem(
            "upstream_unavailable",
            f"the engine answered {error.status_code}",
            retry_after=float(after) if after.isdigit() else None,
        )
    if isinstance(error, openai.APIConnectionError):
        return Problem("upstream_unavailable", "the engine cannot be reached")
    return Problem("upstream_invalid", "the engine's response is no chat completion")


def _response_format(schema: type[BaseModel]) -> Any:
    whole = _strict(schema.model_json_schema())
    return {"type": "json_schema", "json_schema": {"name": schema.__name__, "schema": whole, "strict": True}}


def _strict(schema: Any) -> Any:
    """A JSON schema as engines enforce it: every property required, no default, nothing more allowed."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _strict(value) for key, value in schema.items() if key != "default"}
    if isinstance(properties := strict.get("properties"), dict):
        strict |= {"required": list(properties), "additionalProperties": False}
    return strict
