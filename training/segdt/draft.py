"""Reasoning paths drafted by an LLM that is told the answer, for a person to correct."""

import re
from collections.abc import Sequence
from importlib.resources import files

from pydantic import BaseModel, ConfigDict
from pydantic_settings import BaseSettings, SettingsConfigDict

from dtwinseger import prompts
from dtwinseger.api import EngineUsage
from dtwinseger.prompts import Message
from dtwinseger.service.engine import Engine, EngineSettings
from dtwinseger.twin import Index, Step, TwinRow, violations

MAX_TOKENS = 8_192  # of a path over a hundred objects
_DRAFT = files(__package__).joinpath("draft.txt").read_text("utf-8").strip()
# What gives away that the answer was known: a model that learned it would say so of answers that it has not.
_LEAK = re.compile(
    r"\b(?:(?:known|given|provided|correct|expected) (?:answer|ind(?:ex|ices))|ground[- ]truth|line \"?answer)",
    re.IGNORECASE,
)


class DraftSettings(BaseSettings):
    """Where the LLM that drafts is served: SEGDT_ENGINE_URL, SEGDT_ENGINE_MODEL, SEGDT_ENGINE_API_KEY, …"""

    model_config = SettingsConfigDict(
        env_prefix="SEGDT_",
        env_nested_delimiter="_",
        env_nested_max_split=1,
        frozen=True,
        extra="ignore",
    )

    engine: EngineSettings


class Drafted(BaseModel):
    """What the LLM writes: the path first, the indices last."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: tuple[Step, ...]
    indices: tuple[Index, ...]


class Drafter:
    """Asks an engine for paths. `usage` is what that has cost, failed answers included."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.usage = EngineUsage()

    @property
    def annotator(self) -> str:
        """Under which drafts are marked."""
        return f"draft:{self._engine.settings.model}"

    async def path(self, query: str, rows: Sequence[TwinRow], indices: Sequence[int]) -> tuple[Step, ...]:
        """The path from the twin to `indices`, valid by `violations`.

        An answer that breaks a rule, keeps other objects or betrays that they were known is sent back once. Raises
        Problem `upstream_invalid` where the second one is no better, and what `Engine.ask` raises.
        """

        def check(drafted: Drafted) -> list[str]:
            found = violations(drafted.path, drafted.indices, [row.index for row in rows])
            if list(drafted.indices) != list(indices):
                found.append(f"indices are {list(drafted.indices)}, the answer is {list(indices)}")
            return found + [f"the path says {leak!r}" for leak in _leaks(drafted.path)]

        def count(usage: EngineUsage) -> None:
            self.usage += usage

        drafted, _ = await self._engine.ask(
            messages(query, rows, indices), Drafted, MAX_TOKENS, check=check, meter=count
        )
        return drafted.path


def messages(query: str, rows: Sequence[TwinRow], indices: Sequence[int]) -> list[Message]:
    """As the reasoner is asked, and with the answer."""
    system, user = prompts.reasoning(query, rows)
    return [
        {"role": "system", "content": f"{system['content']}\n{_DRAFT}"},
        {"role": "user", "content": f"{user['content']}\nAnswer: {list(indices)}"},
    ]


def digest() -> str:
    """SHA-256 of what is asked with."""
    return prompts.digest(prompts.REASONING, _DRAFT)


def _leaks(path: Sequence[Step]) -> list[str]:
    said = [text for step in path for text in (step.criterion, step.otherwise or "")]
    said += [decision.reasoning for step in path for decision in step.decisions]
    return [found[0] for text in said if (found := _LEAK.search(text))]
