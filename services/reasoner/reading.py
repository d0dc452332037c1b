"""What the LLM reads of a twin: all of it, or what fits into its budget of tokens (Eq. 5)."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dtwinseger.problems import Problem
from dtwinseger.prompts.parts import inert
from dtwinseger.twin import Step, TwinRow
from dtwinseger.twin.budget import Count, estimated_tokens, fit
from dtwinseger.twin.text import RENDERINGS, Rendering
from services.reasoner.settings import ReasonerSettings


@dataclass(frozen=True)
class Reading:
    """`rows` are what is read; `left_out` counts the other objects of the twin; `warnings` say what was left out."""

    rows: tuple[TwinRow, ...]
    left_out: int = 0
    warnings: tuple[str, ...] = ()

    def of_the_whole(self, path: tuple[Step, ...]) -> tuple[Step, ...]:
        """A path over the rows as one over the whole twin: the first step says why it drops what was not read."""
        if not self.left_out or not path:
            return path
        objects = "the smallest object" if self.left_out == 1 else f"the {self.left_out} smallest objects"
        why = f"{objects} did not fit into the model's budget of tokens and could not be judged"
        first = path[0]
        reason = f"{first.otherwise}; {why}" if first.otherwise else why
        return (first.model_copy(update={"otherwise": reason}), *path[1:])


class Reader:
    """Renders twins for one model, within `settings.twin_tokens` where that is set."""

    def __init__(self, settings: ReasonerSettings) -> None:
        self.rendering: Rendering = settings.rendering
        self._budget = settings.twin_tokens
        self._count: Count = estimated_tokens
        self.counted_by: str | None = None  # "tokenizer" or "estimate"; None where nothing is counted
        if self._budget is not None:
            self._count, self.counted_by = _counter(settings.engine.model)

    async def read(self, objects: Sequence[TwinRow]) -> Reading:
        """What is read of a twin. Raises Problem `invalid_options` where not even its largest object fits."""
        if self._budget is None or not objects:
            return Reading(tuple(objects))
        rows, warnings = await asyncio.to_thread(
            fit, objects, self._budget, lambda text: self._count(inert(text)), RENDERINGS[self.rendering]
        )
        if not rows:
            raise Problem(
                "invalid_options",
                f"objects: not even the largest fits into the {self._budget:,} tokens that the model reads of a twin; "
                "shorten its semantic, or raise REASONER_TWIN_TOKENS",
            )
        return Reading(rows, len(objects) - len(rows), warnings)


def _counter(model: str) -> tuple[Count, str]:
    """What counts tokens, and its name: the model's own tokenizer where the model is a folder here, else an estimate.

    The package `tokenizers` comes with an engine of one's own; without it the estimate, which errs high, must do.
    """
    file = Path(model) / "tokenizer.json"
    if not file.is_file():
        return estimated_tokens, "estimate"
    try:
        from tokenizers import Tokenizer
    except ImportError:
        return estimated_tokens, "estimate"
    encode: Callable[..., Any] = Tokenizer.from_file(str(file)).encode
    return lambda text: len(encode(text, add_special_tokens=False).ids), "tokenizer"
