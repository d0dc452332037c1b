"""One question to the VLM about one mask or several, and what is accepted as its answer."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from dtwinseger import api
from dtwinseger.twin.path import Index
from services.semantics.calls import Calls, Question

MAX_TOKENS = 300  # of the answer on one mask
MAX_ATTRIBUTE = 100  # characters


class DescribedObject(api.Semantics):
    """One mask of several, by the number that it was shown under."""

    index: Index


class DescribedObjects(api.Contract):
    """The answer on several masks."""

    objects: Annotated[tuple[DescribedObject, ...], Field(max_length=16)]


async def ask_about(calls: Calls, indices: Sequence[int], question: Question) -> dict[int, api.Semantics]:
    """What the VLM says of each of `indices`. Raises Problems.

    For one mask the answer names no index, so that none can be confused; for several it names each exactly once.
    """
    if len(indices) == 1:
        return {indices[0]: await calls.ask(question, api.Semantics, MAX_TOKENS, faults)}

    def faults_of_all(answer: DescribedObjects) -> list[str]:
        return numbering([said.index for said in answer.objects], indices) + [
            f"object {said.index}: {fault}" for said in answer.objects for fault in faults(said)
        ]

    answer = await calls.ask(question, DescribedObjects, MAX_TOKENS * len(indices), faults_of_all)
    return {said.index: api.Semantics(**said.model_dump(exclude={"index"})) for said in answer.objects}


def faults(said: api.Semantics) -> list[str]:
    """What is wrong with a description that has the right shape."""
    blank = [name for name in ("semantic", "category") if not getattr(said, name).strip()]
    long = [attribute for attribute in said.attributes if not 1 <= len(attribute.strip()) <= MAX_ATTRIBUTE]
    return [f"{name} is blank" for name in blank] + (
        [f"an attribute has 1 to {MAX_ATTRIBUTE} characters"] if long else []
    )


def numbering(said: Sequence[int], asked: Sequence[int]) -> list[str]:
    """What is wrong with the indices of an answer."""
    counts = Counter(said)
    wrong = [f"object {index} was not asked about" for index in counts if index not in asked]
    wrong += [f"object {index} is missing" for index in asked if index not in counts]
    return wrong + [f"object {index} is described {count} times" for index, count in counts.items() if count > 1]
