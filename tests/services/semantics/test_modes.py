"""The modes of asking, over HTTP: views, promptings, several masks a call, several votes a mask."""

import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dtwinseger import api, prompts
from dtwinseger.prompts.questions import DIRECT, VOTES, semantics_digest
from tests.doubles.openai_server import Fails, Says
from tests.services.semantics.conversation import (
    MUG,
    SAYS_MUG,
    asked_about,
    describe,
    describes_all,
    masks,
    pictures,
    problem,
    texts,
    told,
)

NO_SEMANTIC = Says("{}")
Lines = dict[int, api.SemanticsLine]


def request(count: int, query: str | None = "the mug", **options: Any) -> api.SemanticsRequest:
    return api.SemanticsRequest(query=query, masks=masks(count), options=api.SemanticsOptions(**options))


def semantic_of(lines: Lines) -> dict[int, str | None]:
    return {index: line.semantics and line.semantics.semantic for index, line in lines.items()}


# --- what is shown ---


@pytest.mark.parametrize(
    ("context", "crop", "sizes"),
    [
        ("outlined", "dimmed", [(512, 384), (512, 512)]),
        ("numbered", "cut", [(512, 384), (512, 512)]),
        ("none", "plain", [(512, 512)]),
        ("numbered", "none", [(512, 384)]),
    ],
)
def test_the_model_sees_what_is_asked_for(service: Any, context: str, crop: str, sizes: list[tuple[int, int]]) -> None:
    url, engine = service(SAYS_MUG, SEMANTICS_VIEW_SIDE="512")
    _, end = told(describe(url, request(2, context=context, crop=crop)))
    shown = pictures(engine.requests[0]["messages"][-1])
    assert [Image.open(io.BytesIO(each)).size for each in shown] == sizes
    assert end.usage.images == 2 * len(sizes)


def test_each_mask_is_the_one_in_magenta_among_the_others(service: Any) -> None:
    url, engine = service(SAYS_MUG, SEMANTICS_VIEW_SIDE="512")
    told(describe(url, request(3, context="numbered", crop="none")))
    shown = [Image.open(io.BytesIO(pictures(body["messages"][-1])[0])) for body in engine.requests]
    magenta = [(np.asarray(each.convert("RGB")) == (255, 0, 255)).all(axis=2) for each in shown]
    left_ends = [int(np.flatnonzero(pixels.any(axis=0))[0]) for pixels in magenta]
    assert left_ends == sorted(left_ends)
    assert left_ends[0] < left_ends[1] < left_ends[2]


# --- how it is asked ---


def test_direct_prompting_asks_without_steps(service: Any) -> None:
    url, engine = service(SAYS_MUG)
    _, end = told(describe(url, request(1, prompting="direct")))
    assert engine.requests[0]["messages"][0]["content"] == DIRECT
    assert end.prompts == prompts.digest(DIRECT)


def test_in_context_prompting_shows_answered_examples_before_the_question(service: Any) -> None:
    url, engine = service(SAYS_MUG)
    _, end = told(describe(url, request(2, prompting="in_context")))
    one, other = (body["messages"] for body in engine.requests)
    assert [message["role"] for message in one] == ["system", *["user", "assistant"] * 2, "user"]
    assert one[:-1] == other[:-1]  # so that a prefix cache has them
    for example in one[2:-1:2]:
        api.Semantics.model_validate_json(example["content"])
    assert len(pictures(one[1])) == len(pictures(one[-1])) == 2
    assert end.prompts == semantics_digest(api.SemanticsOptions(prompting="in_context"))
    assert end.usage.images == 2 * 6


def test_without_a_query_the_examples_have_none_either(service: Any) -> None:
    url, engine = service(SAYS_MUG)
    told(describe(url, request(1, query=None, prompting="in_context")))
    *_, example, answer, question = engine.requests[0]["messages"]
    assert example["content"][0]["text"].startswith("There is no query")
    assert json.loads(answer["content"])["relevance"] == 0.0
    assert question["content"][0]["text"].startswith("There is no query")


def test_scope_image_leaves_the_query_out(service: Any) -> None:
    url, engine = service(SAYS_MUG)
    told(describe(url, request(1, query="the mug", scope="image")))
    assert texts(engine.requests[0]) == ["There is no query: describe the object for any.\nObject: 1"]


# --- several masks a call ---


def test_a_batch_asks_once_about_many_and_each_has_its_line(service: Any) -> None:
    url, engine = service(Says(describes_all))
    lines, end = told(describe(url, request(7, batch=3)))
    assert semantic_of(lines) == {index: f"mug {index}" for index in range(1, 8)}
    assert sorted(asked_about(body) for body in engine.requests) == [[1, 2, 3], [4, 5, 6], [7]]
    assert end.usage.calls == 3
    assert end.prompts == semantics_digest(api.SemanticsOptions(batch=3))


def test_a_batch_announces_each_crop_by_its_number_after_the_whole(service: Any) -> None:
    url, engine = service(Says(describes_all))
    told(describe(url, request(2, batch=2)))
    content = engine.requests[0]["messages"][1]["content"]
    assert [part.get("text", "picture") for part in content] == [
        "Query: the mug\nObjects: 1, 2",
        "picture",
        "Object: 1",
        "picture",
        "Object: 2",
        "picture",
    ]


def test_the_order_of_an_answer_does_not_matter(service: Any) -> None:
    def backwards(body: dict[str, Any]) -> str:
        return json.dumps({"objects": json.loads(describes_all(body))["objects"][::-1]})

    url, _ = service(Says(backwards))
    lines, _ = told(describe(url, request(3, batch=3)))
    assert semantic_of(lines) == {1: "mug 1", 2: "mug 2", 3: "mug 3"}


@pytest.mark.parametrize("indices", [[1, 2], [1, 2, 2], [1, 2, 3, 4], [1, 2, 9]])
def test_a_batch_that_misnumbers_is_sent_back(service: Any, indices: list[int]) -> None:
    wrong = Says(json.dumps({"objects": [{"index": index} | MUG for index in indices]}))
    url, engine = service(wrong, Says(describes_all))
    lines, end = told(describe(url, request(3, batch=3)))
    assert semantic_of(lines) == {1: "mug 1", 2: "mug 2", 3: "mug 3"}
    assert end.usage.calls == 2
    assert "object" in engine.requests[1]["messages"][-1]["content"]


def test_after_two_invalid_answers_the_masks_of_a_batch_are_asked_about_alone(service: Any) -> None:
    """One mask that the model cannot answer for loses its neighbors nothing."""

    def fails_for_two(body: dict[str, Any]) -> str:
        return "no" if 2 in asked_about(body) else describes_all(body)

    url, engine = service(Says(fails_for_two))
    lines, end = told(describe(url, request(3, batch=3)))
    assert semantic_of(lines) == {1: "mug 1", 2: None, 3: "mug 3"}
    assert lines[2].error is not None
    assert lines[2].error.code == "upstream_invalid"
    assert end.usage.calls == 2 + 1 + 2 + 1
    assert len(engine.requests) == 6


def test_a_batch_is_not_taken_apart_for_an_engine_that_is_down(service: Any) -> None:
    url, engine = service(Fails(500, {"x-should-retry": "false"}))
    lines, _ = told(describe(url, request(3, batch=3)))
    assert {line.error and line.error.code for line in lines.values()} == {"upstream_unavailable"}
    assert len(engine.requests) == 1


# --- several votes a mask ---


def test_votes_are_asked_from_different_points_and_consolidated(service: Any) -> None:
    def by_vote(body: dict[str, Any]) -> str:
        text = texts(body)[0]
        if VOTES[1] in text:
            return json.dumps(MUG | {"category": "cup", "semantic": "a cup", "relevance": 0.3})
        return json.dumps(MUG | {"relevance": 0.6 if VOTES[2] in text else 0.9})

    url, engine = service(Says(by_vote))
    lines, end = told(describe(url, request(1, votes=3)))
    said = lines[1].semantics
    assert said is not None
    assert said.relevance == pytest.approx(0.6)
    assert said == api.Semantics(**MUG | {"relevance": said.relevance})
    assert end.usage.calls == 3
    assert len({texts(body)[0] for body in engine.requests}) == 3
    assert end.prompts == semantics_digest(api.SemanticsOptions(votes=3))


def test_a_vote_that_fails_is_left_out_while_one_remains(service: Any) -> None:
    def fails_once(body: dict[str, Any]) -> str:
        return "{}" if VOTES[1] in texts(body)[0] else json.dumps(MUG)

    url, _ = service(Says(fails_once))
    lines, end = told(describe(url, request(1, votes=2)))
    assert lines[1].semantics == api.Semantics(**MUG)
    assert end.usage.calls == 3


def test_a_mask_without_a_vote_is_an_error(service: Any) -> None:
    url, _ = service(NO_SEMANTIC)
    lines, end = told(describe(url, request(1, votes=2)))
    assert lines[1].error is not None
    assert lines[1].error.code == "upstream_invalid"
    assert end.usage.calls == 4  # those that failed count too


def test_votes_and_batches_go_together(service: Any) -> None:
    url, _ = service(Says(describes_all))
    lines, end = told(describe(url, request(4, votes=2, batch=2)))
    assert semantic_of(lines) == {index: f"mug {index}" for index in range(1, 5)}
    assert end.usage.calls == 4


# --- what is refused ---


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"source": "owlv2"}, "owlv2"),
        ({"vocabulary": ["mug"]}, "vocabulary"),
        ({"max_cost_usd": 1.0}, "PRICE"),
    ],
)
def test_an_option_that_nothing_honors_is_refused(service: Any, options: dict[str, Any], words: str) -> None:
    url, engine = service(SAYS_MUG)
    answer = describe(url, request(1, **options))
    assert problem(answer) == (400, "invalid_options")
    assert words in answer.json()["detail"]
    assert not engine.requests


def test_more_masks_than_perception_proposes_are_refused(service: Any) -> None:
    url, engine = service(SAYS_MUG)
    many = tuple(masks(1)[0].model_copy(update={"index": index}) for index in range(1, 1001))
    answer = describe(url, api.SemanticsRequest(query="x", masks=many))
    assert problem(answer) == (400, "invalid_options")
    assert "1,000" in answer.json()["detail"]
    assert "200" in answer.json()["detail"]
    assert not engine.requests
