"""A question goes in over HTTP, and the embedded stack's own models answer it."""

import json
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import httpx2
import numpy as np
import pytest
from PIL import Image

from dtwinseger.api import SegmentResult
from dtwinseger.client import Client
from dtwinseger.problems import Problem
from dtwinseger.twin import DigitalTwin, Mask, violations
from dtwinseger.twin.mask import union
from embedded import example
from embedded.stack import Stack


def _pixels(png: bytes) -> np.ndarray:
    with Image.open(BytesIO(png)) as image:
        return np.asarray(image)


def test_the_bundled_question_is_answered_right(answered: SegmentResult, question: example.Question) -> None:
    verdict = example.judge(question, answered)
    assert verdict.right, str(verdict)


def test_the_answer_tells_its_objects_its_path_and_its_cost(answered: SegmentResult) -> None:
    assert [o.index for o in answered.objects] == list(answered.indices)
    masks = [o.mask for o in answered.objects if isinstance(o.mask, Mask)]
    assert isinstance(answered.mask, Mask)
    assert np.array_equal(union(masks, answered.mask.size).decode(), answered.mask.decode())
    assert all(o.bbox == mask.bbox for o, mask in zip(answered.objects, masks, strict=True))
    assert {"perception", "granularity", "semantics", "reasoning", "total"} <= set(answered.timings_ms)
    assert answered.cached == ()
    assert answered.usage.vlm.calls > 1
    assert answered.usage.llm.calls >= 1


def test_the_twin_behind_the_answer_is_whole(client: Client, answered: SegmentResult) -> None:
    twin = client.twin(answered.twin_id)
    with Image.open(example.IMAGE) as image:
        assert (twin.image.width, twin.image.height) == image.size
    _is_valid(twin)
    assert twin.query == answered.query
    assert twin.answer.indices == answered.indices
    assert twin.answer.path == answered.path


def test_the_same_question_is_answered_from_the_store(client: Client, answered: SegmentResult) -> None:
    again = client.segment(example.IMAGE, answered.query)
    told = {"twin_id", "indices", "mask", "objects", "path", "granularity"}
    assert again.model_dump(include=told) == answered.model_dump(include=told)
    assert again.cached
    assert again.usage.vlm.calls == again.usage.llm.calls == 0
    assert again.timings_ms["total"] < answered.timings_ms["total"] / 5


def test_another_question_reuses_the_proposals_and_its_twin_can_be_deleted(
    client: Client, answered: SegmentResult
) -> None:
    other = client.segment(example.IMAGE, "the white mug")
    assert other.twin_id != answered.twin_id
    assert "proposals" in other.cached
    client.delete(other.twin_id)
    with pytest.raises(Problem) as raised:
        client.twin(other.twin_id)
    assert raised.value.code in ("gone", "not_found")


def test_a_png_answer_is_the_mask(stack: Stack, answered: SegmentResult) -> None:
    with example.IMAGE.open("rb") as image:
        response = httpx2.post(
            f"{stack.url}/segment",
            files={"image": image},
            data={"query": answered.query},
            headers={"Accept": "image/png"},
            timeout=120,
        )
    assert (response.status_code, response.headers["content-type"]) == (200, "image/png")
    assert isinstance(answered.mask, Mask)
    assert np.array_equal(_pixels(response.content), answered.mask.decode() * np.uint8(255))


def test_the_pictures_of_the_twin_are_served(client: Client, stack: Stack, answered: SegmentResult) -> None:
    twin = f"{stack.url}/dt/{answered.twin_id}"
    first = answered.objects[0]
    assert isinstance(first.mask, Mask)
    assert isinstance(answered.mask, Mask)
    assert np.array_equal(_pixels(httpx2.get(f"{twin}/mask.png").content) > 0, answered.mask.decode())
    shown = _pixels(httpx2.get(f"{twin}/objects/{first.index}/mask.png").content)
    assert np.array_equal(shown > 0, first.mask.decode())
    overlay = _pixels(client.overlay(answered.twin_id))
    with Image.open(example.IMAGE) as image:
        assert overlay.shape[:2] == image.size[::-1]
        assert not np.array_equal(overlay, np.asarray(image.convert("RGB")))


def test_an_image_that_is_none_is_refused_in_words(client: Client) -> None:
    with pytest.raises(Problem, match="cannot be decoded") as raised:
        client.segment(b"not an image", "the mug")
    assert raised.value.code == "invalid_image"
    assert raised.value.request_id


@pytest.mark.parametrize("number", range(3))
def test_a_photograph_gives_a_valid_twin(client: Client, photographs: list[Path], number: int) -> None:
    """The bundled models know no photographs; whatever they answer is well formed."""
    photograph = photographs[number]
    query = json.loads(photograph.with_suffix(".json").read_bytes())["text"][0]
    result = client.segment(photograph, query)
    twin = client.twin(result.twin_id)
    _is_valid(twin)
    with Image.open(photograph) as image:
        assert (twin.image.width, twin.image.height) == image.size
    assert result.indices == twin.answer.indices


def _is_valid(twin: DigitalTwin) -> None:
    size = (twin.image.height, twin.image.width)
    assert [o.index for o in twin.objects] == list(range(1, len(twin.objects) + 1))
    areas = [o.mask.area for o in twin.objects]
    assert all(larger >= smaller for larger, smaller in pairwise(areas))
    for o in twin.objects:
        assert (o.mask.size, o.mask.bbox) == (size, o.bbox)
        assert o.area_percent == pytest.approx(100 * o.mask.area / (size[0] * size[1]), abs=0.05)
        assert {relation.target for relation in o.relations} <= {other.index for other in twin.objects} - {o.index}
    assert violations(twin.answer.path, twin.answer.indices, [o.index for o in twin.objects]) == []
