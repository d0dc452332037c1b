"""Seg-DT samples as tokens: what is asked, what is answered, and what each token weighs in the loss."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler
from transformers import PreTrainedTokenizerBase

from dtwinseger.prompts import reasoning
from dtwinseger.twin.text import RENDERINGS, Rendering
from training.segdt.schema import SegDTSample
from training.sftdt.config import Config
from training.sftdt.loss import IGNORED
from training.sftdt.spans import answer_weights


class TokenizerError(ValueError):
    """A tokenizer that the trainer cannot use, in words."""


class SampleError(ValueError):
    """A sample that is not trained on, in few words: they are counted."""


@dataclass(frozen=True)
class Example:
    """One sample of T tokens. ids: prompt, answer, end of turn. weights: of predicting each; 0 is not supervised."""

    ids: "list[int] | NDArray[np.int32]"
    weights: "list[float] | NDArray[np.float32]"

    def compact(self) -> "Example":
        """The same in a fifth of the memory."""
        return Example(np.array(self.ids, np.int32), np.array(self.weights, np.float32))


@dataclass(frozen=True)
class Examples:
    """The samples that are trained on, and how many were rejected, by reason."""

    kept: tuple[Example, ...]
    rejected: dict[str, int]


def require_tokenizer(tokenizer: PreTrainedTokenizerBase, vocabulary: int) -> None:
    """Raise TokenizerError for one without offsets or template, or with more tokens than the model's `vocabulary`."""
    name = type(tokenizer).__name__
    if not tokenizer.is_fast:
        raise TokenizerError(
            f"{name} does not say which characters a token covers, so tokens cannot be weighted by their place in the "
            "answer: a base with a tokenizer.json (a fast tokenizer) is needed"
        )
    if not tokenizer.chat_template:
        raise TokenizerError(f"{name} has no chat template: take the instruct model, as the reasoner asks in messages")
    if len(tokenizer) > vocabulary:
        raise TokenizerError(
            f"the tokenizer has {len(tokenizer)} tokens, the model {vocabulary}: it is another model's, "
            "and an adapter adds no tokens"
        )


def example(sample: SegDTSample, tokenizer: PreTrainedTokenizerBase, config: Config) -> Example:
    """A sample as tokens. Prompt and answer are tokenized apart, as they are where the answer is generated.

    Raises SampleError where it is too long or its answer holds a control token, TokenizerError where the chat template
    does not put the answer, whole and followed by a token that ends the turn, after the prompt.
    """
    answer, characters = answer_weights(sample.path, sample.indices, config.weights)
    messages = reasoning(sample.query, sample.dt0, rendering_of(sample.id, config))
    prompt = _templated(tokenizer, messages, config.date, add_generation_prompt=True)
    whole = _templated(tokenizer, [*messages, {"role": "assistant", "content": answer}], config.date)
    if not whole.startswith(prompt + answer):
        raise TokenizerError("the chat template does not put the answer, as it is, after the prompt")
    asked = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    told = tokenizer(whole[len(prompt) :], add_special_tokens=False, return_offsets_mapping=True)
    ids, spans = told["input_ids"], told["offset_mapping"]
    end = next((place for place, (start, _) in enumerate(spans) if start >= len(answer)), None)
    special = set(tokenizer.all_special_ids) | {
        token for token, added in tokenizer.added_tokens_decoder.items() if added.special
    }
    if end is None or ids[end] not in special:
        raise TokenizerError("the chat template does not end an answer with a token of its own: no engine would stop")
    if special & set(ids[:end]):
        raise SampleError("its answer holds a control token of the model")
    if len(asked) + end + 1 > config.tokens:
        raise SampleError(f"it has more than {config.tokens} tokens")
    weights = token_weights(spans[:end], characters)
    return Example(
        [*asked, *ids[: end + 1]],
        [*[config.weights.prompt] * len(asked), *weights, config.weights.structure],
    )


def rendering_of(identity: str, config: Config) -> Rendering:
    """How the twin of the sample with this id is rendered: always alike."""
    (other,) = set(RENDERINGS) - {config.rendering}
    return other if zlib.crc32(identity.encode()) < config.other_rendering * 2**32 else config.rendering


def token_weights(spans: Sequence[tuple[int, int]], characters: Sequence[float]) -> list[float]:
    """The weight of each token: the largest among its characters, from start to end, exclusive.

    A token without a character of its own (bytes of one that the token before began) weighs what that one does.
    Raises TokenizerError where the tokens leave a character out.
    """
    if any(after[0] > before[1] for before, after in pairwise(spans)) or (spans and spans[-1][1] < len(characters)):
        raise TokenizerError("the tokenizer's offsets leave out characters of the answer")
    return [max(characters[start : max(end, start + 1)]) for start, end in spans]


def _templated(tokenizer: PreTrainedTokenizerBase, messages: list[Any], date: str, **options: bool) -> str:
    text: str = tokenizer.apply_chat_template(messages, tokenize=False, date_string=date, **options)
    return text


class Batches(Dataset[Example]):
    """Examples by their number. The number after the last is a blank one, which fills batches up and weighs nothing."""

    def __init__(self, kept: Sequence[Example]) -> None:
        self._kept = kept

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, number: int) -> Example:
        return self._kept[number] if number < len(self._kept) else Example([0, 0], [0.0, 0.0])


class Shuffled(Sampler[int]):
    """`count` numbers in an order that seed and epoch give, then the blank number up to a multiple of `multiple`.

    So every device has as many batches as every other, and no sample counts twice in an epoch. lengths: of the samples;
    given, the `update` samples of an update are of like length, and updates are shuffled.
    """

    def __init__(
        self, count: int, multiple: int, seed: int, update: int = 1, lengths: NDArray[np.int64] | None = None
    ) -> None:
        self._count, self._multiple, self._seed, self._epoch = count, multiple, seed, 0
        self._update, self._lengths = update, lengths

    def __len__(self) -> int:
        return -(-self._count // self._multiple) * self._multiple

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + self._epoch)
        order = torch.randperm(self._count, generator=generator)
        if self._lengths is not None:
            order = self._alike(order, generator)
        yield from order.tolist()
        yield from [self._count] * (len(self) - self._count)

    def _alike(self, order: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """`order` with updates of like samples; those that fill no update come last."""
        whole = self._count - self._count % self._update
        by_length = order[torch.from_numpy(self._lengths)[order[:whole]].argsort(stable=True)]
        updates = by_length.view(-1, self._update)
        shuffled = updates[torch.randperm(len(updates), generator=generator)]
        return torch.cat([shuffled.flatten(), order[whole:]])

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch, of a resumed run too."""
        self._epoch = epoch


def collate(batch: Sequence[Example]) -> dict[str, torch.Tensor]:
    """B examples padded at their right to T tokens.

    input_ids, labels [B, T] int64; weights [B, T] float32.
    """
    longest = max(len(one.ids) for one in batch)
    ids = torch.zeros(len(batch), longest, dtype=torch.int64)
    labels = torch.full((len(batch), longest), IGNORED)
    weights = torch.zeros(len(batch), longest)
    for row, one in enumerate(batch):
        count = len(one.ids)
        ids[row, :count], weights[row, :count] = torch.as_tensor(one.ids), torch.as_tensor(one.weights)
    labels[weights > 0] = ids[weights > 0]
    return {"input_ids": ids, "labels": labels, "weights": weights}
