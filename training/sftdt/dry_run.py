"""A run without its weights: the model of a configuration's shape on the meta device, its adapter held to vLLM's rules,
and what each device would hold of it.
"""

from pathlib import Path

import torch.distributed as dist
from peft import get_peft_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.testing._internal.distributed.fake_pg import FakeStore

from training.adapter import Adapter, AdapterError, LoraConfig
from training.sftdt.base import lora_config, without_weights
from training.sftdt.config import Config, ConfigError, Shape
from training.sftdt.plan import linears, lora_parameters

PREFIX = "base_model.model.model.layers."  # of the names that vLLM reads in an adapter


def dry_run(config: Config) -> str:
    """Build the model and check it; what was found, in lines.

    Raises ConfigError where modules or counts are not those of the plan, AdapterError for what vLLM would not serve.
    """
    shape = config.shape
    if shape is None:
        raise ConfigError("the configuration has no [shape], of which a dry run is made")
    model = without_weights(config)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    frozen = sum(p.numel() for p in model.parameters()) - trained
    if trained != lora_parameters(shape, config.lora.rank, config.lora.targets):
        raise ConfigError(f"{trained:,} parameters would be trained; the plan counts another number")
    names = frozenset(get_peft_model_state_dict(model))
    require_names(names, shape, config)
    settings = LoraConfig.model_validate(lora_config(config, None).to_dict() | {"peft_type": "LORA"})
    Adapter(Path("adapter"), settings, None, names).require_servable()
    lines = [
        f"{frozen:,} parameters of the base, {trained:,} trained at {len(names) // 2} linears, rank {config.lora.rank}",
        f"adapter: {len(names)} tensors, float32, {4 * trained / 1e9:.2f} GB; vLLM would serve it",
    ]
    if config.machine.shard:
        base, factors = sharded(config)
        lines.append(
            f"sharded over {config.machine.devices} devices, the first holds {base:,} parameters of the base "
            f"and {factors:,} of the factors" + (", before 4-bit packing" if config.nf4 else "")
        )
    return "\n".join(lines)


def require_names(names: frozenset[str], shape: Shape, config: Config) -> None:
    """Raise AdapterError unless `names` are those of two factors at each target of each layer, as vLLM reads them."""
    block = {name: "mlp" if name.startswith(("gate", "up", "down")) else "self_attn" for name in linears(shape)}
    expected = {
        f"{PREFIX}{layer}.{block.get(target, '?')}.{target}.lora_{factor}.weight"
        for layer in range(shape.num_hidden_layers)
        for target in config.lora.targets
        for factor in "AB"
    }
    if other := sorted(expected ^ names):
        raise AdapterError(f"the adapter's tensors are not those that vLLM reads: {', '.join(other[:3])}")


def sharded(config: Config) -> tuple[int, int]:
    """Parameters of base and factors that the first device holds under FSDP; the process group is a pretended one."""
    dist.init_process_group("fake", rank=0, world_size=config.machine.devices, store=FakeStore())
    try:
        model = without_weights(config)
        mesh = init_device_mesh("cpu", (config.machine.devices,))
        inner = model.get_base_model()
        for module in (*inner.model.layers, inner.model.embed_tokens, model):
            fully_shard(module, mesh=mesh)
        counts = {True: 0, False: 0}
        for parameter in model.parameters():
            local = parameter.to_local() if isinstance(parameter, DTensor) else parameter
            counts[parameter.requires_grad] += local.numel()
        return counts[False], counts[True]
    finally:
        dist.destroy_process_group()
