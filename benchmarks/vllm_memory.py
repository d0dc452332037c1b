"""What Llama-3.3-70B in FP8 with LoRA adapters takes of each card under vLLM, and how many tokens its cache then holds.

python -m benchmarks.vllm_memory

Arithmetic from the model's shapes, not a measurement: vLLM prints its own count when it starts.
"""

from dataclasses import dataclass

LAYERS, HIDDEN, INTERMEDIATE, VOCABULARY, KV = 80, 8192, 28672, 128256, 1024  # KV: 8 heads of 128
UTILIZATION = 0.90  # --gpu-memory-utilization
RUNTIME_GB = 3.0  # activations, CUDA graphs, NCCL: an assumption, a card
RANK, SLOTS = 64, 2  # --max-lora-rank, --max-loras
CONTEXT = 32_768  # --max-model-len
# Inputs and outputs of a layer's linears: split by output (column) and by input (row) under tensor parallelism.
COLUMN = [(HIDDEN, HIDDEN), (HIDDEN, KV), (HIDDEN, KV), (HIDDEN, INTERMEDIATE), (HIDDEN, INTERMEDIATE)]
ROW = [(HIDDEN, HIDDEN), (INTERMEDIATE, HIDDEN)]


@dataclass(frozen=True)
class Cards:
    """Cards of one machine. gb: of one, 10^9 bytes, as sold."""

    name: str
    count: int
    gb: float

    @property
    def weights_gb(self) -> float:
        """A card's share: linears in FP8, embedding and head in bfloat16."""
        linears = LAYERS * sum(i * o for i, o in COLUMN + ROW)
        return (linears + 2 * 2 * VOCABULARY * HIDDEN) / self.count / 1e9

    @property
    def adapters_gb(self) -> float:
        """A card's slots in bfloat16. A column's B is split over the cards, and a row's A; other factors are not."""
        column = sum(i + o / self.count for i, o in COLUMN)
        row = sum(i / self.count + o for i, o in ROW)
        return 2 * SLOTS * LAYERS * RANK * (column + row) / 1e9

    @property
    def cache_gb(self) -> float:
        """What is left for keys and values."""
        return UTILIZATION * self.gb - self.weights_gb - self.adapters_gb - RUNTIME_GB

    @property
    def cache_tokens(self) -> int:
        """Tokens whose keys and values, in bfloat16, fit; the heads are split over the cards."""
        return int(self.cache_gb * 1e9 / (2 * 2 * LAYERS * KV / self.count))


MACHINES = (Cards("1 x H200", 1, 141), Cards("2 x 80 GB", 2, 80), Cards("4 x 48 GB", 4, 48), Cards("8 x 24 GB", 8, 24))


def table() -> str:
    """One machine a line."""
    lines = ["| cards | of each, GB | weights | adapters | runtime | KV cache | tokens in it | full contexts |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    lines += [
        f"| {cards.name} | {UTILIZATION * cards.gb:.1f} | {cards.weights_gb:.1f} | {cards.adapters_gb:.1f} "
        f"| {RUNTIME_GB:.1f} | {cards.cache_gb:.1f} | {cards.cache_tokens:,} | {cards.cache_tokens / CONTEXT:.1f} |"
        for cards in MACHINES
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
