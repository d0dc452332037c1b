"""Adapters: what is refused before anything is written, and that a merged model says what base and adapter say."""

import json
import random
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

import training.adapter
import training.merge
from dtwinseger.sftdt import TunedRecord
from dtwinseger.weights import weights_hash
from tests.doubles.transformers_engine import transformers_engine
from tests.services.reasoner.conversation import reasoner
from training.adapter import Adapter, AdapterError
from training.merge import merge
from training.scenes import render_scene
from training.scenes.queries import Asker
from training.scenes.things import rows, take_apart
from training.scenes.twins import true_twin

BUNDLED = Path("models/dtwin-mini-llm")
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def adapter_on(base: Path, folder: Path, scale: float = 0.05, **options: Any) -> Path:
    """An adapter with random weights, always the same; as PEFT makes it, it would change nothing."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    given = {"r": 8, "lora_alpha": 16, "target_modules": TARGETS, "task_type": "CAUSAL_LM"} | options
    tuned = get_peft_model(model, LoraConfig(**given))
    with torch.no_grad():
        for name, weight in tuned.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, scale)
    tuned.save_pretrained(folder)
    return folder


def llama(folder: Path, width: int = 32, seed: int = 0) -> Path:
    """A tiny Llama with the bundled tokenizer."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=2683, hidden_size=width, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(BUNDLED / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llama(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def adapter(base: Path, tmp_path: Path) -> Path:
    return adapter_on(base, tmp_path / "adapter")


def logits(model: Any, tokens: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(tokens).logits  # type: ignore[no-any-return]


def change(adapter: Path, **values: Any) -> Adapter:
    """The adapter with other values in its configuration."""
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))
    return Adapter.load(adapter)


def test_a_merged_model_says_what_base_and_adapter_say(base: Path, adapter: Path, tmp_path: Path) -> None:
    merge(Adapter.load(adapter), base, tmp_path / "merged")
    tokens = torch.randint(0, 2683, (3, 40), generator=torch.Generator().manual_seed(1))
    alone = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    expected = logits(PeftModel.from_pretrained(alone, adapter), tokens)
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    torch.testing.assert_close(logits(merged, tokens), expected, atol=1e-5, rtol=1e-5)
    plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    assert (logits(plain, tokens) - expected).abs().max() > 0.01  # the adapter does something
    assert merged.config.dtype == plain.config.dtype


def test_the_merged_folder_says_where_it_comes_from(base: Path, adapter: Path, tmp_path: Path) -> None:
    merge(Adapter.load(adapter), base, tmp_path / "merged")
    record = TunedRecord.of(tmp_path / "merged")
    assert record == TunedRecord(
        base=str(base), base_weights=weights_hash(base), adapter=f"adapter@{Adapter.load(adapter).hash}"
    )
    assert (tmp_path / "merged/tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"r": 12}, "its rank is 12, not one of 8, 16"),
        ({"use_dora": True}, "it is a DoRA"),
        ({"lora_bias": True}, "it trains biases"),
        ({"bias": "all"}, "it trains biases"),
        ({"modules_to_save": ["lm_head"]}, "it saves whole modules (modules_to_save: lm_head)"),
        ({"target_modules": ["q_proj", "embed_tokens"]}, "it trains the vocabulary"),
        ({"trainable_token_indices": [1, 2]}, "it trains the vocabulary"),
        ({"rank_pattern": {"q_proj": 64}}, "its rank_pattern goes over its rank 8: {'q_proj': 64}"),
        ({"peft_type": "IA3"}, "it is IA3, not LORA"),
        ({"base_model_name_or_path": "meta-llama/Llama-3.3-70B-Instruct"}, "was trained on meta-llama/Llama-3.3-70B"),
        ({"base_model_name_or_path": None}, "does not say what it was trained on"),
    ],
)
def test_what_vllm_would_not_serve_or_another_base_is_refused(
    base: Path, adapter: Path, tmp_path: Path, values: dict[str, Any], words: str
) -> None:
    with pytest.raises(AdapterError) as refused:
        merge(change(adapter, **values), base, tmp_path / "merged")
    assert words in str(refused.value)
    assert not (tmp_path / "merged").exists()


def test_a_base_with_other_weights_is_refused_by_the_recorded_hash(base: Path, adapter: Path, tmp_path: Path) -> None:
    TunedRecord(base=str(base), base_weights=weights_hash(base)).write(adapter)
    other = llama(tmp_path / "other" / base.name, seed=1)  # of the same name
    Adapter.load(adapter).require_base(base)
    with pytest.raises(AdapterError, match=f"with weights {weights_hash(base)}, those in .* are {weights_hash(other)}"):
        merge(Adapter.load(adapter), other, tmp_path / "merged")


def test_a_base_of_other_shapes_is_refused(base: Path, adapter: Path, tmp_path: Path) -> None:
    wider = llama(tmp_path / "wider" / base.name, width=64)
    with pytest.raises(AdapterError, match="does not fit"):
        merge(Adapter.load(adapter), wider, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_an_adapter_of_fewer_layers_than_it_says_is_refused(base: Path, adapter: Path, tmp_path: Path) -> None:
    tensors = load_file(adapter / "adapter_model.safetensors")
    name = next(iter(tensors))
    save_file({n: t for n, t in tensors.items() if n != name}, adapter / "adapter_model.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT only warns
        with pytest.raises(AdapterError, match=f"one of the two lacks {name}"):
            merge(Adapter.load(adapter), base, tmp_path / "merged")


def test_another_tokenizer_is_refused_and_the_same_one_is_not(base: Path, adapter: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.save_pretrained(adapter)
    (adapter / "tokenizer_config.json").unlink()  # it is written anew by each version of the library
    (adapter / "chat_template.jinja").unlink()
    shutil.copyfile(base / "tokenizer.json", adapter / "tokenizer.json")
    Adapter.load(adapter).require_tokenizer(base)
    tokenizer.add_tokens(["<|step|>"])
    tokenizer.save_pretrained(adapter)
    with pytest.raises(AdapterError, match=r"tokenizer\.json differs"):
        Adapter.load(adapter).require_tokenizer(base)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), "adapter_model.safetensors cannot be read"),
        (lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"x"), "cannot be read"),
        (lambda folder: (folder / "adapter_config.json").write_text("{"), "is no LoRA configuration"),
        (lambda folder: (folder / "adapter_config.json").unlink(), "is no PEFT adapter"),
        (lambda folder: (folder / "sftdt.json").write_text("[]"), "is no record of a tuned model"),
    ],
)
def test_a_folder_that_is_no_adapter_is_refused(adapter: Path, spoil: Callable[[Path], object], words: str) -> None:
    spoil(adapter)
    with pytest.raises(AdapterError) as refused:
        Adapter.load(adapter)
    assert words in str(refused.value)


def test_the_name_changes_with_weights_and_configuration(base: Path, adapter: Path, tmp_path: Path) -> None:
    first = Adapter.load(adapter).hash
    assert Adapter.load(adapter_on(base, tmp_path / "again")).hash == first
    assert Adapter.load(adapter_on(base, tmp_path / "other", scale=0.1)).hash != first
    assert change(adapter, lora_alpha=32).hash != first


def test_the_commands_say_what_they_did_or_what_is_wrong(
    base: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "merged"

    def run(command: Callable[[], None], *words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["command", str(adapter), "--base", str(base), *words])
        command()
        return capsys.readouterr().out.strip()

    assert run(training.adapter.main) == f"sftdt@{Adapter.load(adapter).hash}"
    told = run(training.merge.main, "--out", str(out), "--dtype", "bfloat16")
    assert told.endswith(f"merged into {base}, weights {weights_hash(out)}")
    assert AutoModelForCausalLM.from_pretrained(out, dtype="auto").dtype == torch.bfloat16
    with pytest.raises(SystemExit, match=f"error: {out} is there already; name a new folder"):
        run(training.merge.main, "--out", str(out))
    change(adapter, r=12)
    with pytest.raises(SystemExit, match=r"error: .* cannot be served: its rank is 12"):
        run(training.adapter.main)


def test_the_bundled_model_goes_through_it_and_the_reasoner_asks_it_as_a_tuned_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = tmp_path / "adapter", tmp_path / "dtwin-mini-llm-sftdt"
    merge(Adapter.load(adapter_on(BUNDLED, folder, scale=0.001)), BUNDLED, out)
    things = take_apart(true_twin(render_scene(510, 256, 256)))  # a scene that it did not learn from
    query = Asker(things, (256, 256), random.Random(0)).draw("name")
    assert query
    body = {"query": query.text, "objects": [row.model_dump() for row in rows(things, (256, 256))]}
    with (
        transformers_engine(tmp_path) as url,
        reasoner(monkeypatch, url, REASONER_ENGINE_MODEL=str(out)) as client,
    ):
        response = client.post("/v1/reason", json=body)
        assert client.get("/readyz").status_code == 200
    assert response.status_code == 200, response.text
    assert response.json()["mode"] == "sftdt"
    assert response.json()["model"] == f"{out}@{weights_hash(out)}" != f"{out}@{weights_hash(BUNDLED)}"
    assert response.json()["indices"] == list(query.indices)
