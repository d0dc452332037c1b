"""The rules of the reasoning path."""

import re

import pytest

from dtwinseger.twin import Decision, Step, violations


def step(number: int, kept: list[int], dropped: list[int], otherwise: str | None = None) -> Step:
    decisions = [Decision(index=i, keep=i in kept, reasoning="because") for i in sorted(kept + dropped)]
    return Step(step=number, criterion="is it", decisions=tuple(decisions), otherwise=otherwise)


def test_a_path_that_refines_step_by_step_is_valid() -> None:
    path = [step(1, [1, 3], [2]), step(2, [3], [1])]
    assert violations(path, [3], [1, 2, 3]) == []


def test_nothing_kept_is_a_valid_answer() -> None:
    assert violations([step(1, [], [1, 2])], [], [1, 2]) == []
    assert violations([step(1, [], [])], [], []) == []


def test_a_long_twin_may_be_dropped_with_one_reason() -> None:
    assert violations([step(1, [2], [], otherwise="not a mug")], [2], [1, 2, 3]) == []


@pytest.mark.parametrize(
    ("path", "indices", "words"),
    [
        ([], [], "empty"),
        ([step(2, [1], [2])], [1], "numbered 2"),
        ([step(1, [1, 9], [2])], [1, 9], r"\[9\], which are not in the twin"),
        ([step(1, [1], [])], [1], r"does not decide on \[2\]"),
        ([step(1, [1], [2]), step(2, [1, 2], [])], [1, 2], r"\[2\], which are not kept by step 1"),
        ([step(1, [1], [2])], [2], "last step kept"),
        ([step(1, [1, 2], [])], [2, 1], "last step kept"),
        ([step(1, [1], [2])], [], "last step kept"),
    ],
)
def test_what_breaks_a_rule_is_told_in_words(path: list[Step], indices: list[int], words: str) -> None:
    assert re.search(words, "; ".join(violations(path, indices, [1, 2])))


def test_decisions_are_in_order_and_once_each() -> None:
    decisions = tuple(Decision(index=i, keep=False, reasoning="") for i in (2, 1, 1))
    path = [Step(step=1, criterion="", decisions=decisions)]
    assert "in index order" in violations(path, [], [1, 2])[0]


def test_a_dropped_object_has_no_refined_semantic() -> None:
    decision = Decision(index=1, keep=False, reasoning="", semantic="a mug")
    path = [Step(step=1, criterion="", decisions=(decision,))]
    assert "refines" in violations(path, [], [1])[0]
