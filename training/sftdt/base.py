"""The model that is trained: the base, quantized or not, with fresh LoRA factors; or its shape alone, weightless."""

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig

from training.adapter import WEIGHTS, Adapter, AdapterError
from training.sftdt.config import Config, ConfigError


def lora_config(config: Config, base: str | None) -> LoraConfig:
    """PEFT's configuration. base: name or folder that it is recorded with."""
    lora = config.lora
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.targets),
        task_type="CAUSAL_LM",
        base_model_name_or_path=base,
    )


def load(base: Path, config: Config) -> PeftModel:
    """The base in `base` with LoRA factors that change nothing yet, drawn with the run's seed.

    Raises ConfigError where the base has no such linears, or is no Llama and the run is sharded.
    """
    kind = AutoConfig.from_pretrained(base).model_type
    if config.machine.shard and kind != "llama":
        raise ConfigError(f"runs are sharded by a Llama's layers; {base} is a {kind}")
    dtype = getattr(torch, config.dtype)
    options: dict[str, Any] = {"dtype": dtype}
    if config.nf4:
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
            bnb_4bit_quant_storage=dtype,  # FSDP shards parameters of one floating dtype only
        )
        if config.machine.shard:
            options["device_map"] = {"": "cpu"}  # quantized there: whole, it does not fit a device
    model = AutoModelForCausalLM.from_pretrained(base, **options)
    if config.nf4 and config.machine.shard:
        vars(model).pop("hf_device_map", None)  # accelerate refuses to move it; FSDP moves each layer as it shards it
    model.config.use_cache = False
    return with_lora(model, config, str(base))


def with_lora(model: Any, config: Config, base: str | None) -> PeftModel:
    """`model`, frozen, with LoRA factors at every target. Raises ConfigError where one is not once in each layer."""
    layers = model.config.num_hidden_layers
    counts = {
        target: sum(name.rpartition(".")[2] == target for name, _ in model.named_modules())
        for target in config.lora.targets
    }
    if wrong := {target: count for target, count in counts.items() if count != layers}:
        raise ConfigError(f"the base has {layers} layers, and of the targets that are to be in each {wrong}")
    torch.manual_seed(config.seed)
    return get_peft_model(model, lora_config(config, base))


def begin(model: PeftModel, config: Config, adapter: Adapter) -> None:
    """Give the factors of `model` the values of those in `adapter`. Raises AdapterError for another shape."""
    lora, theirs = config.lora, adapter.config
    if (theirs.r, theirs.lora_alpha) != (lora.rank, lora.alpha):
        raise AdapterError(
            f"{adapter.folder} has rank {theirs.r} and alpha {theirs.lora_alpha:g}, the configuration {lora.rank} and "
            f"{lora.alpha}: a run goes on with an adapter of its own shape"
        )
    if adapter.tensors != set(get_peft_model_state_dict(model)):
        raise AdapterError(f"{adapter.folder} has factors elsewhere than at {', '.join(lora.targets)} of each layer")
    set_peft_model_state_dict(model, load_file(adapter.folder / WEIGHTS))


def without_weights(config: Config) -> PeftModel:
    """A model of the configuration's shape on the meta device: modules, names and sizes, no memory."""
    if config.shape is None:
        raise ConfigError("the configuration has no [shape]; without a base that is needed")
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(
            LlamaConfig(**config.shape.model_dump()), dtype=getattr(torch, config.dtype)
        )
        return with_lora(model, config, None)
