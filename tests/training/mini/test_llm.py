"""dtwin-mini-llm: its tokens cost little and lose nothing, and training on packed queries is training on each."""

import copy
import random
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from dtwinseger.prompts import REASONING, reask, reasoning
from dtwinseger.twin import render_answer, violations
from training.mini.llm import collate, loss_of, new_model, train
from training.mini.llm_data import FIRST_SEED, IMAGES, MOST, perturb, scene_things, stream
from training.mini.llm_text import ASSISTANT, END, build
from training.scenes.queries import Asker
from training.scenes.things import rows

TOKENIZER = build()
POOL = [scene_things(seed) for seed in range(8)]
SILENT = VERDICT = np.zeros(len(TOKENIZER), np.bool_)


def prompt_and_answer(seed: int) -> tuple[str, str]:
    things, size = POOL[seed]
    query = Asker(things, size, random.Random(seed)).draw()
    assert query is not None
    messages = reasoning(query.text, rows(things, size))
    prompt = TOKENIZER.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return prompt, render_answer(query.path, query.indices)


def test_twins_queries_and_answers_decode_to_what_was_encoded() -> None:
    for seed in range(len(POOL)):
        for text in prompt_and_answer(seed):
            assert TOKENIZER.decode(TOKENIZER(text)["input_ids"]) == text


@given(st.text(max_size=80))
@settings(max_examples=200, deadline=None)
def test_any_text_decodes_to_what_was_encoded(text: str) -> None:
    ids = TOKENIZER(text, split_special_tokens=True)["input_ids"]
    assert TOKENIZER.decode(ids) == text


def test_the_instructions_are_one_token() -> None:
    assert len(TOKENIZER(REASONING)["input_ids"]) == 1
    empty = TOKENIZER.apply_chat_template(reasoning("the kite", []), tokenize=True, add_generation_prompt=True)
    assert len(empty["input_ids"]) < 20


def test_a_twin_costs_few_tokens() -> None:
    lengths = [len(TOKENIZER(text)["input_ids"]) for seed in range(len(POOL)) for text in prompt_and_answer(seed)]
    assert max(lengths) < 300


def test_the_template_renders_a_second_turn() -> None:
    things, size = POOL[0]
    messages = [*reasoning("the kite", rows(things, size)), *reask("no", "not JSON")]
    text = TOKENIZER.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text.count(ASSISTANT) == 2
    assert f"{ASSISTANT}no{END}" in text
    assert text.endswith(ASSISTANT)


def test_training_scenes_are_not_held_out() -> None:
    assert FIRST_SEED == 10_000


def test_perturbed_twins_keep_the_rules_of_a_twin() -> None:
    rng = random.Random(1)
    seen = set()
    for number in range(200):
        things, size = POOL[number % len(POOL)]
        changed = perturb(things, size, MOST, rng)
        seen.add(len(changed))
        areas = [thing.area_percent for thing in changed]
        assert areas == sorted(areas, reverse=True)
        for index, thing in enumerate(changed, start=1):
            assert all(1 <= relation.target < index for relation in thing.relations)
        query = Asker(changed, size, rng).draw()
        assert query is None or violations(query.path, query.indices, range(1, len(changed) + 1)) == []
    assert set(range(1, MOST + 1)) <= seen


def test_scenes_come_in_several_sizes() -> None:
    assert {size for _, size in POOL} == set(IMAGES)


def test_a_packed_query_is_predicted_as_if_it_stood_alone() -> None:
    model = new_model(TOKENIZER, 0)
    config = copy.deepcopy(model.config)
    config._attn_implementation = "eager"
    plain = LlamaForCausalLM(config)
    plain.load_state_dict(model.state_dict())
    packed = list(islice(stream(TOKENIZER, POOL, 3, 5), 3))
    batch = collate(packed, TOKENIZER.pad_token_id, 0.5, SILENT, VERDICT)
    with torch.no_grad():
        together = model.model(batch.ids, position_ids=batch.position, attention_mask=batch.bias, use_cache=False)[0]
        query, twin = batch.bias.shape[-2], batch.bias.shape[-1] - batch.bias.shape[-2]
        for row, one in enumerate(packed):
            for number, asked in enumerate(one.queries):
                alone = plain.model(torch.tensor([one.twin + asked]), use_cache=False)[0][0]
                start = twin + number * query
                there = together[row, start : start + len(asked)]
                assert torch.allclose(alone[len(one.twin) :], there, atol=1e-4)


def test_only_answers_count_where_prompts_weigh_nothing() -> None:
    packed = list(islice(stream(TOKENIZER, POOL, 3, 5), 2))
    batch = collate(packed, TOKENIZER.pad_token_id, 0.0, SILENT, VERDICT)
    answers = sum(len(ids) - start for one in packed for ids, start in zip(one.queries, one.answers, strict=True))
    assert batch.weight.sum().item() == answers
    loss, right = loss_of(new_model(TOKENIZER, 0), batch)
    assert 6 < loss.item() < 10  # about the log of the vocabulary's size
    assert 0 <= right < 0.2


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run")
    train(run, run / "export", steps=2, scenes=4, seed=0, minutes=5)
    return run


def test_training_goes_on_from_its_checkpoint(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reached = torch.load(trained / "checkpoint.pt", weights_only=True)["step"]
    train(trained, trained / "export", steps=reached + 1, scenes=4, seed=0, minutes=5)
    assert f"step {reached}" in capsys.readouterr().out
    assert torch.load(trained / "checkpoint.pt", weights_only=True)["step"] > reached


def test_the_export_loads_as_any_causal_language_model(trained: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(trained / "export")
    model = AutoModelForCausalLM.from_pretrained(trained / "export")
    prompt, _ = prompt_and_answer(0)
    inputs = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
    assert inputs["input_ids"][0].tolist() == TOKENIZER(prompt)["input_ids"]
    assert model.generate(**inputs, max_new_tokens=3, do_sample=False).shape[1] > inputs["input_ids"].shape[1]
