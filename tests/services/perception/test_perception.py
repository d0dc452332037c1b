"""Perception over HTTP, with the bundled model on rendered scenes."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dtwinseger import api
from services.perception.app import create
from services.perception.checkpoint import CheckpointError
from tests.doubles.serving import free_port, serving
from tests.services.perception.small import BUNDLED, CONFIG, random_sam, save
from training.scenes import render_scene

BOTH = {"levels": ["part", "object"]}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(create()) as url:
        yield url


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Starts the service with random weights, which let everything through; settings are environment variables."""
    with ExitStack() as stack:

        def start(**settings: str) -> str:
            monkeypatch.setenv("PERCEPTION_CHECKPOINT", str(save(tmp_path, random_sam(), CONFIG)))
            for name, value in settings.items():
                monkeypatch.setenv(name, value)
            return stack.enter_context(serving(create()))

        yield start


def png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def scene(seed: int = 1, width: int = 256, height: int = 256) -> bytes:
    return png(render_scene(seed, width, height).image)


def ask(url: str, image: bytes, asked: Any = None, headers: dict[str, str] | None = None) -> httpx2.Response:
    body = api.ProposalsRequest.model_validate(asked or {}).model_dump_json()
    files = {"image": ("image", image, "image/png")}
    return httpx2.post(f"{url}/v1/proposals", data={"options": body}, files=files, headers=headers, timeout=60)


def answered(response: httpx2.Response) -> api.ProposalsResponse:
    assert response.status_code == 200, response.text
    return api.ProposalsResponse.model_validate_json(response.content)


def iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_most_objects_of_a_scene_are_proposed(url: str) -> None:
    found = []
    for seed in range(3):
        truth = render_scene(seed)
        masks = [p.mask.decode() for p in answered(ask(url, png(truth.image))).levels["object"]]
        found += [max((iou(o.mask, mask) for mask in masks), default=0) >= 0.5 for o in truth.objects]
    assert np.mean(found) >= 0.7


def test_both_levels_come_in_one_answer_by_area(url: str) -> None:
    answer = answered(ask(url, scene(), BOTH))
    assert (answer.width, answer.height) == (256, 256)
    for level in ("part", "object"):
        areas = [proposal.mask.area for proposal in answer.levels[level]]
        assert areas
        assert areas == sorted(areas, reverse=True)
    assert answer.levels["part"] != answer.levels["object"]


def test_a_level_that_is_not_asked_for_is_not_answered(url: str) -> None:
    assert set(answered(ask(url, scene())).levels) == {"object"}


def test_what_is_answered_keeps_the_options(url: str) -> None:
    answer = answered(ask(url, scene(), BOTH))
    options = answer.options
    assert options.iou_threshold is not None
    assert options.min_area == 13
    for proposals in answer.levels.values():
        for proposal in proposals:
            assert proposal.mask.size == (256, 256)
            assert proposal.predicted_iou >= options.iou_threshold
            assert 13 <= proposal.mask.area <= 0.95 * 256 * 256
            assert 0 <= proposal.point[0] < 256
            assert 0 <= proposal.point[1] < 256


def test_the_same_request_has_the_same_answer(url: str) -> None:
    one, other = (answered(ask(url, scene(), BOTH)) for _ in range(2))
    assert one.levels == other.levels


def test_masks_have_the_size_of_an_image_that_is_not_square(url: str) -> None:
    answer = answered(ask(url, scene(2, 400, 280)))
    assert (answer.width, answer.height) == (400, 280)
    assert answer.levels["object"]
    assert {proposal.mask.size for proposal in answer.levels["object"]} == {(280, 400)}


def test_an_image_without_objects_may_have_no_proposals(url: str) -> None:
    gray = png(np.full((256, 256, 3), 128, dtype=np.uint8))
    answer = answered(ask(url, gray, {"options": {"iou_threshold": 1.0}}))
    assert answer.levels == {"object": ()}


def test_a_single_pixel_is_an_image(url: str) -> None:
    answered(ask(url, png(np.zeros((1, 1, 3), dtype=np.uint8)), BOTH))


def test_everything_mode_answers_both_levels_alike(url: str) -> None:
    answer = answered(ask(url, scene(), BOTH | {"options": {"strategy": "everything", "points_per_side": 16}}))
    assert answer.levels["part"]
    assert answer.levels["part"] == answer.levels["object"]


def test_more_masks_than_allowed_are_cut_by_predicted_iou_with_a_warning(url: str) -> None:
    options = {"points_per_side": 16}
    whole = answered(ask(url, scene(), {"levels": ["part"], "options": options})).levels["part"]
    answer = answered(ask(url, scene(), {"levels": ["part"], "options": options | {"max_masks": 2}}))
    best = sorted((proposal.predicted_iou for proposal in whole), reverse=True)[:2]
    assert sorted((p.predicted_iou for p in answer.levels["part"]), reverse=True) == best
    assert answer.warnings == (
        f"part: {len(whole)} masks were found and the 2 of the highest predicted IoU kept; "
        "raise max_masks or iou_threshold",
    )


def test_info_names_the_checkpoint_as_answers_do(url: str) -> None:
    info = api.ServiceInfo.model_validate_json(httpx2.get(f"{url}/v1/info").content)
    assert info.service == "perception"
    assert info.models == {"perception": answered(ask(url, scene())).model}
    assert httpx2.get(f"{url}/readyz").status_code == 200


@pytest.mark.parametrize(
    ("image", "code"),
    [
        (b"", "invalid_image"),
        (b"GIF89a nothing of the kind", "invalid_image"),
        (scene()[:2000], "invalid_image"),
        (png(np.zeros((1, 40_000_001, 3), dtype=np.uint8)), "image_too_large"),
    ],
)
def test_a_bad_image_is_told_as_such(url: str, image: bytes, code: str) -> None:
    response = ask(url, image)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == code
    assert response.json()["request_id"] == response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("{", "JSON"),
        ('{"levels": []}', "levels"),
        ('{"levels": ["group"]}', "levels"),
        ('{"options": {"points_per_side": 2000}}', "options.points_per_side"),
        ('{"options": {"iou_treshold": 0.5}}', "options.iou_treshold"),
        ('{"options": {"strategy": "tuned"}}', "options.strategy"),
    ],
)
def test_bad_options_are_told_as_such(url: str, options: str, told: str) -> None:
    files = {"image": ("image", scene(), "image/png")}
    response = httpx2.post(f"{url}/v1/proposals", data={"options": options}, files=files)
    assert (response.status_code, response.json()["code"]) == (400, "invalid_options")
    assert told in response.json()["detail"]


def test_a_request_without_an_image_is_told_so(url: str) -> None:
    response = httpx2.post(f"{url}/v1/proposals", data={"options": "{}"})
    assert (response.status_code, response.json()["code"]) == (400, "invalid_image")


def test_work_that_cannot_be_done_in_time_is_given_up(small: Callable[..., str]) -> None:
    url = small(PERCEPTION_PROMPT_BATCH="1")
    late = ask(url, scene(), {"options": {"points_per_side": 64}}, headers={"X-Timeout-Ms": "150"})
    assert (late.status_code, late.json()["code"]) == (504, "deadline_exceeded")
    # The device is free again: what was given up does not hold it.
    answered(ask(url, scene(), {"options": {"points_per_side": 4}}, headers={"X-Timeout-Ms": "20000"}))


def test_requests_that_cannot_wait_are_refused(small: Callable[..., str]) -> None:
    url = small(PERCEPTION_MAX_RUNNING="1", PERCEPTION_MAX_QUEUED="0", PERCEPTION_PROMPT_BATCH="1")
    image, slow = scene(), {"options": {"points_per_side": 64}}
    with ThreadPoolExecutor(3) as pool:
        posts = [pool.submit(ask, url, image, slow, {"X-Timeout-Ms": "1000"}) for _ in range(3)]
        codes = sorted(post.result().json()["code"] for post in posts)
    assert codes == ["deadline_exceeded", "overloaded", "overloaded"]


def test_without_weights_the_service_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERCEPTION_CHECKPOINT", str(tmp_path / "sam.pth"))
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        create()


def test_it_runs_as_a_process_and_stops_on_sigterm() -> None:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", "services.perception.app:create", "--port", str(port)]
    environment = os.environ | {"PERCEPTION_CHECKPOINT": str(BUNDLED)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "running on" in line.lower():
                break
        try:
            assert answered(ask(f"http://127.0.0.1:{port}", scene())).model.startswith("dtwin-mini-sam-")
        finally:
            process.send_signal(signal.SIGTERM)
        assert "Finished server process" in process.stderr.read()
