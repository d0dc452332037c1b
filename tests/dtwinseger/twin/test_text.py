"""The text that the LLM reads and writes: pinned, byte for byte."""

import random

import pytest

from dtwinseger.twin import Decision, Relation, Step, TwinRow, render_answer, render_twin, spatial
from dtwinseger.twin.text import render_rows, told_relations

ROWS = [
    TwinRow(index=1, semantic='a "big" desk', bbox=(0, 100, 640, 480), area_percent=40.0, spatial="at the bottom"),
    TwinRow(index=2, semantic=None, bbox=(10, 20, 30, 40), area_percent=0.1, spatial="at the top left; above 1 (desk)"),
]


def test_the_twin_is_compact_json_in_index_order() -> None:
    golden = (
        '[{"index":1,"semantic":"a \\"big\\" desk","bbox":[0,100,640,480],"area_percent":40.0,'
        '"spatial":"at the bottom"},\n'
        '{"index":2,"semantic":null,"bbox":[10,20,30,40],"area_percent":0.1,'
        '"spatial":"at the top left; above 1 (desk)"}]'
    )
    assert render_twin(ROWS) == golden
    shuffled = random.Random(0).sample(ROWS, len(ROWS))
    assert render_twin(shuffled) == golden
    assert render_twin([]) == "[]"


def test_the_table_is_one_line_an_object_in_index_order() -> None:
    golden = (
        "index\tsemantic\tbbox\tarea_percent\tspatial\n"
        '1\ta "big" desk\t0,100,640,480\t40.0\tat the bottom\n'
        "2\t\t10,20,30,40\t0.1\tat the top left; above 1 (desk)"
    )
    assert render_rows(ROWS) == golden
    assert render_rows(ROWS[::-1]) == golden
    assert render_rows([]) == "index\tsemantic\tbbox\tarea_percent\tspatial"


@pytest.mark.parametrize(
    "semantic", ["a\tmug", "a\r\n2\tmug", "a\x00 \x1b\x85mug", "\u2028a\u2029mug\t", "\n", "|,;\\"]
)
def test_no_text_can_add_a_cell_or_a_line_to_the_table(semantic: str) -> None:
    forged = [ROWS[0].model_copy(update={"semantic": semantic, "spatial": semantic}), ROWS[1]]
    lines = render_rows(forged).splitlines()
    assert [line.count("\t") for line in lines] == [4, 4, 4]
    assert [line.split("\t")[0] for line in lines] == ["index", "1", "2"]


def test_indices_are_rendered_as_they_are() -> None:
    some = [ROWS[0].model_copy(update={"index": index}) for index in (1_000_000, 7, 40)]
    assert [line.split("\t")[0] for line in render_rows(some).splitlines()[1:]] == ["7", "40", "1000000"]
    assert render_twin(some).index('"index":40,') < render_twin(some).index('"index":1000000,')


def test_a_thousand_objects_have_a_thousand_lines_in_both_renderings() -> None:
    some = [ROWS[1].model_copy(update={"index": index}) for index in range(1, 1001)]
    shuffled = random.Random(1).sample(some, len(some))
    for render, header in ((render_twin, 0), (render_rows, 1)):
        assert render(shuffled) == render(some)
        assert render(some).count("\n") + 1 == 1000 + header


def test_told_relations_are_found_where_they_were_told() -> None:
    relations = [Relation(predicate="left_of", target=2), Relation(predicate="inside", target=15)]
    text = spatial((10, 50), (100, 100), relations, {2: "mug, above; inside", 15: "desk"})
    cuts = told_relations(text)
    assert [target for _, target in cuts] == [2, 15]
    assert [text[:begin] for begin, _ in cuts] == ["at the left", "at the left; left of 2 (mug, above; inside)"]
    assert told_relations("at the left") == told_relations("") == []


def test_the_answer_has_its_path_first_and_its_indices_last() -> None:
    decision = Decision(index=1, keep=True, reasoning="a mug", semantic="a red mug")
    path = [Step(step=1, criterion="is a mug", decisions=(decision,))]
    text = render_answer(path, [1])
    assert text.startswith('{"path":[{"step":1,"criterion":"is a mug","decisions":[{"index":1,')
    assert text.endswith('"otherwise":null}],"indices":[1]}')


def test_place_and_relations_are_told_in_words_that_name_their_targets() -> None:
    relations = [Relation(predicate="left_of", target=2), Relation(predicate="inside", target=5)]
    text = spatial((10, 50), (100, 100), relations, {2: "laptop", 5: "desk"})
    assert text == "at the left; left of 2 (laptop), inside 5 (desk)"
    assert spatial((50, 50), (100, 100), [], {}) == "in the center"
    assert spatial((90, 10), (100, 100), [], {}) == "at the top right"
