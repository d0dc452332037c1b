"""The text that the LLM reads and writes: pinned, byte for byte."""

import random

from dtwinseger.twin import Decision, Relation, Step, TwinRow, render_answer, render_twin, spatial

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
