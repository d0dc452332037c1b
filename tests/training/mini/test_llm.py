"""dtwin-mini-llm: its tokens cost little and lose nothing, its twins keep the rules, its base trains and goes on."""

import copy
import multiprocessing
import random
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from dtwinseger.prompts import REASONING, REASONING_ROWS, reask, reasoning
from dtwinseger.twin import render_answer, violations
from dtwinseger.twin.text import RENDERINGS
from training.mini.llm import export, loss_of, main, new_model, rate, train
from training.mini.llm_batch import VERDICT_WEIGHT, Batches, Shape, Sizes, collate, states
from training.mini.llm_begin import begin
from training.mini.llm_data import QUERIES, READINGS, Packed, direct, readings, stream
from training.mini.llm_lines import UNIT, samples
from training.mini.llm_text import ASSISTANT, END, READ, build
from training.mini.llm_twins import MOST_ROWS, draw
from training.scenes.queries import Asker
from training.scenes.things import place, rows, take_apart
from training.scenes.vocabulary import held_out
from training.segdt.schema import faults

TOKENIZER = build()
NONE = np.zeros(len(TOKENIZER), np.bool_)
SMALL = Sizes(tokens=500, twin=64, query=32)


def together_in(packed: Sequence[Packed]) -> Shape:
    """A shape that holds all of them."""
    shapes = [Shape.of(one, SMALL) for one in packed]
    twin, query = (max(getattr(shape, name) for shape in shapes) for name in ("twin", "query"))
    return Shape(len(packed), twin, shapes[0].count, query)


def prompts_and_answers(count: int) -> list[tuple[str, str, int]]:
    """Prompts in both renderings about twins of both levels, their answers, and the number of rows."""
    rng = random.Random(5)
    found = []
    for number in range(count):
        objects, size = draw(rng, level="part" if number % 2 else "object")
        things = take_apart(objects)
        query = Asker(things, size, rng, held_out=number % 3 == 0).draw()
        assert query is not None
        messages = reasoning(query.text, rows(things, size), "rows" if number % 4 < 2 else "json")
        prompt = TOKENIZER.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        found.append((prompt, render_answer(query.path, query.indices), len(things)))
    return found


def test_twins_queries_and_answers_decode_to_what_was_encoded_and_cost_few_tokens() -> None:
    for prompt, answer, count in prompts_and_answers(24):
        for text, most in ((prompt, 30 * (count + 2)), (answer, 16 * (2 * count + 3))):
            ids = TOKENIZER(text)["input_ids"]
            assert TOKENIZER.decode(ids) == text
            assert len(ids) < most


@given(st.text(max_size=80))
@settings(max_examples=100, deadline=None)
def test_any_text_decodes_to_what_was_encoded(text: str) -> None:
    ids = TOKENIZER(text, split_special_tokens=True)["input_ids"]
    assert TOKENIZER.decode(ids) == text


def test_the_instructions_of_both_renderings_are_one_token() -> None:
    assert [len(TOKENIZER(text)["input_ids"]) for text in (REASONING, REASONING_ROWS)] == [1, 1]


def test_the_template_renders_a_second_turn() -> None:
    messages = [*reasoning("the kite", ()), *reask("no", "not JSON")]
    text = TOKENIZER.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text.count(ASSISTANT) == 2
    assert f"{ASSISTANT}no{END}" in text
    assert text.endswith(ASSISTANT)


def test_drawn_twins_keep_the_rules_of_a_twin_and_what_is_held_out() -> None:
    rng = random.Random(1)
    seen = set()
    for number in range(150):
        objects, size = draw(rng, level="part" if number % 3 == 0 else "object")
        things = take_apart(objects)
        seen.add(len(things))
        areas = [thing.area_percent for thing in things]
        assert areas == sorted(areas, reverse=True)
        for index, thing in enumerate(things, start=1):
            assert all(1 <= relation.target < index for relation in thing.relations)
            x1, y1, x2, y2 = thing.bbox
            assert 0 <= x1 < x2 <= size[1]
            assert 0 <= y1 < y2 <= size[0]
            assert not (thing.color and thing.kind and held_out(thing.color, thing.kind))
        query = Asker(things, size, rng).draw()
        assert query is None or violations(query.path, query.indices, range(1, len(things) + 1)) == []
    assert set(range(1, 15)) <= seen
    assert max(seen) <= MOST_ROWS


def test_a_direct_answer_keeps_the_rules_of_the_path() -> None:
    text = direct([2, 5])
    assert '"indices":[2,5]' in text
    assert len(TOKENIZER(text)["input_ids"]) < 16


def test_what_is_read_out_is_what_the_twin_says() -> None:
    rng = random.Random(2)
    objects, size = draw(rng, 6)
    things = take_apart(objects)
    said = {
        what.split(" ")[-1]: text for what, text, _ in (one for _ in range(200) for one in readings(things, size, rng))
    }
    for index, thing in enumerate(things, start=1):
        if thing.semantic:
            assert f'{{"index":{index},"reasoning":"{thing.semantic}"}}' in said["semantic"]
        assert f'{{"index":{index},"reasoning":"{index} ({thing.name}) itself"}}' in said[str(index)]
        assert f'{{"index":{index},"reasoning":"{place(thing, size)}"}}' in said["place"]


def test_a_share_of_the_twins_is_read_out_in_packs_of_their_own_shape() -> None:
    for read, begins in ((1.0, True), (0.0, False)):
        for packed in islice(stream(TOKENIZER, random.Random(4), 4, read=read), 20):
            assert (READ in TOKENIZER.decode(packed.queries[0])) == begins
            if begins:
                assert len(packed.queries) == READINGS + 1 == Shape.of(packed, SMALL).count
    shapes = {Shape.of(packed, SMALL).count for packed in islice(stream(TOKENIZER, random.Random(4), 4), 40)}
    assert shapes == {READINGS + 1, QUERIES + 1}


@pytest.mark.parametrize("wrong", [["--read", "1.5"], ["--read", "-0.1"], ["--rate", "0"]])
def test_a_share_or_a_rate_that_is_none_is_refused(
    wrong: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["llm", "--run", str(tmp_path / "run"), *wrong])
    with pytest.raises(SystemExit):
        main()
    assert "--rate is above 0, and --read a share from 0 to 1" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_lines_are_seg_dt_and_the_same_every_time() -> None:
    some = list(islice(samples(3, seed=1), 20))
    assert [faults(one) for one in some] == [[]] * 20
    assert [one.line() for one in islice(samples(3, seed=1), 20)] == [one.line() for one in some]
    assert sum(1 for _ in samples(0, seed=0)) == UNIT


def test_lines_are_of_the_kinds_that_are_asked_for() -> None:
    some = list(islice(samples(3, seed=1, parts=0, kinds=("superlative", "two_step")), 30))
    assert {one.provenance.generator for one in some} == {"twins:superlative", "twins:two_step"}


def test_lines_are_of_twins_as_small_as_is_asked_for() -> None:
    largest = [max(len(one.dt0) for one in islice(samples(3, seed=1, parts=0, most=most), 40)) for most in (2, 14)]
    assert largest[0] <= 5 < 12 <= largest[1]  # perception adds the background, a second outline, something stray


def test_some_objects_are_perceived_as_their_parts() -> None:
    rng = random.Random(4)
    twins = [take_apart(draw(rng)[0]) for _ in range(200)]
    mixed = [twin for twin in twins if any(thing.part for thing in twin)]
    assert 5 < len(mixed) < 100
    assert all(any(not thing.part for thing in twin) for twin in mixed if len(twin) > 3)


def test_a_packed_query_is_tokenized_and_predicted_as_if_it_stood_alone() -> None:
    model = new_model(TOKENIZER, 0)
    config = copy.deepcopy(model.config)
    config._attn_implementation = "eager"
    plain = LlamaForCausalLM(config)
    plain.load_state_dict(model.state_dict())
    packed = [one for one in islice(stream(TOKENIZER, random.Random(3), 3), 40) if len(one.twin) < 100][:2]
    batch = collate(packed, together_in(packed), TOKENIZER.pad_token_id, 0.5, NONE, NONE, NONE)
    with torch.no_grad():
        together = states(model, batch)
        query, twin = batch.query, batch.ids.shape[1] - batch.count * batch.query
        for row, one in enumerate(packed):
            for number, asked in enumerate(one.queries):
                whole = one.twin + asked
                if number + 1 < len(one.queries):  # the last one is of tokens that make no text
                    assert TOKENIZER(TOKENIZER.decode(whole))["input_ids"] == whole
                alone = plain.model(torch.tensor([whole]), use_cache=False)[0][0]
                start = twin + number * query
                there = together[row, start : start + len(asked)]
                assert torch.allclose(alone[len(one.twin) :], there, atol=1e-4)


def test_only_answers_count_where_prompts_weigh_nothing() -> None:
    packed = list(islice(stream(TOKENIZER, random.Random(3), 4), 2))
    batch = collate(packed, together_in(packed), TOKENIZER.pad_token_id, 0.0, NONE, NONE, NONE)
    answers = sum(len(ids) - start for one in packed for ids, start in zip(one.queries, one.answers, strict=True))
    assert (batch.weight > 0).sum().item() == batch.answer.sum().item() == answers
    loss, right = loss_of(new_model(TOKENIZER, 0), batch)
    assert 6 < loss.item() < 10  # about the log of the vocabulary's size
    assert 0 <= right.item() < 0.2


def test_a_verdict_counts_more_than_other_tokens_of_an_answer() -> None:
    packed = list(islice(stream(TOKENIZER, random.Random(3), 4), 4))
    verdicts = np.array(['"keep":' in name for name in TOKENIZER.convert_ids_to_tokens(range(len(TOKENIZER)))])
    shape, pad = together_in(packed), TOKENIZER.pad_token_id
    plain, weighed = (collate(packed, shape, pad, 0.0, NONE, NONE, which) for which in (NONE, verdicts))
    following = plain.ids.roll(-1, dims=1)
    decided = torch.from_numpy(verdicts)[following] & plain.answer
    assert decided.any()
    assert torch.equal(weighed.weight[decided], VERDICT_WEIGHT * plain.weight[decided])
    assert torch.equal(weighed.weight[~decided], plain.weight[~decided])


def test_batches_hold_the_tokens_that_they_may_and_both_renderings() -> None:
    sizes = Sizes(tokens=4000, twin=64, query=32)
    batches = list(islice(Batches(TOKENIZER, sizes, 0, multiprocessing.Value("d", 0.0)), 12))
    assert max(batch.ids.numel() for batch in batches) <= 4000
    firsts = {TOKENIZER.decode([token]) for batch in batches for token in batch.ids[:, 1].tolist()}
    assert firsts == {REASONING, REASONING_ROWS}
    assert len(firsts) == len(RENDERINGS)


def test_the_rate_rises_and_falls_with_the_time() -> None:
    rates = [rate(share) for share in (0, 0.01, 0.02, 0.5, 1)]
    assert rates[0] == pytest.approx(rates[-1]) == 0
    assert rates[1] < rates[2] > rates[3] > 0.4


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run")
    train(run, run / "base", minutes=0.001, seed=0, workers=0, sizes=SMALL)
    return run


def test_training_goes_on_from_its_checkpoint(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = torch.load(trained / "checkpoint.pt", weights_only=True)
    reached, minutes = before["step"], before["seconds"] / 60 + 0.01
    train(trained, trained / "base", minutes=minutes, seed=0, workers=0, sizes=SMALL)
    assert f"step {reached}" in capsys.readouterr().out
    assert torch.load(trained / "checkpoint.pt", weights_only=True)["step"] > reached


def test_a_run_begins_with_what_a_narrower_model_has_learned(tmp_path: Path) -> None:
    wide = new_model(TOKENIZER, 2)
    config = copy.deepcopy(wide.config)
    config.update({"hidden_size": 128, "num_attention_heads": 4, "num_key_value_heads": 4, "intermediate_size": 352})
    export(LlamaForCausalLM(config), TOKENIZER, tmp_path / "narrow")
    begin(wide, TOKENIZER, tmp_path / "narrow")
    narrow = LlamaForCausalLM.from_pretrained(tmp_path / "narrow", dtype=torch.float32)
    with torch.no_grad():
        wide.model.embed_tokens.weight[:, 128:] = 0  # what is new is not read any more, and then
        for name, weight in wide.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                weight[128:] = 0
        ids = torch.randint(0, len(TOKENIZER), (1, 12), generator=torch.Generator().manual_seed(0))
        for model in (wide, narrow):
            model.set_attn_implementation("eager")
        assert torch.allclose(wide(ids).logits, narrow(ids).logits, atol=2e-3)  # RMSNorm's epsilon weighs otherwise
    export(wide, TOKENIZER, tmp_path / "wide")
    with pytest.raises(ValueError, match="has other heads or is larger than 5 layers of 4 heads of 32"):
        begin(narrow, TOKENIZER, tmp_path / "wide")


def test_further_layers_come_below_those_of_a_model_and_say_nothing_at_first(tmp_path: Path) -> None:
    deep = new_model(TOKENIZER, 2)
    config = copy.deepcopy(deep.config)
    config.update({"num_hidden_layers": 3, "layer_types": None})
    export(LlamaForCausalLM(config), TOKENIZER, tmp_path / "flat")
    begin(deep, TOKENIZER, tmp_path / "flat")
    flat = LlamaForCausalLM.from_pretrained(tmp_path / "flat", dtype=torch.float32)
    ids = torch.randint(0, len(TOKENIZER), (1, 12), generator=torch.Generator().manual_seed(0))
    for model in (deep, flat):
        model.set_attn_implementation("eager")
    assert torch.equal(deep(ids).logits, flat(ids).logits)
    loss = deep(ids, labels=ids).loss
    loss.backward()
    for layer, new in zip(deep.model.layers, (True, True, False, False, False), strict=True):
        written = layer.mlp.down_proj.weight
        assert written.any() != new
        assert written.grad.any()  # and learns


def test_the_export_loads_as_any_causal_language_model(trained: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(trained / "base")
    model = AutoModelForCausalLM.from_pretrained(trained / "base")
    prompt, _, _ = prompts_and_answers(1)[0]
    inputs = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
    assert inputs["input_ids"][0].tolist() == TOKENIZER(prompt)["input_ids"]
    assert model.generate(**inputs, max_new_tokens=3, do_sample=False).shape[1] > inputs["input_ids"].shape[1]
