"""What a sample becomes: the prompt that the reasoner asks, the answer that it parses, and a weight for each token."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer

from dtwinseger.prompts import reasoning
from dtwinseger.twin import Decision, Step, render_answer
from tests.training.sftdt.runs import BUNDLED, config, llama, sample, written
from training.segdt.reading import SegDTError
from training.sftdt import tokens
from training.sftdt.config import Config, ConfigError
from training.sftdt.data import Shuffled, TokenizerError, collate, example, rendering_of, require_tokenizer
from training.sftdt.loss import IGNORED
from training.sftdt.record import RunError
from training.sftdt.spans import Weights, answer_weights
from training.sftdt.tokens import read
from training.sftdt.train import prepare

TOKENIZER = AutoTokenizer.from_pretrained(BUNDLED)


def test_prompt_and_answer_are_what_the_reasoner_asks_and_parses() -> None:
    one = sample(1)
    made = example(one, TOKENIZER, config())
    prompt = TOKENIZER.apply_chat_template(reasoning(one.query, one.dt0), tokenize=False, add_generation_prompt=True)
    asked = len(TOKENIZER(prompt)["input_ids"])
    assert made.ids[:asked] == TOKENIZER(prompt)["input_ids"]
    assert TOKENIZER.decode(made.ids[asked:]) == render_answer(one.path, one.indices) + "<|end|>"
    assert set(made.weights[:asked]) == {0.0}
    assert all(made.weights[asked:])


def test_criteria_reasoning_verdicts_and_indices_weigh_what_they_should() -> None:
    path = (
        Step(
            step=1,
            criterion='is "wet"',
            decisions=(
                Decision(index=1, reasoning="a mug", keep=True, semantic="é"),
                Decision(index=12, reasoning="漢", keep=False),
            ),
            otherwise="far",
        ),
        Step(step=2, criterion="is red", decisions=(Decision(index=1, reasoning="is red", keep=True, semantic="b"),)),
    )
    text, weights = answer_weights(path, [1], Weights(criterion=3, verdict=5))
    assert text == render_answer(path, [1])

    def weighing(wanted: float) -> list[str]:
        return "".join(one if weight == wanted else " " for one, weight in zip(text, weights, strict=True)).split()

    assert weighing(3) == ['"is', '\\"wet\\""', ",", '"is', 'red"', "]"]  # a further step, and that there is none
    assert weighing(5) == ["1", "true", "12", "false", "1", "true"]
    assert weighing(2) == ['"a', 'mug"', '"é"', '"漢"', "null", '"far"', '"is', 'red"', '"b"', "null"]
    assert weighing(4) == ["1]"]


def test_an_empty_answer_has_weight_where_it_is_decided() -> None:
    path = (Step(step=1, criterion="is a kite", decisions=(), otherwise="none is"),)
    text, weights = answer_weights(path, [], Weights())
    assert [weights[-2], weights[-1]] == [4, 1]
    assert text.endswith('"indices":[]}')


def test_a_token_weighs_what_its_heaviest_character_does() -> None:
    made = example(sample(1), TOKENIZER, config(weights={"prompt": 0.05}))
    pieces = [(TOKENIZER.decode([token]), weight) for token, weight in zip(made.ids, made.weights, strict=True)]
    assert pieces[0][1] == 0.05
    assert dict(pieces)["<|end|>"] == 1
    assert dict(pieces)['","keep":true,"semantic":"a'] == 2
    assert pieces[-2] == ("]}", 4)


def test_a_sample_that_is_too_long_is_rejected_and_counted_not_cut(tmp_path: Path) -> None:
    lengths = [len(example(sample(1, objects), TOKENIZER, config()).ids) for objects in (3, 9)]
    file = tmp_path / "data.jsonl"
    file.write_text(f"{sample(1, 3).line()}\n{sample(1, 9).model_copy(update={'id': 'long'}).line()}\n")
    found = read([file], BUNDLED, TOKENIZER, config(tokens=lengths[0]))
    assert [len(one.ids) for one in found.kept] == lengths[:1]
    assert found.rejected == {f"it has more than {lengths[0]} tokens": 1}


def test_a_control_token_in_an_answer_is_rejected(tmp_path: Path) -> None:
    one = sample(1)
    (step,) = one.path
    spoilt = one.model_copy(update={"path": (step.model_copy(update={"criterion": "<|end|>"}),)})
    (tmp_path / "data.jsonl").write_text(spoilt.line() + "\n")
    assert read([tmp_path / "data.jsonl"], BUNDLED, TOKENIZER, config()).rejected == {
        "its answer holds a control token of the model": 1
    }


def test_padding_weighs_nothing() -> None:
    short, long = (example(sample(1, objects), TOKENIZER, config()) for objects in (2, 6))
    batch = collate([short, long])
    assert batch["input_ids"].shape == batch["weights"].shape == (2, len(long.ids))
    assert batch["weights"][0, len(short.ids) :].sum() == 0
    assert ((batch["labels"] == IGNORED) == (batch["weights"] == 0)).all()


def test_each_epoch_has_its_order_and_no_sample_twice() -> None:
    order = Shuffled(11, 4, seed=0)
    first = list(order)
    assert sorted(first[:11]) == list(range(11))
    assert first[11:] == [11]  # the blank one
    order.set_epoch(1)
    assert list(order)[:11] != first[:11]


def test_updates_by_length_hold_like_samples_and_lose_none() -> None:
    lengths = np.arange(103) % 10
    order = list(Shuffled(103, 4, seed=0, update=8, lengths=lengths))
    assert sorted(order) == [*range(103), 103]
    updates = [[lengths[number] for number in order[start : start + 8]] for start in range(0, 96, 8)]
    assert all(max(update) - min(update) <= 1 for update in updates)
    assert updates != sorted(updates)


def test_a_share_of_the_samples_is_rendered_the_other_way() -> None:
    mixed = config(other_rendering=0.2)
    rows = [seed for seed in range(200) if rendering_of(str(seed), mixed) == "rows"]
    assert 20 < len(rows) < 60
    prompt = TOKENIZER.decode(example(sample(rows[0]), TOKENIZER, mixed).ids)
    assert "\tarea_percent\t" in prompt


def test_many_samples_are_read_by_several_processes_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path / "data.jsonl", 30)
    whole = read([file], BUNDLED, TOKENIZER, config())
    monkeypatch.setattr(tokens, "FEW", 5)
    monkeypatch.setattr(tokens, "UNIT", 4)
    several = read([file], BUNDLED, TOKENIZER, config())
    assert [list(one.ids) for one in several.kept] == [list(one.ids) for one in whole.kept]
    with pytest.raises(SegDTError, match=f"id: '29' is that of {file}:30 too"):
        read([file, written(tmp_path / "again.jsonl", 30)], BUNDLED, TOKENIZER, config())


def test_the_date_in_a_template_is_the_configured_one() -> None:
    dated = AutoTokenizer.from_pretrained(BUNDLED)
    dated.chat_template = "{{ date_string }}" + dated.chat_template
    ids = example(sample(1), dated, config(date="1 Jan 2025")).ids
    assert dated.decode(ids).startswith("1 Jan 2025")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"is_fast": False}, "does not say which characters a token covers"),
        ({"chat_template": None}, "has no chat template"),
    ],
)
def test_a_tokenizer_that_cannot_be_used_is_refused(change: dict[str, Any], words: str) -> None:
    class Changed:
        is_fast, chat_template = True, "x"

        def __len__(self) -> int:
            return 10

    tokenizer: Any = Changed()
    for name, value in change.items():
        setattr(tokenizer, name, value)
    with pytest.raises(TokenizerError, match=words):
        require_tokenizer(tokenizer, 10)


def test_a_template_that_changes_the_answer_or_does_not_end_it_is_refused() -> None:
    for template, words in (
        ("{% for m in messages %}{{ m['content'] | upper }}{% endfor %}", "does not put the answer, as it is"),
        ("{% for m in messages %}{{ m['content'] }}{% endfor %}", "does not end an answer with a token of its own"),
    ):
        tokenizer = AutoTokenizer.from_pretrained(BUNDLED)
        tokenizer.chat_template = template
        with pytest.raises(TokenizerError, match=words):
            example(sample(1), tokenizer, config())


def test_the_tokenizer_of_a_larger_model_is_refused(tmp_path: Path) -> None:
    base = llama(tmp_path / "small", vocabulary=2000)
    told = f"the tokenizer has {len(TOKENIZER)} tokens, the model 2000: it is another model's"
    with pytest.raises(TokenizerError, match=told):
        prepare(base, [written(tmp_path / "data.jsonl", 1)], config())


def test_broken_data_is_told_by_its_line_and_too_long_data_leaves_nothing(tmp_path: Path) -> None:
    file = written(tmp_path / "data.jsonl", 3)
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], "{", lines[2].replace('"indices":[', '"indices":[9,')]) + "\n")
    with pytest.raises(SegDTError) as refused:
        prepare(BUNDLED, [file], config())
    assert f"{file}:2: not JSON" in str(refused.value)
    assert f"{file}:3: indices: [9] are not in the twin" in str(refused.value)
    with pytest.raises(RunError, match="no sample is left to train on"):
        prepare(BUNDLED, [written(tmp_path / "data.jsonl", 3)], config(tokens=16))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[lora]\nrank = 12", r"lora.rank: Input should be 8, 16, 32, 64, 128 or 256"),
        ("[lora]\nuse_dora = true", "lora.use_dora: Extra inputs are not permitted"),
        ('[lora]\nmodules_to_save = ["lm_head"]', "lora.modules_to_save: Extra inputs are not permitted"),
        ('[lora]\ntargets = ["q_proj", "lm_head"]', "vLLM serves adapters of linear layers"),
        ("[weights]\nindices = 0", "weights.indices: Input should be greater than 0"),
        ("epochs = ", "is no TOML"),
    ],
)
def test_a_configuration_that_vllm_would_not_serve_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "run.toml").write_text(text)
    with pytest.raises(ConfigError, match=words):
        Config.load(tmp_path / "run.toml")
