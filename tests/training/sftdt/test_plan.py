"""The plan's arithmetic against what small Llamas take, and the configurations that we offer for 70B."""

import sys
from pathlib import Path
from typing import Any

import bitsandbytes as bnb
import pytest
import torch
from torch import nn
from torch.optim import AdamW
from transformers import LlamaConfig as Llama
from transformers import LlamaForCausalLM

import training.sftdt.__main__ as command
from training.adapter import AdapterError
from training.sftdt.base import with_lora
from training.sftdt.config import Config, ConfigError, Shape
from training.sftdt.dry_run import PREFIX, require_names
from training.sftdt.plan import BF16, base_bytes, layer_activations, linears, longest, nf4_bytes, plan

CONFIGS = Path(command.__file__).parent / "configs"
SMALL = Shape(
    num_hidden_layers=3,
    hidden_size=64,
    intermediate_size=160,
    num_attention_heads=4,
    num_key_value_heads=2,
    vocab_size=100,
    head_dim=16,
)
WIDE = SMALL.model_copy(update={"hidden_size": 96, "intermediate_size": 200, "num_key_value_heads": 1, "head_dim": 32})


def model(shape: Shape, config: Config) -> Any:
    llama = LlamaForCausalLM(Llama(**shape.model_dump())).to(torch.bfloat16)
    return with_lora(llama, config, None)


def size(tensors: Any) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def saved(part: nn.Module, owner: nn.Module, *inputs: Any, **options: Any) -> int:
    """Bytes of the storages that a call of `part` keeps for its backward pass, parameters of `owner` aside."""
    own = {parameter.untyped_storage().data_ptr() for parameter in owner.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autocast("cpu", torch.bfloat16), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        part(*inputs, **options)
    return sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in own)


@pytest.mark.parametrize("shape", [SMALL, WIDE], ids=["small", "wide"])
@pytest.mark.parametrize("targets", [tuple(linears(SMALL)), ("q_proj", "v_proj")], ids=["all", "attention"])
def test_weights_factors_gradients_and_optimiser_are_counted_to_the_byte(
    shape: Shape, targets: tuple[str, ...]
) -> None:
    config = Config.model_validate({"lora": {"rank": 8, "targets": targets}})
    tuned = model(shape, config)
    expected = plan(shape, config, 64)
    trained = [parameter for parameter in tuned.parameters() if parameter.requires_grad]
    assert size(parameter for parameter in tuned.parameters() if not parameter.requires_grad) == expected.weights
    assert size(trained) == expected.lora
    tuned(torch.zeros(1, 4, dtype=torch.int64)).logits.sum().backward()
    assert size(parameter.grad for parameter in trained) == expected.gradients
    optimizer = AdamW(trained)
    optimizer.step()
    moments = (t for state in optimizer.state.values() for name, t in state.items() if name.startswith("exp_avg"))
    assert size(moments) == expected.optimiser


@pytest.mark.parametrize("shape", [SMALL, WIDE], ids=["small", "wide"])
@pytest.mark.parametrize("targets", [tuple(linears(SMALL)), ("q_proj", "v_proj")], ids=["all", "attention"])
def test_what_a_layer_saves_for_its_backward_pass_is_counted(shape: Shape, targets: tuple[str, ...]) -> None:
    config = Config.model_validate({"lora": {"rank": 8, "targets": targets}})
    tuned = model(shape, config)
    inner = tuned.get_base_model().model
    for tokens in (96, 160):
        x = torch.randn(1, tokens, shape.hidden_size, dtype=torch.bfloat16, requires_grad=True)
        places = inner.rotary_emb(x, torch.arange(tokens)[None])
        measured = saved(inner.layers[1], tuned, x, position_embeddings=places, attention_mask=None)
        turning = size(places)  # cosines and sines, that all layers share
        assert measured - turning == layer_activations(shape, 8, targets, tokens)


@pytest.mark.parametrize("recompute", [False, True])
def test_what_the_whole_model_saves_is_counted(recompute: bool) -> None:
    config = Config.model_validate({"lora": {"rank": 8}, "recompute": recompute})
    tuned = model(SMALL, config)
    if recompute:
        tuned.activation_checkpointing_enable()
        tuned.enable_input_require_grads()
    tuned.train()
    tokens = 160
    ids = torch.zeros(1, tokens, dtype=torch.int64)
    measured = saved(tuned.get_base_model().model, tuned, input_ids=ids, use_cache=False)
    if recompute:  # of a layer that is computed again, in the backward pass, nothing is saved yet
        measured += layer_activations(SMALL, 8, config.lora.targets, tokens)
    states = 2 * BF16 * tokens * SMALL.hidden_size  # of supervised tokens, which the loss makes
    assert measured == pytest.approx(plan(SMALL, config, tokens).activations - states, rel=0.03)


@pytest.mark.parametrize("sizes", [(64, 160), (64, 33), (512, 1024)])
def test_nf4_is_counted_to_the_byte(sizes: tuple[int, int]) -> None:
    inputs, outputs = sizes
    linear = bnb.nn.Linear4bit(
        inputs, outputs, bias=False, compress_statistics=True, quant_type="nf4", quant_storage=torch.bfloat16
    ).to("cpu")
    state = linear.weight.quant_state
    constants = size((state.absmax, state.code, state.state2.absmax, state.state2.code, state.offset))
    assert (size((linear.weight,)), constants) == nf4_bytes(inputs * outputs)


def test_70b_has_the_weights_that_are_known_of_it() -> None:
    shape = Config.load(CONFIGS / "llama-70b-8x24gb.toml").shape
    assert shape
    layer, rest, _ = base_bytes(shape, nf4=False)
    assert (shape.num_hidden_layers * layer + rest) // BF16 == 70_553_706_496  # as Meta's index of the weights says


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.toml")), ids=lambda file: file.stem)
def test_the_offered_configurations_fit_their_machines_and_vllm(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Config.load(file)
    assert config.shape
    assert longest(config.shape, config) >= config.tokens
    monkeypatch.setattr(sys, "argv", ["command", "--config", str(file), "--plan", str(config.tokens)])
    command.main()
    assert "\nfits; the longest sample that fits has" in capsys.readouterr().out
    # Fewer layers are the same checks in less time.
    shape = config.shape.model_dump() | {"num_hidden_layers": 2}
    monkeypatch.setattr(Config, "load", lambda _: config.model_copy(update={"shape": Shape(**shape)}))
    monkeypatch.setattr(sys, "argv", ["command", "--config", str(file), "--dry-run"])
    command.main()
    told = capsys.readouterr().out
    assert "trained at 14 linears, rank 64" in told
    assert "adapter: 28 tensors" in told
    assert ("sharded over 8 devices" in told) == config.machine.shard


def test_tensors_that_vllm_would_not_read_are_refused() -> None:
    config = Config()
    names = {
        f"{PREFIX}{layer}.{block}.{target}.lora_{factor}.weight"
        for layer in range(3)
        for block, targets in (("self_attn", config.lora.targets[:4]), ("mlp", config.lora.targets[4:]))
        for target in targets
        for factor in "AB"
    }
    require_names(frozenset(names), SMALL, config)
    with pytest.raises(AdapterError, match=r"not those that vLLM reads: .*lora_magnitude"):
        require_names(frozenset(names | {f"{PREFIX}0.mlp.up_proj.lora_magnitude_vector.weight"}), SMALL, config)


def test_a_target_that_the_base_lacks_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"the base has 3 layers, and of the targets .*'query_key_value': 0"):
        model(SMALL, Config.model_validate({"lora": {"targets": ["q_proj", "query_key_value"]}}))
