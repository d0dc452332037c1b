"""Batches of packed queries: several twins, each followed by its queries, which see their twin and themselves alone."""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F
from torch.utils.data import IterableDataset, get_worker_info
from transformers import AttentionInterface, LlamaForCausalLM, PreTrainedTokenizerFast

from training.mini.llm_data import QUERIES, READ_SHARE, READINGS, Packed, stream
from training.mini.llm_twins import MOST_OBJECTS

PROMPT_WEIGHT = 0.05  # of predicting a token of the prompt, so that twins and queries are read
WORD_WEIGHT, VERDICT_WEIGHT = 1.5, 6.0  # of a word of an answer, of what keeps or drops an object; of another token 1
WORD = re.compile(r"Ġ[a-z]+")  # Ġ is a space
COUNTS = (READINGS + 1, QUERIES + 1)  # that packs are padded to; 1 is the tokens to repeat
FEWEST, GROWN = 5, 0.3  # at most so many objects at first, and all of them after this share of the time

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Batch:
    """B twins of P tokens, each followed by K queries of L tokens, padded: T = P + K * L tokens a row.

    A pack may have fewer queries: what is blank weighs nothing.

    query: L. count: K. ids, position [B, T] int32. weight [B, T] float32: what predicting the next token counts in the
    loss. answer [B, T] bool: whether that is of an answer. twins [B] int32: tokens of each twin.
    """

    query: int
    count: int
    ids: torch.Tensor
    position: torch.Tensor
    weight: torch.Tensor
    answer: torch.Tensor
    twins: torch.Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        return Batch(self.query, self.count, *(tensor.to(device, non_blocking=True) for tensor in self.tensors))

    def pin_memory(self) -> "Batch":
        """The same in memory that a GPU copies from while it computes; the DataLoader calls it."""
        return Batch(self.query, self.count, *(tensor.pin_memory() for tensor in self.tensors))

    @property
    def seen(self) -> torch.Tensor:
        """What a query's token sees of the twin and its own query: [B, 1, L, P + L] bool."""
        n, p = self.query, self.ids.shape[1] - self.count * self.query
        device = self.ids.device
        twin = torch.arange(p, device=device)[None, None] < self.twins[:, None, None]  # [B, 1, P]
        own = torch.ones(n, n, dtype=torch.bool, device=device).tril()
        return torch.cat([twin.expand(-1, n, -1), own.expand(len(twin), -1, -1)], dim=2)[:, None]

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All that it holds but the numbers."""
        return self.ids, self.position, self.weight, self.answer, self.twins


@dataclass(frozen=True)
class Sizes:
    """Of batches. tokens: of one at most, padding included, unless a single pack has more. Twins and queries are padded
    to multiples of `twin` and `query` tokens, so that there are few shapes: a GPU keeps a graph for each.
    """

    tokens: int
    twin: int
    query: int


@dataclass(frozen=True)
class Shape:
    """What a batch is padded to: `rows` packs of a twin of P tokens and K queries of L."""

    rows: int
    twin: int
    count: int
    query: int

    @staticmethod
    def of(packed: Packed, sizes: Sizes) -> "Shape":
        """That of batches that a pack goes into."""
        twin = -(-len(packed.twin) // sizes.twin) * sizes.twin
        query = -(-max(len(ids) for ids in packed.queries) // sizes.query) * sizes.query
        count = next(most for most in COUNTS if len(packed.queries) <= most)
        return Shape(max(1, sizes.tokens // (twin + count * query)), twin, count, query)


def collate(
    batch: Sequence[Packed], shape: Shape, pad: int, prompt_weight: float, silent: Flags, words: Flags, verdicts: Flags
) -> Batch:
    """`batch` is of as many packs as `shape` has rows.

    silent, words, verdicts: [V] bool, tokens: those that follow from nothing, whose prediction in a prompt counts
    nothing, and those that count WORD_WEIGHT and VERDICT_WEIGHT in an answer.
    """
    telling = 1 + (WORD_WEIGHT - 1) * words + (VERDICT_WEIGHT - 1) * verdicts
    twin, query = shape.twin, shape.query
    size = (shape.rows, twin + shape.count * query)
    ids, position = np.full(size, pad, np.int32), np.zeros(size, np.int32)
    weight, answer = np.zeros(size, np.float32), np.zeros(size, np.bool_)

    def put(row: int, start: int, tokens: list[int], first: int, begins: int, told: float) -> None:
        n = len(tokens)
        ids[row, start : start + n] = tokens
        position[row, start : start + n] = np.arange(first, first + n)
        said = np.arange(1, n) >= begins
        answer[row, start : start + n - 1] = said
        following = tokens[1:]
        asked = np.where(silent[following], 0, prompt_weight)
        weight[row, start : start + n - 1] = np.where(said, telling[following] * told, asked)

    for row, packed in enumerate(batch):
        put(row, 0, packed.twin, 0, len(packed.twin), 0)
        for number, tokens in enumerate(packed.queries):
            begins, told = packed.answers[number], packed.weights[number]
            put(row, twin + number * query, tokens, len(packed.twin), begins, told)
    twins = np.array([len(packed.twin) for packed in batch], np.int32)
    return Batch(query, shape.count, *(torch.from_numpy(array) for array in (ids, position, weight, answer, twins)))


def packed_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,
    scaling: float,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of a Batch: twins among themselves, each query with its twin and itself. [B, H, T, D] each."""
    b, h, t, d = query.shape
    n = attention_mask.shape[-2]  # L
    p = attention_mask.shape[-1] - n  # P
    k = (t - p) // n  # K
    twin = F.scaled_dot_product_attention(
        query[:, :, :p], key[:, :, :p], value[:, :, :p], is_causal=True, scale=scaling
    )

    def apart(states: torch.Tensor) -> torch.Tensor:
        """[B * K, H, L, D]: the queries' own states."""
        return states[:, :, p:].reshape(b, h, k, n, d).transpose(1, 2).reshape(b * k, h, n, d)

    def seen(states: torch.Tensor) -> torch.Tensor:
        """[B * K, H, P + L, D]: the twin's states and the query's own, for each query."""
        shared = states[:, None, :, :p].expand(b, k, h, p, d).reshape(b * k, h, p, d)
        return torch.cat([shared, apart(states)], dim=2)

    mask = attention_mask[:, None].expand(b, k, 1, n, p + n).reshape(b * k, 1, n, p + n)
    asked = F.scaled_dot_product_attention(apart(query), seen(key), seen(value), attn_mask=mask, scale=scaling)
    queries = asked.view(b, k, h, n, d).transpose(1, 2).reshape(b, h, k * n, d)
    return torch.cat([twin, queries], dim=2).transpose(1, 2), None


AttentionInterface.register("packed", packed_attention)


def states(model: LlamaForCausalLM, batch: Batch) -> torch.Tensor:
    """The last hidden states of the batch's tokens, [B, T, H]."""
    hidden: torch.Tensor = model.model(
        batch.ids.long(), position_ids=batch.position.long(), attention_mask=batch.seen, use_cache=False
    ).last_hidden_state
    return hidden


class Batches(IterableDataset[Batch]):
    """Batches of one shape each, without end. Every worker of a DataLoader draws its own.

    seed: decides all, with the worker's number. share: of the training's time that is over, which other processes move
    on; the number of objects grows with it. read: share of the twins that are read out.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        sizes: Sizes,
        seed: int,
        share: "Synchronized[float]",
        *,
        read: float = READ_SHARE,
    ) -> None:
        self._tokenizer, self._sizes, self._seed, self._share, self._read = tokenizer, sizes, seed, share, read
        names = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
        self._silent = np.array([name.lstrip(",.").isdigit() for name in names])  # coordinates follow from nothing
        self._words = np.array([bool(WORD.fullmatch(name)) for name in names])
        self._verdicts = np.array(['"keep":' in name for name in names])

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        torch.set_num_threads(1)
        rng = random.Random(f"{self._seed} {worker.id if worker else 0}")  # noqa: S311
        waiting: dict[Shape, list[Packed]] = {}
        while True:
            most = round(FEWEST + (MOST_OBJECTS - FEWEST) * min(1.0, self._share.value / GROWN))
            packed = next(stream(self._tokenizer, rng, most, self._read))
            shape = Shape.of(packed, self._sizes)
            alike = waiting.setdefault(shape, [])
            alike.append(packed)
            if len(alike) == shape.rows:
                marked = (self._silent, self._words, self._verdicts)
                yield collate(waiting.pop(shape), shape, self._tokenizer.pad_token_id, PROMPT_WEIGHT, *marked)
