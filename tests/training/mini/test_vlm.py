"""The small VLM: what it costs to ask it, and that it is trained on exactly what it is served."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from transformers import LlavaProcessor

from dtwinseger import prompts
from dtwinseger.api import SemanticsOptions
from dtwinseger.prompts import views
from dtwinseger.prompts.questions import PROMPTINGS, Prompting, question
from dtwinseger.prompts.showing import prepare, show
from training.mini.blend import blend
from training.mini.rendering import FIRST_SEED, square, store_scene
from training.mini.scene_store import Contents, Store, create
from training.mini.vlm import Hints, Recipe, loss_of, pixels, train, vocabulary
from training.mini.vlm_data import FRAMES, Batch, Sequences, draw, framed
from training.mini.vlm_eval import as_served, evaluate, main, questions, told
from training.mini.vlm_model import HIDDEN, IMAGE, PATCH, SIDE, begin, load, make_model, save
from training.scenes import render_scene

PICTURE_TOKENS = (SIDE // PATCH) ** 2
BUNDLED = Path("models/dtwin-mini-vlm")
CPU = torch.device("cpu")
SEMANTICS = '{"semantic":"a small red kite","category":"kite","attributes":["small","red"],"relevance":1.0}'

# transformers itself decodes pictures so.
deprecated = pytest.mark.filterwarnings("ignore:The image decoding and encoding capabilities:DeprecationWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vlm") / "scenes"


@pytest.fixture(scope="module")
def store(folder: Path) -> Store:
    store = create(folder, Contents(FIRST_SEED, 6))
    for index in range(6):
        store_scene(store, index, FIRST_SEED + index)
    return store


@pytest.fixture(scope="module")
def processor(store: Store) -> LlavaProcessor:
    return vocabulary(store, 6)


@pytest.fixture(scope="module")
def sequences(processor: LlavaProcessor) -> Sequences:
    return Sequences(processor)


def drawn(store: Store, sequences: Sequences, step: int = 0) -> Batch:
    return draw((store,), sequences, 8, np.random.default_rng(step))


def test_a_prompt_costs_few_tokens_beside_its_pictures(sequences: Sequences) -> None:
    """An instruction is one token: who changes a prompt must train a model that knows it."""
    described = sequences.semantics("find the small red kite", 3)
    decided = sequences.granularity("find the small red kite")
    assert len(described) - 2 * PICTURE_TOKENS <= 16
    assert len(decided) - PICTURE_TOKENS <= 12


def test_the_bundled_model_knows_the_prompts_as_they_are() -> None:
    sequences = Sequences(LlavaProcessor.from_pretrained(BUNDLED))
    described = sequences.semantics("find the small red kite", 3)
    decided = sequences.granularity("find the small red kite")
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
def test_the_trainer_reads_the_tokens_that_the_server_does(processor: LlavaProcessor, sequences: Sequences) -> None:
    scene = render_scene(0, 320, 256)
    mask = scene.objects[0].mask
    pngs = views.png(views.marked(scene.image, mask, 12, SIDE)), views.png(views.crop(scene.image, mask, SIDE))
    for query in ("the small red kite?", "a zeppelin, über alles", None):
        served = _served(processor, prompts.semantics(query, 12, *pngs))
        assert tuple(served["input_ids"][0].tolist()) == sequences.semantics(query, 12)
        if query is not None:
            served = _served(processor, prompts.granularity(query, pngs[0]))
            assert tuple(served["input_ids"][0].tolist()) == sequences.granularity(query)


@deprecated
@pytest.mark.parametrize("prompting", PROMPTINGS)
@pytest.mark.parametrize("query", ["the small red kite?", None])
def test_every_prompting_is_trained_as_it_is_served(
    processor: LlavaProcessor, sequences: Sequences, prompting: Prompting, query: str | None
) -> None:
    scene = render_scene(0, 320, 256)
    options = SemanticsOptions(prompting=prompting)
    masks = [(1, scene.objects[0].mask)]
    shown = show(prepare(options, scene.image, masks, SIDE), masks)
    served = _served(processor, question(options, query, shown, SIDE))
    assert tuple(served["input_ids"][0].tolist()) == sequences.semantics(query, 1, prompting)
    examples = sequences.worked(query is not None) if prompting == "in_context" else []
    assert len(served["pixel_values"]) == len(examples) + 2
    for picture, given in zip(examples, served["pixel_values"], strict=False):
        assert torch.allclose(pixels(torch.from_numpy(picture)), given, atol=1e-6)


def test_batches_with_worked_examples_are_smaller(store: Store, sequences: Sequences) -> None:
    batches = [drawn(store, sequences, step) for step in range(40)]
    worked = [batch for batch in batches if len(batch.ids) < 8]
    assert 0 < len(worked) < 20
    assert all(len(batch.pictures) == 6 * len(batch.ids) and not len(batch.records) for batch in worked)


@deprecated
def test_the_trainer_sees_the_pixels_that_the_server_does(processor: LlavaProcessor) -> None:
    scene = render_scene(0, 320, 256)
    mask = scene.objects[0].mask
    shown = [views.marked(scene.image, mask, 12, SIDE), views.crop(scene.image, mask, SIDE)]
    served = _served(processor, prompts.semantics("x", 12, views.png(shown[0]), views.png(shown[1])))
    stored = torch.from_numpy(np.stack([square(picture) for picture in shown]))
    assert torch.allclose(pixels(stored), served["pixel_values"], atol=1e-6)


def test_a_batch_is_the_same_for_the_same_step_and_another_for_the_next(store: Store, sequences: Sequences) -> None:
    one, again, other = (drawn(store, sequences, step) for step in (5, 5, 6))
    assert torch.equal(one.ids, again.ids)
    assert torch.equal(one.pictures, again.pictures)
    assert one.ids.shape != other.ids.shape or not torch.equal(one.ids, other.ids)


def test_only_answers_are_learned(store: Store, processor: LlavaProcessor, sequences: Sequences) -> None:
    batch = drawn(store, sequences)
    for ids, labels in zip(batch.ids, batch.labels, strict=True):
        learned = processor.tokenizer.decode(ids[labels != -100])
        assert learned.startswith(('{"semantic":', '{"granularity":'))
        assert learned.endswith("}" + processor.tokenizer.eos_token)
        assert torch.equal(ids[labels != -100], labels[labels != -100])


def test_a_query_is_wrapped_in_words_that_mean_nothing() -> None:
    rng = np.random.default_rng(0)
    texts = [framed("the kite", rng) for _ in range(400)]
    assert 200 < texts.count("the kite") < 280
    whole = [text for text in texts if text.endswith("the kite")]
    assert 300 < len(whole) < 400  # in the others a word is unknown
    assert {word for text in whole for word in text.split()[:-2]} == set(FRAMES)


def test_no_wrapping_makes_a_phrasing_that_is_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.mini.vlm_data.FRAMES", ("can", "you"))
    rng = np.random.default_rng(0)
    texts = {framed("see the handle of the mug", rng) for _ in range(1000)}
    assert "you see the handle of the mug" in texts
    assert "can you see the handle of the mug" not in texts  # one of PART_USED


def test_every_picture_has_its_place_in_the_text(store: Store, processor: LlavaProcessor, sequences: Sequences) -> None:
    batch = drawn(store, sequences)
    places = int((batch.ids == processor.tokenizer.convert_tokens_to_ids(IMAGE)).sum())
    assert places == PICTURE_TOKENS * len(batch.pictures)


def test_a_few_steps_on_one_batch_lower_its_loss(store: Store, processor: LlavaProcessor, sequences: Sequences) -> None:
    model, hints = make_model(processor.tokenizer, 0), Hints(HIDDEN)
    before, after = _steps(model, hints, drawn(store, sequences))
    assert after < 0.6 * before


def test_padding_changes_no_loss(store: Store, processor: LlavaProcessor, sequences: Sequences) -> None:
    batch = drawn(store, sequences)
    padding = torch.full((8, 9), processor.tokenizer.pad_token_id)
    padded = replace(
        batch,
        ids=torch.cat([batch.ids, padding], dim=1),
        labels=torch.cat([batch.labels, torch.full_like(padding, -100)], dim=1),
    )
    model, hints = make_model(processor.tokenizer, 0).eval(), Hints(HIDDEN)
    with torch.no_grad():
        one, other = (loss_of(model, hints, each, CPU)[0].item() for each in (batch, padded))
    assert one == pytest.approx(other, rel=1e-3)


def test_a_training_without_hints_has_the_loss_of_the_answers_alone(
    store: Store, processor: LlavaProcessor, sequences: Sequences
) -> None:
    batch, model = drawn(store, sequences), make_model(processor.tokenizer, 0).eval()
    with torch.no_grad():
        (loss, hint), (alone, none) = (loss_of(model, hints, batch, CPU) for hints in (Hints(HIDDEN), None))
    assert alone == loss
    assert hint > none == 0


@deprecated
def test_training_resumes_and_what_is_saved_fits_the_repository_and_answers(
    folder: Path, store: Store, tmp_path: Path
) -> None:
    work, out = tmp_path / "work", tmp_path / "out"
    recipe = Recipe(minutes=0.01, batch=4, spoken_scenes=len(store.done))
    train(recipe, folder, folder, work, out, CPU)
    before = torch.load(work / "checkpoint.pt", weights_only=True)
    train(replace(recipe, minutes=before["spent"] / 60 + 0.01), folder, folder, work, out, CPU)
    after = torch.load(work / "checkpoint.pt", weights_only=True)
    assert after["step"] > before["step"] > 0
    model, processor = load(out)
    assert model.dtype == torch.float32
    assert (out / "model.safetensors").stat().st_size < 9_000_000
    kept = dict(model.named_parameters())
    assert all(torch.allclose(after["average"][name], value, atol=1e-3) for name, value in kept.items())
    asked = [prompts.granularity(query, views.png(render_scene(0).image)) for query in ("the kite", "kites")]
    assert told(model, processor, asked) == [told(model, processor, [one])[0] for one in asked]


@deprecated
def test_a_training_that_begins_with_a_model_keeps_no_hints(folder: Path, store: Store, tmp_path: Path) -> None:
    recipe = Recipe(minutes=0.01, batch=4, spoken_scenes=len(store.done))
    train(recipe, folder, None, tmp_path / "work", tmp_path / "out", CPU, BUNDLED)
    state = torch.load(tmp_path / "work" / "checkpoint.pt", weights_only=True)
    assert state["step"] > 0
    assert {name.partition(".")[0] for name in state["modules"]} == {"model"}


def test_a_training_that_begins_with_a_model_keeps_its_words(store: Store, processor: LlavaProcessor) -> None:
    later, before = vocabulary(store, 6, BUNDLED).tokenizer.get_vocab(), load(BUNDLED)[1].tokenizer.get_vocab()
    scenes = processor.tokenizer.get_vocab()
    assert before.keys() - scenes.keys()
    assert later.keys() == before.keys() | scenes.keys()


def test_a_training_begins_with_the_words_that_both_models_have(processor: LlavaProcessor) -> None:
    bundled, known = load(BUNDLED)
    model = make_model(processor.tokenizer, 0)
    before = model.get_input_embeddings().weight.detach().clone()
    begin(model, processor.tokenizer, BUNDLED)
    old, new = (one.get_input_embeddings().weight for one in (bundled, model))
    for token, place in processor.tokenizer.get_vocab().items():
        there = known.tokenizer.get_vocab().get(token)
        assert torch.equal(new[place], before[place] if there is None else old[there])
    assert torch.equal(*(next(iter(one.model.vision_tower.parameters())) for one in (bundled, model)))


def test_a_blend_lies_between_two_models_word_by_word(processor: LlavaProcessor, tmp_path: Path) -> None:
    model = make_model(processor.tokenizer, 0)
    save(model, model.state_dict(), processor, tmp_path / "new")
    blend(BUNDLED, tmp_path / "new", 0.25, tmp_path / "out")
    (old, known), (new, _), (between, words) = (load(f) for f in (BUNDLED, tmp_path / "new", tmp_path / "out"))
    assert words.tokenizer.get_vocab() == processor.tokenizer.get_vocab()
    place = words.tokenizer.get_vocab()["Ġkite"]
    rows = [one.get_input_embeddings().weight for one in (old, new, between)]
    there = rows[0][known.tokenizer.get_vocab()["Ġkite"]]
    assert torch.allclose(rows[2][place], 0.75 * there + 0.25 * rows[1][place], atol=1e-3)
    first = [next(iter(one.model.vision_tower.parameters())) for one in (old, new, between)]
    assert torch.allclose(first[2], 0.75 * first[0] + 0.25 * first[1], atol=1e-3)


def test_right_answers_are_counted_as_right() -> None:
    right = evaluate(_knowing(0), [0], None)
    assert right.keys() >= {"exact: object", "perceived, parts asked for: part", "granularity, held-out phrasings"}
    assert all(all(hits) for hits in right.values())


def test_scenes_that_training_sees_are_not_evaluated() -> None:
    with pytest.raises(typer.BadParameter, match="10,000 on are trained on"):
        main(scenes=100, first_seed=FIRST_SEED - 99)


def _knowing(seed: int) -> Callable[[list[list[prompts.Message]]], list[str]]:
    """Who answers what is asked about a scene as the truth has it."""
    return lambda asked: [json.dumps(question.truth) for question in questions(seed, None)]


def _served(processor: LlavaProcessor, messages: list[prompts.Message]) -> Any:
    return processor.apply_chat_template(
        as_served(messages), add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )


def _steps(model: Any, hints: Hints, batch: Batch) -> tuple[float, float]:
    optimizer = torch.optim.AdamW([*model.parameters(), *hints.parameters()], 2e-3)
    losses = []
    for _ in range(12):
        loss, hint = loss_of(model, hints, batch, CPU)
        (loss + 0.1 * hint).backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses[0], float(np.mean(losses[-2:]))
