"""The bundled dtwin-mini-llm: what it knows of held-out scenes, and that an engine serves exactly that."""

from pathlib import Path

import openai
import pytest

from tests.doubles.transformers_engine import transformers_engine
from training.adapter import Adapter
from training.mini.llm_data import READ_OUT
from training.mini.llm_eval import MAX_NEW_TOKENS, answers, questions, score
from training.mini.llm_readings import said
from training.mini.llm_readings import score as score_readings
from training.unmerge import unmerge

MODEL = Path("models/dtwin-mini-llm")


def test_it_answers_most_queries_about_held_out_scenes_and_in_valid_form() -> None:
    asked = list(questions(scenes=4, first=500))
    said = answers(MODEL, [question.messages for question in asked])
    scores = [score(question, text) for question, text in zip(asked, said, strict=True)]
    assert sum(one.valid for one in scores) >= 0.8 * len(scores)
    assert sum(one.right for one in scores) >= 0.5 * len(scores)


def test_its_base_reads_out_what_rows_say_of_their_kind(tmp_path: Path) -> None:
    unmerge(MODEL, Adapter.load(MODEL / "adapter"), tmp_path / "base")
    right, total = score_readings(tmp_path / "base", scenes=2, first=500)
    assert set(total) == set(READ_OUT)
    assert right["kind"] >= 0.9 * total["kind"] > 5
    with pytest.raises(ValueError, match="held-out scenes have seeds below"):
        score_readings(tmp_path / "base", scenes=2, first=9_999)


def test_a_reading_that_is_no_list_of_rows_reads_nothing() -> None:
    assert said('{"index":2,"reasoning":"is red"}') == {2: "is red"}
    assert said('{"index":2') == said('"red"') == said('{"row":2}') == {}


def test_an_engine_says_over_http_what_the_trainer_sees(tmp_path: Path) -> None:
    asked = [question.messages for question in questions(scenes=1, first=510)][:4]
    with transformers_engine(tmp_path) as url, openai.OpenAI(base_url=url, api_key="none", timeout=300) as client:
        served = [
            client.chat.completions.create(
                model=str(MODEL),
                messages=messages,  # type: ignore[arg-type]
                temperature=0,
                max_tokens=MAX_NEW_TOKENS,
            )
            for messages in asked
        ]
    assert [one.choices[0].message.content for one in served] == [answers(MODEL, [m])[0] for m in asked]
    assert all(one.choices[0].finish_reason == "stop" for one in served)
    assert all(one.usage and one.usage.prompt_tokens < 400 for one in served)
