"""Beginnings of answers that hold a changed reasoning path: what a model is made to go on from.

Each ends where the model itself ends a token, so that it goes on as if it had written the beginning.
"""

from collections.abc import Sequence

from dtwinseger.twin import Step, render_answer

Path = Sequence[Step]

_END = '],"otherwise":null}],"indices":[]}'  # of an answer that keeps nothing
_VERDICT = '","keep":'


def through_path(path: Path) -> str:
    """The whole path; the indices are next."""
    return render_answer(path, ()).removesuffix("]}")


def through_decisions(path: Path) -> str:
    """The path but for the end of its last step: more decisions, another step or the indices may be next.

    Raises ValueError where that step drops the others unlisted.
    """
    if path[-1].otherwise is not None:
        raise ValueError("the last step says why it drops the others, so its end is not open")
    return render_answer(path, ()).removesuffix(_END)


def through_reasoning(path: Path, number: int, index: int, reasoning: str) -> str:
    """The path up to step `number`'s verdict on the object, for which it gives this reasoning; the verdict is next."""
    step = path[number - 1]
    at = [decision.index for decision in step.decisions].index(index)
    last = step.decisions[at].model_copy(update={"reasoning": reasoning})
    cut = step.model_copy(update={"decisions": (*step.decisions[:at], last), "otherwise": None})
    text = render_answer((*path[: number - 1], cut), ())
    return text[: text.rindex(_VERDICT)]


def flipped(step: Step, index: int, semantic: str | None) -> Step:
    """The step with the opposite verdict on the object; `semantic` is what a kept one is then called."""
    decisions = [
        decision.model_copy(update={"keep": not decision.keep, "semantic": None if decision.keep else semantic})
        if decision.index == index
        else decision
        for decision in step.decisions
    ]
    return step.model_copy(update={"decisions": tuple(decisions)})


def opened(criterion: str) -> str:
    """A path whose first step has this criterion; its first decision is next."""
    return through_decisions((Step(step=1, criterion=criterion, decisions=()),))
