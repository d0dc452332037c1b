"""A merged model without its adapter is its base again."""

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from tests.training.sftdt.runs import llama
from training.adapter import Adapter, AdapterError
from training.merge import merge
from training.sftdt.config import LINEARS
from training.unmerge import unmerge


def adapter_of(base: Path, folder: Path) -> Adapter:
    """An adapter whose factors are not zero."""
    config = LoraConfig(r=8, lora_alpha=16, target_modules=list(LINEARS), task_type="CAUSAL_LM")
    tuned = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    for name, factor in tuned.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(factor, std=0.05)
    tuned.save_pretrained(folder)
    return Adapter.load(folder)


def test_a_merged_model_without_its_adapter_is_its_base_again(tmp_path: Path) -> None:
    base = llama(tmp_path / "base")
    adapter = adapter_of(base, tmp_path / "adapter")
    merge(adapter, base, tmp_path / "merged")
    unmerge(tmp_path / "merged", adapter, tmp_path / "again")
    before, merged, after = (
        load_file(tmp_path / name / "model.safetensors") for name in ("base", "merged", "again")
    )  # fmt: skip
    assert before.keys() == after.keys()
    assert all(torch.allclose(before[name], after[name], atol=1e-5) for name in before)
    assert not all(torch.allclose(before[name], merged[name], atol=1e-3) for name in before)
    assert (tmp_path / "again/tokenizer.json").is_file()
    assert not (tmp_path / "again/sftdt.json").exists()
    with pytest.raises(AdapterError, match="is there already"):
        unmerge(tmp_path / "merged", adapter, tmp_path / "again")


@pytest.mark.filterwarnings("ignore:Found missing adapter keys")  # PEFT only warns
def test_an_adapter_that_lacks_a_layer_of_the_model_is_refused(tmp_path: Path) -> None:
    base = llama(tmp_path / "base")
    adapter_of(base, tmp_path / "adapter")
    factors = load_file(tmp_path / "adapter/adapter_model.safetensors")
    lost = next(iter(factors))
    save_file({name: f for name, f in factors.items() if name != lost}, tmp_path / "adapter/adapter_model.safetensors")
    with pytest.raises(AdapterError, match=f"one of the two lacks {lost}"):
        unmerge(base, Adapter.load(tmp_path / "adapter"), tmp_path / "again")
    assert not (tmp_path / "again").exists()
