"""What the LLM writes about one query (Eqs. 7-9), and one such answer as a vote."""

from dataclasses import dataclass

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
