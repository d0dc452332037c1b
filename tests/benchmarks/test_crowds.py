"""Twins of any number of objects, and what their text is cut into."""

import pytest

from benchmarks.crowds import crowd
from benchmarks.pieces import GPT4, QWEN, pieces
from benchmarks.reasoner import answer, prompt
from dtwinseger import prompts
from dtwinseger.twin import violations
from dtwinseger.twin.text import Rendering


@pytest.mark.parametrize("count", [1, 12])
def test_a_crowd_has_so_many_objects_by_area_and_they_are_related(count: int) -> None:
    rows = crowd(count)
    assert [row.index for row in rows] == list(range(1, count + 1))
    assert sorted(rows, key=lambda row: -row.area_percent) == list(rows)
    assert sum(";" in row.spatial for row in rows) == count - 1


def test_the_engines_answer_about_a_crowd_is_valid() -> None:
    rows = crowd(12)
    path, indices = answer(rows)
    assert violations(path, indices, [row.index for row in rows]) == []
    assert len(path[0].decisions) == 12


@pytest.mark.parametrize("rendering", ["json", "rows"])
def test_the_prompt_that_is_counted_is_the_one_that_is_asked(rendering: Rendering) -> None:
    rows = crowd(3)
    asked = prompts.reasoning("the thing that would keep me dry", rows, rendering)
    assert prompt(rows, rendering) == "\n".join(message["content"] for message in asked)


def test_text_is_cut_as_the_published_tokenizers_cut_it() -> None:
    text = '{"index":12345,"it\'s":"a red mug"},\n'  # {" index ": 123 45 ," it 's ":" a _red _mug "},\n
    assert pieces(text, GPT4) == 13
    assert pieces(text, QWEN) == 16
