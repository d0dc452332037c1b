"""Beginnings with a changed path are what the model would have written, and end where one of its tokens does."""

import pytest
from tokenizers import Tokenizer

from benchmarks.prefixes import flipped, opened, through_decisions, through_path, through_reasoning
from dtwinseger.twin import Decision, Step, render_answer, violations

PATH = (
    Step(
        step=1,
        criterion="is a mug",
        decisions=(
            Decision(index=1, reasoning="a tree", keep=False),
            Decision(index=2, reasoning="a mug", keep=True, semantic="a large red mug"),
            Decision(index=3, reasoning="a mug", keep=True, semantic="a small blue mug"),
        ),
    ),
    Step(
        step=2,
        criterion="is red",
        decisions=(
            Decision(index=2, reasoning="is red", keep=True, semantic="a large red mug"),
            Decision(index=3, reasoning="is blue", keep=False),
        ),
    ),
)
WHOLE = render_answer(PATH, (2,))
BEGINNINGS = {
    "path": through_path(PATH),
    "one step": through_path(PATH[:1]),
    "decisions": through_decisions(PATH[:1]),
    "reasoning": through_reasoning(PATH, 2, 3, "is blue"),
    "empty reasoning": through_reasoning(PATH, 1, 1, ""),
    "criterion": opened("is red"),
}


@pytest.mark.parametrize("name", ["path", "decisions", "reasoning"])
def test_an_unchanged_beginning_is_one_of_the_answer(name: str) -> None:
    assert WHOLE.startswith(BEGINNINGS[name])


def test_each_ends_where_its_next_token_is_due() -> None:
    assert BEGINNINGS["path"].endswith('"otherwise":null}],"indices":[')
    assert BEGINNINGS["one step"].endswith('"a small blue mug"}],"otherwise":null}],"indices":[')
    assert BEGINNINGS["decisions"].endswith('"semantic":"a small blue mug"}')
    assert BEGINNINGS["reasoning"].endswith('{"index":3,"reasoning":"is blue')
    assert (
        BEGINNINGS["empty reasoning"]
        == '{"path":[{"step":1,"criterion":"is a mug","decisions":[{"index":1,"reasoning":"'
    )
    assert BEGINNINGS["criterion"] == '{"path":[{"step":1,"criterion":"is red","decisions":['


@pytest.mark.parametrize("name", ["path", "decisions", "reasoning"])
def test_a_beginning_has_the_tokens_that_the_whole_answer_begins_with(name: str) -> None:
    tokenizer = Tokenizer.from_file("models/dtwin-mini-llm/tokenizer.json")
    begun, whole = (tokenizer.encode(text).ids for text in (BEGINNINGS[name], WHOLE))
    assert whole[: len(begun)] == begun


def test_reasoning_can_be_another_objects() -> None:
    text = through_reasoning(PATH, 1, 2, "a tree")
    assert text.endswith('{"index":2,"reasoning":"a tree')
    assert '{"index":1,"reasoning":"a tree","keep":false' in text


def test_a_flipped_decision_changes_what_its_step_keeps_and_nothing_else() -> None:
    dropped, kept = flipped(PATH[1], 2, None), flipped(PATH[1], 3, "a small blue mug")
    assert (dropped.kept, kept.kept) == ([], [2, 3])
    assert dropped.decisions[1:] == PATH[1].decisions[1:]
    assert violations((PATH[0], dropped), (), (1, 2, 3)) == []
    assert violations((PATH[0], kept), (2, 3), (1, 2, 3)) == []


def test_a_step_that_drops_others_unlisted_has_no_open_end() -> None:
    closed = PATH[0].model_copy(update={"otherwise": "the rest are trees"})
    with pytest.raises(ValueError, match="not open"):
        through_decisions((closed,))
