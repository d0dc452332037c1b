"""What each character of an answer weighs in the loss (Eq. 10): structure, criteria, decisions, final indices."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from dtwinseger.twin import Step, render_answer

Positive = Annotated[float, Field(gt=0)]


@dataclass(frozen=True)
class Weights:
    """Of a token of each part. The paper says that they differ, not what they are: these are ours.

    Only their proportions matter: all doubled, the loss is the same.
    """

    structure: Positive = 1.0  # keys and punctuation of the JSON, and the end of the turn
    criterion: Positive = 2.0  # of each step, and whether another step follows
    reasoning: Positive = 2.0  # of each decision, its refined semantic, and `otherwise`
    verdict: Positive = 2.0  # of each decision, which object it is on, and keep or drop
    indices: Positive = 4.0  # of the answer, and the bracket that closes them: [] is an answer
    prompt: Annotated[float, Field(ge=0)] = (
        0.0  # instruction, twin and query; 0.05 helps a model that is trained from scratch
    )


def answer_weights(path: Sequence[Step], indices: Sequence[int], weights: Weights) -> tuple[str, list[float]]:
    """The answer as `render_answer` writes it, and the weight of each of its characters.

    Raises AssertionError where the pieces are not that text: the rendering was changed and this was not.
    """
    pieces = list(_pieces(path, indices, weights))
    text = "".join(piece for piece, _ in pieces)
    if text != render_answer(path, indices):
        raise AssertionError("the spans of an answer are not those of dtwinseger.twin.render_answer")
    return text, [weight for piece, weight in pieces for _ in piece]


def _pieces(path: Sequence[Step], indices: Sequence[int], weights: Weights) -> Iterator[tuple[str, float]]:
    structure, reasoning, verdict = weights.structure, weights.reasoning, weights.verdict
    of_decision = {"index": verdict, "reasoning": reasoning, "keep": verdict, "semantic": reasoning}
    yield '{"path":[', structure
    for number, step in enumerate(path):
        yield "," if number else "", weights.criterion
        yield f'{{"step":{step.step},"criterion":', structure
        yield _json(step.criterion), weights.criterion
        yield ',"decisions":[', structure
        for place, decision in enumerate(step.decisions):
            yield "," if place else "", structure
            yield "{", structure
            for field, (key, value) in enumerate(decision.model_dump().items()):
                yield f'{"," if field else ""}"{key}":', structure
                yield _json(value), of_decision[key]
            yield "}", structure
        yield '],"otherwise":', structure
        yield _json(step.otherwise), reasoning
        yield "}", structure
    yield "]", weights.criterion
    yield ',"indices":[', structure
    yield _json(list(indices))[1:], weights.indices
    yield "}", structure


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
