"""What the LLM writes about one query (Eqs. 7-9), and one such answer as a vote."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dtwinseger import api
from dtwinseger.twin import Step
from dtwinseger.twin.path import Index
from services.reasoner.certainty import Certainty


class ReasonAnswer(api.Contract):
    """The path first, the indices last."""

    path: tuple[Step, ...]
    indices: tuple[Index, ...]


@dataclass(frozen=True)
class Vote:
    """A valid answer; `certainty` where the engine gave log-probabilities."""

    answer: ReasonAnswer
    certainty: Certainty | None = None


def schema_of(present: Sequence[int]) -> dict[str, Any]:
    """The JSON schema of an answer about objects of these indices: it decides on them and lists them, and no others.

    That no index comes twice is left to validation: engines do not know `uniqueItems`.
    """
    return _schema(tuple(sorted(present)))


@lru_cache(maxsize=64)
def _schema(present: tuple[int, ...]) -> dict[str, Any]:
    schema = ReasonAnswer.model_json_schema()
    one = {"type": "integer", "enum": list(present)}
    schema["$defs"]["Decision"]["properties"]["index"] = one
    schema["properties"]["indices"]["items"] = one
    return schema


NOTHING_THERE = ReasonAnswer(
    path=(
        Step(
            step=1,
            criterion="is an object of the twin",
            decisions=(),
            otherwise="the twin has no objects, so nothing can answer the query",
        ),
    ),
    indices=(),
)
