"""OWLv2 of random weights through the real code: loading, the frame of its boxes, and what masks are called."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import torch
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTokenizer, Owlv2Config, Owlv2ForObjectDetection, Owlv2ImageProcessor, Owlv2Processor

from dtwinseger import api
from dtwinseger.problems import Problem
from dtwinseger.prompts.views import png as encoded
from dtwinseger.service.deadline import deadline
from dtwinseger.twin import Mask
from services.semantics.app import create
from services.semantics.owlv2 import NOTHING, Owlv2, Owlv2Error
from tests.doubles.openai_server import OpenAIServer
from tests.services.semantics.conversation import describe as ask
from tests.services.semantics.conversation import told

SIDE, PATCH = 64, 16
LETTERS = sorted(ByteLevel.alphabet())
TOKENS = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]


def small_owlv2(seed: int = 0) -> Owlv2ForObjectDetection:
    """A few thousand random weights; each token sees its own patch alone, and its box is its place in the grid."""
    config = Owlv2Config(
        text_config={
            "vocab_size": len(TOKENS),
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "bos_token_id": len(TOKENS) - 2,
            "eos_token_id": len(TOKENS) - 1,
        },
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": SIDE,
            "patch_size": PATCH,
        },
        projection_dim=16,
    )
    torch.manual_seed(seed)
    model = Owlv2ForObjectDetection(config)
    vision = model.owlv2.vision_model
    with torch.no_grad():
        for layer in vision.encoder.layers:
            for mixed in (layer.self_attn.out_proj, layer.mlp.fc2):
                mixed.weight.zero_()
                mixed.bias.zero_()
        vision.embeddings.position_embedding.weight.zero_()
        for parameter in model.box_head.dense2.parameters():
            parameter.zero_()
    return model


def save(folder: Path, model: Owlv2ForObjectDetection) -> str:
    """Write model and processor as `save_pretrained` does; the folder."""
    tokenizer = CLIPTokenizer(vocab={token: at for at, token in enumerate(TOKENS)}, merges=[], pad_token="!")
    model.save_pretrained(folder)
    Owlv2Processor(Owlv2ImageProcessor(size={"height": SIDE, "width": SIDE}), tokenizer).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save(tmp_path_factory.mktemp("owlv2"), small_owlv2())


@pytest.fixture(scope="module")
def owlv2(folder: str) -> Any:
    loaded = Owlv2.load(folder, "cpu")
    yield loaded
    loaded.close()


def picture(height: int, width: int, box: tuple[int, int, int, int] | None = None) -> np.ndarray:
    """Black, with a white box."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    if box:
        pixels[box[1] : box[3], box[0] : box[2]] = 255
    return pixels


def asked(
    image: np.ndarray, *corners: tuple[int, int, int, int], query: str | None = "mug", vocabulary: tuple[str, ...] = ()
) -> api.SemanticsRequest:
    """About masks that fill boxes."""
    masks = []
    for index, (x1, y1, x2, y2) in enumerate(corners, 1):
        mask = np.zeros(image.shape[:2], dtype=np.bool_)
        mask[y1:y2, x1:x2] = True
        masks.append(api.DescribedMask(index=index, mask=Mask.encode(mask)))
    options = api.SemanticsOptions(source="owlv2", vocabulary=vocabulary)
    return api.SemanticsRequest(query=query, masks=tuple(masks), options=options)


def describe(owlv2: Owlv2, image: np.ndarray, request: api.SemanticsRequest, threshold: float = 0) -> Any:
    return asyncio.run(owlv2.describe(image, request, threshold, 0.5))


# --- loading ---


def test_a_saved_model_comes_back_whole_and_only_for_inference(owlv2: Owlv2) -> None:
    saved = small_owlv2().state_dict()
    assert all(torch.equal(value, saved[name]) for name, value in owlv2.model.state_dict().items())
    assert not owlv2.model.training
    assert not any(parameter.requires_grad for parameter in owlv2.model.parameters())


def test_the_identity_changes_with_the_weights(folder: str, owlv2: Owlv2, tmp_path: Path) -> None:
    assert owlv2.identity == Owlv2.load(folder, "cpu").identity
    name, digest = owlv2.identity.split("@")
    assert (name, len(digest)) == (folder, 12)
    assert Owlv2.load(save(tmp_path, small_owlv2(1)), "cpu").identity.split("@")[1] != digest


@pytest.mark.parametrize("name", ["/nowhere/owlv2", "./owlv2", "models/of/mine"])
def test_a_missing_folder_says_what_to_set(name: str) -> None:
    with pytest.raises(Owlv2Error, match=f"^there is no folder {name}; set SEMANTICS_OWLV2_MODEL [^\n]*$"):
        Owlv2.load(name, "cpu")


def test_a_model_of_another_kind_is_refused() -> None:
    with pytest.raises(Owlv2Error, match="is a model of type llava, not owlv2"):
        Owlv2.load("models/dtwin-mini-vlm", "cpu")


def test_weights_that_lack_tensors_are_refused(tmp_path: Path) -> None:
    model = small_owlv2()
    save(tmp_path, model)
    rest = {name: value for name, value in model.state_dict().items() if not name.startswith("class_head")}
    model.save_pretrained(tmp_path, state_dict=rest)
    with pytest.raises(Owlv2Error, match=r"lacks \d+ tensors of OWLv2, for one class_head"):
        Owlv2.load(str(tmp_path), "cpu")


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "processor_config.json", "tokenizer.json"])
def test_a_file_of_garbage_is_one_clear_line(tmp_path: Path, file: str) -> None:
    save(tmp_path, small_owlv2())
    (tmp_path / file).write_text("<html>not found</html>")
    with pytest.raises(Owlv2Error, match=f"^{tmp_path} cannot be loaded as OWLv2: [^\n]+$"):
        Owlv2.load(str(tmp_path), "cpu")


def test_pickled_weights_are_not_read(tmp_path: Path) -> None:
    save(tmp_path, small_owlv2())
    (tmp_path / "model.safetensors").unlink()
    torch.save(small_owlv2().state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(Owlv2Error, match="cannot be loaded as OWLv2"):
        Owlv2.load(str(tmp_path), "cpu")


# --- detection ---


@pytest.mark.parametrize(
    ("height", "width", "white", "box"),
    [
        # A patch is a quarter of the longest side; its box is as large and around the patch's lower right corner.
        (64, 64, (16, 16, 32, 32), (24, 24, 40, 40)),
        (32, 64, (16, 16, 32, 32), (24, 24, 40, 32)),
        (64, 32, (16, 32, 32, 48), (24, 40, 32, 56)),
        (128, 256, (64, 64, 128, 128), (96, 96, 160, 128)),
        (500, 1000, (250, 250, 500, 500), (375, 375, 625, 500)),  # scaled down before
    ],
)
def test_a_box_is_in_the_frame_of_its_image_whatever_its_aspect(
    owlv2: Owlv2, height: int, width: int, white: tuple[int, int, int, int], box: tuple[int, ...]
) -> None:
    found = owlv2.detect(picture(height, width, white), ("mug",), 0)
    odd = np.abs(found.scores - np.median(found.scores)).argmax()  # the one token that sees white
    assert found.boxes[odd] == pytest.approx(box, abs=0.01 * max(height, width))


def test_boxes_end_where_the_image_does(owlv2: Owlv2) -> None:
    found = owlv2.detect(picture(32, 64), ("mug",), 0)
    assert found.boxes.min() >= 0
    assert found.boxes[:, 2:].max(axis=0).tolist() == [64, 32]  # below is padding


def test_a_label_longer_than_the_text_encoder_takes_is_cut(owlv2: Owlv2) -> None:
    long = "a very long label " * 5
    found = owlv2.detect(picture(64, 64), (long.strip(), "mug"), 0)
    assert set(found.labels.tolist()) <= {0, 1}


def test_a_picture_of_one_pixel_and_one_of_extreme_aspect_are_looked_at(owlv2: Owlv2) -> None:
    for height, width in ((1, 1), (3, 20_000)):
        found = owlv2.detect(picture(height, width), ("mug",), 0)
        assert found.boxes[:, 2:].max(axis=0).tolist() == [width, height]


# --- masks ---


def test_a_mask_takes_the_label_of_the_detection_on_it(owlv2: Owlv2) -> None:
    image = picture(32, 64, (16, 0, 32, 16))
    on, off = describe(owlv2, image, asked(image, (24, 8, 40, 24), (0, 0, 64, 32)))
    assert (on.semantic, on.category, on.attributes) == ("a mug", "mug", ())
    assert on.relevance in owlv2.detect(image, ("mug",), 0).scores
    assert off == NOTHING == api.Semantics(semantic="an object", category="object", attributes=(), relevance=0)


def test_a_label_of_the_vocabulary_alone_is_not_relevant(owlv2: Owlv2) -> None:
    image = picture(64, 64)
    request = asked(image, (24, 24, 40, 40), query=None, vocabulary=("apple",))
    assert describe(owlv2, image, request) == [api.Semantics(semantic="an apple", category="apple", relevance=0)]


def test_a_picture_without_detections_leaves_every_mask_an_object(owlv2: Owlv2) -> None:
    image = picture(64, 64)
    request = asked(image, (24, 24, 40, 40), (0, 0, 64, 64))
    assert describe(owlv2, image, request, threshold=1) == [NOTHING, NOTHING]


def test_without_masks_nothing_is_said(owlv2: Owlv2) -> None:
    image = picture(64, 64)
    assert describe(owlv2, image, asked(image)) == []


def test_nothing_to_look_for_is_told_before_any_work(owlv2: Owlv2) -> None:
    image = picture(64, 64)
    with pytest.raises(Problem, match="vocabulary"):
        describe(owlv2, image, asked(image, (0, 0, 9, 9), query=None))


def test_an_image_that_nobody_waits_for_any_more_is_not_looked_at(folder: str) -> None:
    owlv2 = Owlv2.load(folder, "cpu")
    entered, gate, looked = threading.Event(), threading.Event(), []

    def wait(*_: Any) -> None:
        looked.append(threading.current_thread().name)
        entered.set()
        assert gate.wait(30)

    owlv2.model.register_forward_pre_hook(wait)
    image = picture(64, 64)
    request = asked(image, (24, 24, 40, 40))

    async def scenario() -> None:
        first = asyncio.create_task(owlv2.describe(image, request, 0, 0.5))
        await asyncio.to_thread(entered.wait, 30)  # the loop is free while the model is at work
        with pytest.raises(Problem) as raised:
            async with deadline(0.05):
                await owlv2.describe(image, request, 0, 0.5)
        assert raised.value.code == "deadline_exceeded"
        gate.set()
        assert len(await first) == 1
        assert len(await owlv2.describe(image, request, 0, 0.5)) == 1

    asyncio.run(scenario())
    owlv2.close()
    assert looked == ["owlv2_0", "owlv2_0"]  # the first and the last


# --- over HTTP ---

Start = Callable[..., tuple[str, OpenAIServer]]


def test_masks_are_described_by_the_detector_and_no_vlm_is_asked(folder: str, service: Start) -> None:
    url, engine = service(SEMANTICS_OWLV2_MODEL=folder, SEMANTICS_OWLV2_THRESHOLD="0")
    image = picture(64, 64, (0, 0, 16, 16))
    lines, end = told(ask(url, asked(image, (8, 8, 24, 24), (20, 20, 60, 60)), encoded(image)))
    assert lines[1].semantics is not None
    assert lines[1].semantics.semantic == "a mug"
    assert lines[2].semantics == NOTHING
    assert end.model.startswith(f"{folder}@")
    assert end.usage.calls == 0
    assert engine.requests == []
    info = api.ServiceInfo.model_validate_json(httpx2.get(f"{url}/v1/info").content)
    assert info.models["owlv2"] == end.model
    assert info.settings["owlv2_iou"] == 0.5


def test_nothing_to_look_for_is_told(folder: str, service: Start) -> None:
    url, _ = service(SEMANTICS_OWLV2_MODEL=folder)
    image = picture(64, 64)
    response = ask(url, asked(image, (0, 0, 16, 16), query=None), encoded(image))
    assert (response.status_code, response.json()["code"]) == (400, "invalid_options")
    assert "vocabulary" in response.json()["detail"]


def test_a_wrong_model_stops_the_service_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMANTICS_OWLV2_MODEL", "/nowhere/owlv2")
    with pytest.raises(SystemExit, match=r"^semantics cannot start: there is no folder /nowhere/owlv2[^\n]*$"):
        create()
