"""One query reasoned over one twin (Eqs. 5-9): messages, the answer, and the guards that it must pass."""

from dtwinseger import api, prompts
from dtwinseger.service.engine import Engine
from dtwinseger.twin import Step, violations
from dtwinseger.twin.path import Index

TOKENS, TOKENS_AN_OBJECT = 400, 80  # of an answer, at most: three steps about every object in any model's tokens


class ReasonAnswer(api.Contract):
    """What the LLM writes: the path first, the indices last."""

    path: tuple[Step, ...]
    indices: tuple[Index, ...]


async def reason(engine: Engine, request: api.ReasonRequest) -> api.ReasonResponse:
    """Ask the LLM; an answer that breaks the rules of the path is sent back once. Raises Problems.

    A twin without objects is answered without asking. `confidence` stays empty: one answer measures none.
    """
    if request.objects:
        present = [row.index for row in request.objects]
        answer, usage = await engine.ask(
            prompts.reasoning(request.query, request.objects),
            ReasonAnswer,
            TOKENS + TOKENS_AN_OBJECT * len(present),
            check=lambda said: violations(said.path, said.indices, present),
        )
    else:
        answer, usage = NOTHING_THERE, api.EngineUsage()
    return api.ReasonResponse(
        indices=answer.indices,
        path=answer.path,
        confidence={},
        model=engine.settings.identity,
        prompts=prompts.digest(prompts.REASONING),
        usage=usage,
    )


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
