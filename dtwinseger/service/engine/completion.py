"""A chat completion as an engine sends it, validated, and the answer in it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from dtwinseger.problems import in_words
from dtwinseger.prompts import Message
from dtwinseger.service.engine.failure import CallFailed

T = TypeVar("T", bound=BaseModel)
Check = Callable[[T], list[str]]  # what is wrong with an answer that has the right shape; empty when nothing is
Count = Annotated[int, Field(ge=0, le=10**9)]

MAX_CHARACTERS = 200_000  # of an answer: a path over hundreds of objects has half of that
_ERROR_CHARACTERS = 1_000  # of what is told of an answer that is wrong
_ERRORS = 100


class Token(BaseModel):
    """A token of an answer, with the logarithm of the probability that the model gave it."""

    token: str
    logprob: Annotated[float, Field(allow_inf_nan=False)]


class _Logprobs(BaseModel):
    content: tuple[Token, ...]


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None
    logprobs: Any = None  # read where they are wanted: an answer is not lost over them


class _PromptDetails(BaseModel):
    cached_tokens: Count | None = None


class TokenCounts(BaseModel):
    """`usage` of a completion."""

    prompt_tokens: Count
    completion_tokens: Count
    prompt_tokens_details: _PromptDetails | None = None

    @property
    def cached_tokens(self) -> int:
        """Those of the prompt's that the engine had in its prefix cache."""
        told = self.prompt_tokens_details and self.prompt_tokens_details.cached_tokens
        return min(told or 0, self.prompt_tokens)


class Completion(BaseModel):
    """What is read of a completion; engines add fields of their own."""

    choices: list[_Choice]
    usage: TokenCounts | None = None

    def text(self, model: str) -> str:
        """What the model said. Raises CallFailed where it said nothing whole."""
        name = f"the model {model}"
        if not self.choices:
            raise CallFailed("invalid", "upstream_invalid", f"{name} gave no answer")
        choice = self.choices[0]
        if choice.message.refusal or choice.finish_reason == "content_filter":
            raise CallFailed("refused", "upstream_invalid", f"{name} refused to answer")
        text = choice.message.content or ""
        if choice.finish_reason == "length":
            raise CallFailed("invalid", "upstream_invalid", f"{name} was cut off before its answer ended")
        if not text.strip():
            raise CallFailed("invalid", "upstream_invalid", f"{name} gave an empty answer")
        if len(text) > MAX_CHARACTERS:
            raise CallFailed("invalid", "upstream_invalid", f"{name} gave an answer of {len(text):,} characters")
        return text

    def tokens(self) -> tuple[Token, ...]:
        """The answer's tokens; none where the engine gives no log-probabilities."""
        try:
            return _Logprobs.model_validate(self.choices[0].logprobs).content
        except (ValidationError, IndexError):
            return ()


def completion(body: bytes) -> Completion | None:
    """The completion that a 200 holds; None where it holds something else."""
    try:
        return Completion.model_validate_json(body)
    except ValidationError:
        return None


def read(text: str, schema: type[T], check: Check[T] | None) -> tuple[T | None, str]:
    """The answer, or None and what is wrong with it. A ```json fence around it is tolerated, nothing else."""
    try:
        answer = schema.model_validate_json(_unfenced(text))
    except ValidationError as error:
        many = error.error_count() > _ERRORS  # to word thousands takes a second
        return None, f"{error.error_count()} fields are wrong" if many else in_words(error)[:_ERROR_CHARACTERS]
    faults = check(answer) if check else []
    return (None, "; ".join(faults)[:_ERROR_CHARACTERS]) if faults else (answer, "")


def images(messages: Sequence[Message]) -> int:
    """How many pictures are in `messages`."""
    contents = (message["content"] for message in messages if isinstance(message["content"], list))
    return sum(part["type"] == "image_url" for content in contents for part in content)


def response_format(name: str, schema: Mapping[str, Any]) -> Any:
    """What holds an engine to a JSON schema."""
    return {"type": "json_schema", "json_schema": {"name": name, "schema": _strict(schema), "strict": True}}


def _unfenced(text: str) -> str:
    first, _, rest = text.strip().partition("\n")
    fenced = first.rstrip() == "```json" and rest.endswith("```")
    return rest.removesuffix("```") if fenced else text


def _strict(schema: Any) -> Any:
    """A JSON schema as engines enforce it: every property required, no default, nothing more allowed."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    strict = {key: _strict(value) for key, value in schema.items() if key != "default"}
    if isinstance(properties := strict.get("properties"), dict):
        strict |= {"required": list(properties), "additionalProperties": False}
    return strict
