"""Batches of packed queries: several twins, each followed by its queries, which see their twin and themselves alone."""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from multiprocessing.sharedctypes import Synchronized
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F
from torch.utils.data import IterableDataset, get_worker_info
from transformers import AttentionInterface, LlamaForCausalLM, PreTrainedTokenizerFast

from training.mini.llm_data import Packed, stream
from training.mini.llm_twins import MOST_OBJECTS

CHUNK = 128  # packs that are sorted by length before they are batched
PROMPT_WEIGHT = 0.05  # of predicting a token of the prompt, so that twins and queries are read
TELLING_WEIGHT = 3.0  # of a word of an answer, or of what keeps or drops an object; of another token 1
WORD = re.compile(r"Ġ[a-z]+")  # Ġ is a space
ALIGNED = 8  # tokens
FEWEST, GROWN = 5, 0.3  # at most so many objects at first, and all of them after this share of the time


@dataclass(frozen=True)
class Batch:
    """B twins of P tokens, each followed by K queries of L tokens, padded: T = P + K * L tokens a row.

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
        return Batch(self.query, self.count, *(tensor.to(device, non_blocking=True) for tensor in self._tensors()))

    def pin_memory(self) -> "Batch":
        """The same in memory that a GPU copies from while it computes; the DataLoader calls it."""
        return Batch(self.query, self.count, *(tensor.pin_memory() for tensor in self._tensors()))

    @property
    def seen(self) -> torch.Tensor:
        """What a query's token sees of the twin and its own query: [B, 1, L, P + L] bool."""
        n, p = self.query, self.ids.shape[1] - self.count * self.query
        device = self.ids.device
        twin = torch.arange(p, device=device)[None, None] < self.twins[:, None, None]  # [B, 1, P]
        own = torch.ones(n, n, dtype=torch.bool, device=device).tril()
        return torch.cat([twin.expand(-1, n, -1), own.expand(len(twin), -1, -1)], dim=2)[:, None]

    def _tensors(self) -> tuple[torch.Tensor, ...]:
        return self.ids, self.position, self.weight, self.answer, self.twins


def collate(
    batch: Sequence[Packed],
    pad: int,
    prompt_weight: float,
    silent: NDArray[np.bool_],
    telling: NDArray[np.bool_],
) -> Batch:
    """silent: [V] bool, the tokens that follow from nothing; predicting them in a prompt counts nothing.

    telling: [V] bool, the tokens of an answer that say most: words, and what keeps or drops an object. They count
    TELLING_WEIGHT times as much as others.
    """
    count = max(len(packed.queries) for packed in batch)
    twin, query = _padded(batch)
    shape = (len(batch), twin + count * query)
    ids, position = np.full(shape, pad, np.int32), np.zeros(shape, np.int32)
    weight, answer = np.zeros(shape, np.float32), np.zeros(shape, np.bool_)

    def put(row: int, start: int, tokens: list[int], first: int, begins: int, told: float) -> None:
        n = len(tokens)
        ids[row, start : start + n] = tokens
        position[row, start : start + n] = np.arange(first, first + n)
        said = np.arange(1, n) >= begins
        answer[row, start : start + n - 1] = said
        following = tokens[1:]
        answered = np.where(telling[following], TELLING_WEIGHT * told, told)
        weight[row, start : start + n - 1] = np.where(said, answered, np.where(silent[following], 0, prompt_weight))

    for row, packed in enumerate(batch):
        put(row, 0, packed.twin, 0, len(packed.twin), 0)
        for number, tokens in enumerate(packed.queries):
            begins, told = packed.answers[number], packed.weights[number]
            put(row, twin + number * query, tokens, len(packed.twin), begins, told)
    twins = np.array([len(packed.twin) for packed in batch], np.int32)
    return Batch(query, count, *(torch.from_numpy(array) for array in (ids, position, weight, answer, twins)))


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
    """Batches of about `tokens` tokens without end. Every worker of a DataLoader draws its own.

    seed: decides all, with the worker's number. share: of the training's time that is over, which other processes move
    on; the number of objects grows with it.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        tokens: int,
        seed: int,
        share: "Synchronized[float]",
    ) -> None:
        self._tokenizer, self._tokens, self._seed, self._share = tokenizer, tokens, seed, share
        names = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
        self._silent = np.array([name.lstrip(",.").isdigit() for name in names])  # coordinates follow from nothing
        self._telling = np.array(['"keep":' in name or bool(WORD.fullmatch(name)) for name in names])

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        torch.set_num_threads(1)
        rng = random.Random(f"{self._seed} {worker.id if worker else 0}")  # noqa: S311
        while True:
            most = round(FEWEST + (MOST_OBJECTS - FEWEST) * min(1.0, self._share.value / GROWN))
            packs = stream(self._tokenizer, rng, most)
            chunk = sorted(islice(packs, CHUNK), key=lambda packed: packed.padded)
            batches = list(batched(chunk, self._tokens))
            rng.shuffle(batches)
            for batch in batches:
                yield collate(batch, self._tokenizer.pad_token_id, PROMPT_WEIGHT, self._silent, self._telling)


def batched(chunk: Sequence[Packed], tokens: int) -> Iterator[list[Packed]]:
    """Neighbors in length together, each batch with at most `tokens` tokens, or with one pack."""
    some: list[Packed] = []
    for packed in chunk:
        if some and _tokens([*some, packed]) > tokens:
            yield some
            some = []
        some.append(packed)
    if some:
        yield some


def _tokens(batch: Sequence[Packed]) -> int:
    """Of the batch, padded."""
    twin, query = _padded(batch)
    return len(batch) * (twin + max(len(packed.queries) for packed in batch) * query)


def _padded(batch: Sequence[Packed]) -> tuple[int, int]:
    """Tokens of a twin and of a query, padded to what attention on a GPU likes."""
    twin = max(len(packed.twin) for packed in batch)
    query = max(len(ids) for packed in batch for ids in packed.queries)
    return -(-twin // ALIGNED) * ALIGNED, -(-query // ALIGNED) * ALIGNED
