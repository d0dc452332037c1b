"""Perception over HTTP, with the bundled model on rendered scenes."""

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from dtwinseger import api
from services.perception.app import create
from services.perception.encoder import Encoder
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
            url = stack.enter_context(serving(create()))
            wait_until_ready(url)
            return url

        yield start


def wait_until_ready(url: str) -> None:
    for _ in range(6000):
        if httpx2.get(f"{url}/readyz").status_code == 200:
            return
        threading.Event().wait(0.01)
    raise AssertionError(httpx2.get(f"{url}/readyz").text)


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
    for level, proposals in answer.levels.items():
        options = answer.options[level]
        assert options.iou_threshold is not None
        assert options.min_area == 13
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


def test_everything_mode_answers_all_levels_alike(url: str) -> None:
    options = {"strategy": "everything", "points_per_side": 16, "stability_threshold": 0.6}
    answer = answered(ask(url, scene(), BOTH | {"options": options}))
    assert answer.levels["part"]
    assert answer.levels["part"] == answer.levels["object"]
    assert answer.options["part"].box_overlap_threshold == 0.7


def test_more_masks_than_allowed_are_cut_by_predicted_iou_with_a_warning(url: str) -> None:
    options = {"points_per_side": 16}
    whole = answered(ask(url, scene(), {"levels": ["part"], "options": options})).levels["part"]
    answer = answered(ask(url, scene(), {"levels": ["part"], "options": options | {"max_masks": 2}}))
    best = sorted((proposal.predicted_iou for proposal in whole), reverse=True)[:2]
    assert sorted((p.predicted_iou for p in answer.levels["part"]), reverse=True) == best
    told = f"part: {len(whole)} masks were found and the 2 of the highest predicted IoU kept; "
    assert answer.warnings == {"part": (told + "raise max_masks or iou_threshold",)}


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
        ('{"levels": ["groups"]}', "levels"),
        ('{"options": {"points_per_side": 65}}', "options.points_per_side"),
        ('{"options": {"points_per_side": 3}}', "options.points_per_side"),
        ('{"options": {"iou_threshold": 1.01}}', "options.iou_threshold"),
        ('{"options": {"overlap_threshold": -0.1}}', "options.overlap_threshold"),
        ('{"options": {"containment_threshold": 2}}', "options.containment_threshold"),
        ('{"options": {"stability_threshold": 2}}', "options.stability_threshold"),
        ('{"options": {"stability_offset": 11}}', "options.stability_offset"),
        ('{"options": {"box_overlap_threshold": "high"}}', "options.box_overlap_threshold"),
        ('{"options": {"duplicate_threshold": NaN}}', "options.duplicate_threshold"),
        ('{"options": {"max_area_percent": 0}}', "options.max_area_percent"),
        ('{"options": {"min_area": -1}}', "options.min_area"),
        ('{"options": {"max_masks": 201}}', "options.max_masks"),
        ('{"options": {"rounds": 0}}', "options.rounds"),
        ('{"options": {"iou_treshold": 0.5}}', "options.iou_treshold"),
        ('{"options": {"strategy": "nothing"}}', "options.strategy"),
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
        responses = [post.result() for post in posts]
    codes = sorted(response.json()["code"] for response in responses)
    assert codes == ["deadline_exceeded", "overloaded", "overloaded"]
    assert all(int(r.headers["retry-after"]) >= 1 for r in responses if r.status_code == 503)


def test_without_weights_the_service_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERCEPTION_CHECKPOINT", str(tmp_path / "sam.pth"))
    with pytest.raises(SystemExit, match=r"^perception cannot start: there is no checkpoint at [^\n]*$"):
        create()


def test_a_wrong_checkpoint_stops_the_process_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "sam.pth").write_bytes(b"no weights")
    environment = os.environ | {"PERCEPTION_CHECKPOINT": str(tmp_path / "sam.pth"), "PERCEPTION_ARCHITECTURE": "vit_b"}
    ended = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"perception cannot start: {tmp_path / 'sam.pth'} cannot be read as a checkpoint")
    assert ended.stderr.count("\n") == 1


def metrics(url: str) -> dict[str, float]:
    """Every sample that /metrics has."""
    lines = httpx2.get(f"{url}/metrics").text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def test_metrics_tell_what_the_device_did(small: Callable[..., str]) -> None:
    url = small()
    before = metrics(url)
    answered(ask(url, scene(4), BOTH))
    answered(ask(url, scene(4), {"options": {"max_masks": 1}}))
    after = metrics(url)

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0.0)

    assert after["perception_queue_depth"] == 0
    assert grown("perception_batch_images_count") == 2
    assert grown('perception_cache_reads_total{cache="embedding",result="hit"}') == 1
    assert grown('perception_cache_reads_total{cache="decoded",result="hit"}') == 2
    assert grown('perception_proposals_count{level="object"}') == 2
    for stage in ("encode", "decode", "upscale", "filter", "full_size", "rle"):
        assert grown(f'perception_stage_seconds_count{{stage="{stage}"}}') >= 1


def test_readiness_waits_for_the_first_image_through_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = threading.Event()
    forward = Encoder.forward

    def slow(self: Encoder, pixels: torch.Tensor) -> torch.Tensor:
        assert compiled.wait(20)
        return forward(self, pixels)

    monkeypatch.setattr(Encoder, "forward", slow)
    monkeypatch.setenv("PERCEPTION_CHECKPOINT", str(save(tmp_path, random_sam())))
    with serving(create()) as url:
        response = httpx2.get(f"{url}/readyz")
        assert (response.status_code, response.json()["needs"]) == (503, {"device": "warming up"})
        compiled.set()
        wait_until_ready(url)


def test_a_device_that_stopped_working_fails_both_checks(
    small: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = small()
    answered(ask(url, scene()))
    assert httpx2.get(f"{url}/livez").status_code == httpx2.get(f"{url}/readyz").status_code == 200

    def broken(self: Encoder, pixels: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(Encoder, "forward", broken)
    assert ask(url, scene(5)).status_code == 500
    for check in ("livez", "readyz"):
        response = httpx2.get(f"{url}/{check}")
        assert response.status_code == 503
        assert "illegal memory access" in response.text
    assert ask(url, scene(6)).json()["code"] == "upstream_unavailable"


def resident_kb(process: subprocess.Popen[str]) -> int:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def test_memory_does_not_grow_over_500_requests_of_mixed_sizes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    caches = {"PERCEPTION_EMBEDDING_CACHE_MB": "1", "PERCEPTION_DECODED_CACHE_MB": "1"}
    environment = {"PERCEPTION_CHECKPOINT": str(save(tmp_path, random_sam())), "PERCEPTION_LOG_LEVEL": "warning"}
    with running(environment | caches) as (process, url):
        before, allocated = 0, 0.0
        for number in range(500):
            height, width = rng.integers(16, 400, size=2)
            image = png(
                rng.integers(0, 255, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
            )
            strategy = ("hierarchical", "everything")[number % 2]
            options = {"points_per_side": int(rng.integers(4, 7)), "strategy": strategy, "max_masks": 20}
            answered(ask(url, image, {"levels": ["part", "object"], "options": options}))
            if number == 200:  # allocators and caches have what they keep
                before = resident_kb(process)
                allocated = metrics(url).get('perception_device_memory_bytes{kind="allocated"}', 0.0)
        assert resident_kb(process) < before * 1.05
        assert metrics(url).get('perception_device_memory_bytes{kind="allocated"}', 0.0) <= allocated * 1.05


def test_it_runs_as_a_process_and_stops_on_sigterm() -> None:
    with running({"PERCEPTION_CHECKPOINT": str(BUNDLED)}) as (process, url):
        assert answered(ask(url, scene())).model.startswith("dtwin-mini-sam-")
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        assert "Finished server process" in process.stderr.read()


COMMAND = [sys.executable, "-m", "uvicorn", "--factory", "services.perception.app:create", "--no-access-log"]


@contextmanager
def running(environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The service as a process of its own, stopped by SIGTERM."""
    port = free_port()
    with subprocess.Popen(
        [*COMMAND, "--port", str(port)], env=os.environ | environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "running on" in line.lower():
                break
        try:
            yield process, f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
