"""The small VLM: what it costs to ask it, and that it is trained on exactly what it is served."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlavaProcessor

from dtwinseger import prompts
from dtwinseger.prompts import views
from training.mini import vlm_answers as answers
from training.mini.vlm import Batch, Hints, Options, draw, encode, loss_of, pixels
from training.mini.vlm_data import Views, prepare
from training.mini.vlm_eval import as_served
from training.mini.vlm_model import IMAGE, PATCH, SIDE, load, make_model, make_processor, picture_processor, save
from training.scenes import render_scene

PICTURE_TOKENS = (SIDE // PATCH) ** 2
BUNDLED = Path("models/dtwin-mini-vlm")
SEMANTICS = '{"semantic":"a small red kite","category":"kite","attributes":["small","red"],"relevance":1.0}'

# transformers itself decodes pictures so.
deprecated = pytest.mark.filterwarnings("ignore:The image decoding and encoding capabilities:DeprecationWarning")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[Views]:
    return [prepare(tmp_path_factory.mktemp("vlm") / "10000", 4, 10_000, perturbed=True)]


@pytest.fixture(scope="module")
def processor(shards: list[Views]) -> LlavaProcessor:
    return make_processor(answers.texts(q for queries in shards[0].queries for q in queries), answers.FRAGMENTS)


def test_a_prompt_costs_few_tokens_beside_its_pictures(processor: LlavaProcessor) -> None:
    """An instruction is one token: who changes a prompt must train a model that knows it."""
    described, _ = encode(processor, prompts.semantics("find the small red kite", 3, b"", b""), "")
    decided, _ = encode(processor, prompts.granularity("find the small red kite", b""), "")
    assert len(described) - 2 * PICTURE_TOKENS <= 16
    assert len(decided) - PICTURE_TOKENS <= 12


def test_the_bundled_model_knows_the_prompts_as_they_are() -> None:
    processor = LlavaProcessor.from_pretrained(BUNDLED)
    described, _ = encode(processor, prompts.semantics("find the small red kite", 3, b"", b""), "")
    decided, _ = encode(processor, prompts.granularity("find the small red kite", b""), "")
    assert len(described) - 2 * PICTURE_TOKENS <= 16
    assert len(decided) - PICTURE_TOKENS <= 12


@pytest.mark.parametrize(
    "text",
    [
        SEMANTICS,
        '{"semantic":"the background","category":"background","attributes":[],"relevance":0.0}',
        '{"granularity":"part","reason":"the query asks for a part of an object"}',
        "Zürich — “né” 日本\n\n  \t small 4096 {}",
        prompts.SEMANTICS + " and more",
    ],
)
def test_whatever_is_encoded_is_decoded_again(processor: LlavaProcessor, text: str) -> None:
    assert processor.tokenizer.decode(processor.tokenizer.encode(text)) == text


def test_an_answer_is_mostly_whole_words_and_fragments(processor: LlavaProcessor) -> None:
    assert len(processor.tokenizer.encode(SEMANTICS)) <= 13


@deprecated
def test_the_trainer_reads_the_tokens_that_the_server_does(processor: LlavaProcessor) -> None:
    scene = render_scene(0, 320, 256)
    mask = scene.objects[0].mask
    pngs = views.png(views.marked(scene.image, mask, 12, SIDE)), views.png(views.crop(scene.image, mask, SIDE))
    for query in ("the small red kite?", "a zeppelin, über alles", None):
        served = _served(processor, prompts.semantics(query, 12, *pngs))
        trained, start = encode(processor, prompts.semantics(query, 12, b"", b""), "")
        assert served["input_ids"][0].tolist() == trained[:start]


@deprecated
def test_the_trainer_sees_the_pixels_that_the_server_does(processor: LlavaProcessor) -> None:
    scene = render_scene(0, 320, 256)
    mask = scene.objects[0].mask
    shown = [views.marked(scene.image, mask, 12, SIDE), views.crop(scene.image, mask, SIDE)]
    served = _served(processor, prompts.semantics("x", 12, views.png(shown[0]), views.png(shown[1])))
    stored = picture_processor()([p.copy() for p in shown], do_rescale=False, do_normalize=False, return_tensors="pt")
    assert torch.equal(pixels(processor, stored["pixel_values"]), served["pixel_values"])


def test_a_batch_is_the_same_for_the_same_step_and_another_for_the_next(
    shards: list[Views], processor: LlavaProcessor
) -> None:
    options = Options(batch=8)
    one, again, other = (draw(shards, processor, options, step) for step in (5, 5, 6))
    assert torch.equal(one.ids, again.ids)
    assert torch.equal(one.pictures, again.pictures)
    assert one.ids.shape != other.ids.shape or not torch.equal(one.ids, other.ids)


def test_only_answers_are_learned(shards: list[Views], processor: LlavaProcessor) -> None:
    batch = draw(shards, processor, Options(batch=8), 0)
    for ids, labels in zip(batch.ids, batch.labels, strict=True):
        learned = processor.tokenizer.decode(ids[labels != -100])
        assert learned.startswith(('{"semantic":', '{"granularity":'))
        assert learned.endswith("}" + processor.tokenizer.eos_token)
        assert torch.equal(ids[labels != -100], labels[labels != -100])


def test_every_picture_has_its_place_in_the_text(shards: list[Views], processor: LlavaProcessor) -> None:
    batch = draw(shards, processor, Options(batch=8), 0)
    places = int((batch.ids == processor.tokenizer.convert_tokens_to_ids(IMAGE)).sum())
    assert places == PICTURE_TOKENS * len(batch.pictures)


def test_a_few_steps_on_one_batch_lower_its_loss(shards: list[Views], processor: LlavaProcessor) -> None:
    batch = draw(shards, processor, Options(batch=8), 0)
    model, hints = make_model(processor.tokenizer, 0), Hints(160)
    before, after = _steps(model, hints, processor, batch)
    assert after < 0.6 * before


def test_padding_changes_no_loss(shards: list[Views], processor: LlavaProcessor) -> None:
    batch = draw(shards, processor, Options(batch=8), 0)
    padding = torch.full((8, 9), processor.tokenizer.pad_token_id)
    padded = Batch(
        torch.cat([batch.ids, padding], dim=1),
        torch.cat([batch.labels, torch.full_like(padding, -100)], dim=1),
        batch.pictures,
        batch.records,
    )
    model, hints = make_model(processor.tokenizer, 0).eval(), Hints(160)
    with torch.no_grad():
        one, other = (loss_of(model, hints, processor, each)[0].item() for each in (batch, padded))
    assert one == pytest.approx(other, rel=1e-3)


def test_what_is_saved_is_loaded_in_full_precision_and_fits_the_repository(
    processor: LlavaProcessor, tmp_path: Path
) -> None:
    model = make_model(processor.tokenizer, 0)
    save(model, processor, tmp_path)
    loaded, again = load(tmp_path)
    assert loaded.dtype == torch.float32
    assert again.tokenizer.encode(SEMANTICS) == processor.tokenizer.encode(SEMANTICS)
    assert (tmp_path / "model.safetensors").stat().st_size < 10_000_000
    kept = dict(loaded.named_parameters())
    assert all(torch.allclose(value, kept[name], atol=1e-3) for name, value in model.named_parameters())


def _served(processor: LlavaProcessor, messages: list[prompts.Message]) -> Any:
    return processor.apply_chat_template(
        as_served(messages), add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )


def _steps(model: Any, hints: Hints, processor: LlavaProcessor, batch: Batch) -> tuple[float, float]:
    optimizer = torch.optim.AdamW([*model.parameters(), *hints.parameters()], 2e-3)
    losses = []
    for _ in range(12):
        loss, hint = loss_of(model, hints, processor, batch)
        (loss + 0.1 * hint).backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses[0], float(np.mean(losses[-2:]))
