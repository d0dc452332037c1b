"""The trials of a path's use change one thing each, and know what following it means."""

import random
from collections.abc import Sequence

from benchmarks.asking import Answered
from benchmarks.path_use import (
    AS_IT_WAS,
    CONTROL,
    DROPPED,
    EMPTY,
    FIRST,
    FIRST_DROPPED,
    KEPT,
    LAST,
    OTHERS,
    judgments,
    trials,
)  # fmt: skip
from dtwinseger.twin import Step, TwinRow
from services.reasoner.answer import ReasonAnswer, Vote
from tests.benchmarks.test_prefixes import PATH
from training.mini.llm_eval import Question
from training.scenes.queries import Query

ROWS = tuple(
    TwinRow(index=index, semantic=f"a mug {index}", bbox=(0, 0, 9, 9), area_percent=1.0) for index in (1, 2, 3)
)


def answered(path: Sequence[Step], indices: tuple[int, ...]) -> Answered:
    query = Query("the red mug", "description", "object", indices, tuple(path), "seen")
    return Answered(Question(0, query, ROWS), Vote(ReasonAnswer(path=tuple(path), indices=indices)), at_first=True)


def test_a_path_of_two_steps_offers_every_change() -> None:
    found = {trial.change: trial.followed for trial in trials(answered(PATH, (2,)), random.Random(0))}
    assert found == {CONTROL: (2,), DROPPED: (), KEPT: (2, 3), LAST: (2, 3), FIRST_DROPPED: (), FIRST: None}


def test_a_path_of_one_step_has_none_to_delete() -> None:
    found = {trial.change for trial in trials(answered(PATH[:1], (2, 3)), random.Random(0))}
    assert found == {CONTROL, DROPPED, KEPT}


def test_reasoning_is_borrowed_from_a_decision_with_the_other_verdict() -> None:
    for seed in range(5):
        found = {one.change: one for one in judgments(answered(PATH, (2,)), random.Random(seed))}
        assert set(found) == {AS_IT_WAS, EMPTY, OTHERS}
        assert found[OTHERS].followed is not found[OTHERS].keep
        assert found[OTHERS].forced.endswith("a tree" if found[OTHERS].keep else "a mug")


def test_what_has_no_valid_answer_offers_nothing() -> None:
    lost = Answered(answered(PATH, (2,)).question, None, at_first=False)
    assert not list(trials(lost, random.Random(0)))
    assert not list(judgments(lost, random.Random(0)))
