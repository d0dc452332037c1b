"""What a run takes of each device's memory, by part: arithmetic from the base's shape, in bytes.

Weights, LoRA, gradients, optimiser and saved activations are counted exactly (tests measure them on small Llamas);
`RUNTIME` is an assumption, and so is that nothing else is on the device.
"""

from dataclasses import dataclass, fields

from training.sftdt.config import Config, ConfigError, Shape
from training.sftdt.loss import chunk_of

BF16, FP32 = 2, 4  # bytes
BLOCK, NESTED = 64, 256  # weights that share a constant in NF4; constants that share one in its second quantization
CODES = 4 * (16 + 256 + 1)  # bytes of a quantized linear's two codebooks and its offset
LOGIT = 10  # bytes of one at the peak: log-softmax and its gradient in float32, the gradient in bfloat16
RUNTIME = 2_000_000_000  # context of CUDA, NCCL's buffers, fragments, gradients under way; assumed


@dataclass(frozen=True)
class Plan:
    """Bytes on one device, by part."""

    weights: int  # of the base; where they are sharded, this device's
    gathered: int  # sharded weights that are whole for a while: the output layer, a layer and the next
    lora: int  # factors, float32
    gradients: int  # of the factors, float32, with DDP's buckets
    optimiser: int  # Adam's two moments, float32
    activations: int  # saved for the backward pass
    logits: int  # of a chunk of positions
    runtime: int = RUNTIME

    @property
    def total(self) -> int:
        return sum(getattr(self, field.name) for field in fields(self))


def linears(shape: Shape) -> dict[str, tuple[int, int]]:
    """The linears of a layer: name -> (inputs, outputs)."""
    h, i = shape.hidden_size, shape.intermediate_size
    q, kv = shape.num_attention_heads * shape.head_dim, shape.num_key_value_heads * shape.head_dim
    return {
        "q_proj": (h, q), "k_proj": (h, kv), "v_proj": (h, kv), "o_proj": (q, h),
        "gate_proj": (h, i), "up_proj": (h, i), "down_proj": (i, h),
    }  # fmt: skip


def nf4_bytes(weights: int) -> tuple[int, int]:
    """A linear of so many weights in NF4 with double quantization: packed weights, and constants."""
    blocks = -(-weights // BLOCK)
    return -(-weights // 2), blocks + FP32 * -(-blocks // NESTED) + CODES


def base_bytes(shape: Shape, nf4: bool) -> tuple[int, int, int]:
    """Weights of the base: a layer's, what layers have not, and constants of NF4 over all layers.

    bfloat16, but for the linears of layers under NF4. The output layer and the embedding are never quantized.
    """
    sizes = [i * o for i, o in linears(shape).values()]
    norms = BF16 * 2 * shape.hidden_size
    packed = [nf4_bytes(size) for size in sizes]
    layer = norms + (sum(size for size, _ in packed) if nf4 else BF16 * sum(sizes))
    constants = shape.num_hidden_layers * sum(size for _, size in packed) if nf4 else 0
    vocabulary = shape.vocab_size * shape.hidden_size * (1 if shape.tie_word_embeddings else 2)
    return layer, BF16 * (vocabulary + shape.hidden_size), constants


def lora_parameters(shape: Shape, rank: int, targets: tuple[str, ...]) -> int:
    """Trained parameters: rank x (inputs + outputs) at each target of each layer."""
    return shape.num_hidden_layers * sum(rank * sum(linears(shape)[name]) for name in targets)


def layer_activations(shape: Shape, rank: int, targets: tuple[str, ...], tokens: int) -> int:
    """What a layer saves for its backward pass, in bytes: bfloat16 under autocast, factors in float32, SDPA.

    Frozen linears save nothing. Autocast hands each factor its own copy of the input, and each weight cast.
    """
    every = linears(shape)
    heads = shape.num_attention_heads
    norms = 2 * FP32 * (shape.hidden_size + 1)  # the input in float32, and its root mean square
    factors = sum(BF16 * (every[name][0] + rank) for name in targets)  # inputs of A and of B
    attention = BF16 * 2 * (every["q_proj"][1] + every["k_proj"][1]) + FP32 * heads  # q, output; k, v; log-sum-exp
    mlp = 3 * BF16 * shape.intermediate_size  # gate, its SiLU, up
    cast = sum(BF16 * rank * sum(every[name]) for name in targets)
    return tokens * (norms + factors + attention + mlp) + cast


def plan(shape: Shape, config: Config, tokens: int) -> Plan:
    """What one device needs for samples of `tokens` tokens. Raises ConfigError for float32, which it does not know."""
    if config.dtype != "bfloat16":
        raise ConfigError("the plan knows bfloat16 only")
    if unknown := [name for name in config.lora.targets if name not in linears(shape)]:
        raise ConfigError(f"a Llama's layer has no linear {unknown}")
    machine, lora, layers = config.machine, config.lora, shape.num_hidden_layers
    shards = machine.devices if machine.shard else 1
    layer, rest, constants = base_bytes(shape, config.nf4)
    trained = lora_parameters(shape, lora.rank, lora.targets)
    batch = config.batch * tokens
    one = layer_activations(shape, lora.rank, lora.targets, batch)
    inputs = BF16 * batch * shape.hidden_size
    kept = layers * inputs + one if config.recompute else layers * one
    outside = (
        batch * (FP32 * (shape.hidden_size + 1) + 2 * BF16 * shape.head_dim) + 2 * inputs
    )  # norm, cos, sin; states
    head = BF16 * shape.hidden_size * (shape.vocab_size + 1)
    resident = 0 if machine.offload else 1  # offloaded: in the host's memory but for what is gathered
    return Plan(
        weights=resident * -(-(layers * layer + rest) // shards) + constants,
        gathered=head + 2 * layer + 2 * FP32 * trained // layers if machine.shard else 0,
        lora=resident * -(-FP32 * trained // shards),
        gradients=resident * -(-FP32 * trained * (2 if machine.devices > shards else 1) // shards),
        optimiser=resident * -(-2 * FP32 * trained // shards),
        activations=kept + outside,
        logits=min(chunk_of(shape.vocab_size), batch) * shape.vocab_size * LOGIT,
    )


def longest(shape: Shape, config: Config) -> int:
    """Tokens of the longest sample that fits the machine's devices; 0 where none does."""
    room = int(config.machine.gb * 1e9)
    low, high = 0, 1 << 20
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if plan(shape, config, middle).total <= room else (low, middle - 1)
    return low


def table(shape: Shape, config: Config, tokens: int) -> str:
    """The plan as text, 10^9 bytes a line, and whether it fits."""
    found, machine = plan(shape, config, tokens), config.machine
    lines = [f"{machine.devices} x {machine.gb:g} GB, samples of {tokens:,} tokens, GB on each device:"]
    lines += [f"  {field.name:<12}{getattr(found, field.name) / 1e9:>8.2f}" for field in fields(found)]
    lines.append(f"  {'total':<12}{found.total / 1e9:>8.2f}")
    if machine.gb:
        fits = "fits" if found.total <= machine.gb * 1e9 else "does not fit"
        lines.append(f"{fits}; the longest sample that fits has {longest(shape, config):,} tokens")
    return "\n".join(lines)
