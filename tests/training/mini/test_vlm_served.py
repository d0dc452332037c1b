"""The bundled VLM behind `transformers serve`: over HTTP it says what it says in the trainer's process."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from dtwinseger import prompts
from dtwinseger.api import Semantics
from dtwinseger.prompts import views
from tests.doubles.serving import free_port
from training.mini.vlm_eval import local
from training.mini.vlm_model import SIDE, load
from training.scenes import render_scene

MODEL = Path("models/dtwin-mini-vlm")

pytestmark = pytest.mark.filterwarnings("ignore:The image decoding and encoding capabilities:DeprecationWarning")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of an engine of its own."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("transformers")), "serve", "--device", "cpu"]
    environment = os.environ | {"HF_HUB_CACHE": str(tmp_path_factory.mktemp("hub")), "HF_HUB_OFFLINE": "1"}
    log = tmp_path_factory.mktemp("engine") / "log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port), "--model-timeout", "-1"],
            env=environment,
            stdout=out,
            stderr=out,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        give_up = time.monotonic() + 120
        while not _healthy(url):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < give_up, log.read_text()
            threading.Event().wait(0.1)
        yield url
    finally:
        server.terminate()
        server.wait(20)


def test_over_http_it_says_what_the_trainer_sees(engine: str) -> None:
    tell = local(*load(MODEL))
    scene = render_scene(3, 320, 256)
    whole = views.png(views.scaled(scene.image, SIDE))
    asked = [prompts.granularity(query, whole) for query in ("all the red ones", "the handle of the mug", "a zeppelin")]
    for index, (found, query) in enumerate(zip(scene.objects, ("the red kite", None, "a zeppelin!"), strict=False), 1):
        marked = views.png(views.marked(scene.image, found.mask, index, SIDE))
        asked.append(prompts.semantics(query, index, marked, views.png(views.crop(scene.image, found.mask, SIDE))))
    for messages in asked:
        answer = _ask(engine, messages)
        assert answer["choices"][0]["message"]["content"] == tell(messages)
        assert answer["choices"][0]["finish_reason"] == "stop"
        assert answer["usage"]["prompt_tokens"] < 100


def test_its_descriptions_are_valid(engine: str) -> None:
    scene = render_scene(4)
    found = scene.objects[0]
    marked = views.png(views.marked(scene.image, found.mask, 1, SIDE))
    messages = prompts.semantics("find it", 1, marked, views.png(views.crop(scene.image, found.mask, SIDE)))
    said = Semantics.model_validate_json(_ask(engine, messages)["choices"][0]["message"]["content"])
    assert (said.semantic, said.category) == (found.semantic, found.kind)


def _ask(engine: str, messages: list[prompts.Message]) -> dict[str, Any]:
    body = {"model": str(MODEL), "messages": messages, "max_tokens": 100, "temperature": 0}
    response = httpx2.post(f"{engine}/v1/chat/completions", json=body, timeout=120)
    assert response.status_code == 200, response.text
    return dict(json.loads(response.text))


def _healthy(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/health", timeout=1).status_code == 200
    except httpx2.HTTPError:
        return False
