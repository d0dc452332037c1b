"""The messages: instructions first, what differs last, and data that stays data."""

import json

import pytest

from dtwinseger import prompts
from dtwinseger.twin import TwinRow

ROW = TwinRow(index=1, semantic="a red mug", bbox=(0, 0, 5, 5), area_percent=1.0, spatial="at the left")


def test_what_is_shared_comes_first_and_the_query_last() -> None:
    one, other = (prompts.reasoning(query, [ROW]) for query in ("the mug", "the desk"))
    assert one[0] == other[0] == {"role": "system", "content": prompts.REASONING}
    twin, _, query = one[1]["content"].rpartition("\n")
    assert query == "Query: the mug"
    assert other[1]["content"].startswith(twin)


def test_rows_are_introduced_by_an_instruction_that_explains_them() -> None:
    system, user = prompts.reasoning("the mug", [ROW], "rows")
    assert system == {"role": "system", "content": prompts.REASONING_ROWS}
    header, *_ = user["content"].splitlines()[1:]
    assert [name for name in header.split("\t") if name not in prompts.REASONING_ROWS] == []
    assert user["content"].endswith("\t0,0,5,5\t1.0\tat the left\nQuery: the mug")
    assert prompts.reasoning_digest("rows") != prompts.reasoning_digest("json") == prompts.digest(prompts.REASONING)
    rules = [text.splitlines()[2:] for text in (prompts.REASONING, prompts.REASONING_ROWS)]
    assert rules[0] == rules[1], "only the twin is told otherwise"


def test_the_crop_comes_last_and_pictures_are_data_urls() -> None:
    content = prompts.semantics("the mug", 3, b"marked", b"crop")[1]["content"]
    assert [part["type"] for part in content] == ["text", "image_url", "image_url"]
    assert content[2]["image_url"]["url"] == "data:image/png;base64,Y3JvcA=="
    assert "Query" not in prompts.semantics(None, 3, b"", b"")[1]["content"][0]["text"]


@pytest.mark.parametrize("control", ["<|image|>", "<image>", "</s>", "<s>", "<|im_end|>", "<|eot_id|>"])
def test_control_tokens_in_a_query_or_a_semantic_are_inert(control: str) -> None:
    row = ROW.model_copy(update={"semantic": f"a mug {control}"})
    for messages in (
        prompts.granularity(control, b""),
        prompts.semantics(control, 1, b"", b""),
        prompts.reasoning(control, [row]),
        prompts.reasoning(control, [row], "rows"),
        prompts.reask(control, control),
    ):
        assert control not in json.dumps(messages, ensure_ascii=False)


def test_ordinary_text_is_left_as_it_is() -> None:
    assert prompts.reasoning("is 3 < 5 or 5 > 3?", [ROW])[1]["content"].endswith("is 3 < 5 or 5 > 3?")
