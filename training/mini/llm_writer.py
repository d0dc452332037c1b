"""What dtwin-mini-llm writes, many prompts at a time: the text, and how probable the model found each token of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

from dtwinseger.prompts import Message

BATCH = 128 if torch.cuda.is_available() else 32


@dataclass(frozen=True)
class Written:
    """An answer. tokens: their texts and log-probabilities at temperature 1. ended: by the model, not by the limit."""

    text: str
    tokens: tuple[tuple[str, float], ...]
    ended: bool


@dataclass(frozen=True)
class Prompt:
    """What is to be answered. forced: how the answer begins. most: tokens that are written after it."""

    messages: Sequence[Message]
    most: int
    forced: str = ""


class Writer:
    """The model of a folder, in float32 as the embedded profile serves it; on a GPU if there is one."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model.to(self._device)
        self._end: int = self._tokenizer.eos_token_id

    def tokens(self, text: str) -> int:
        """How many tokens a text has."""
        return len(self._tokenizer(text)["input_ids"])

    def prompted(self, prompt: Prompt) -> str:
        """The text that the model goes on from."""
        chat = self._tokenizer.apply_chat_template(prompt.messages, tokenize=False, add_generation_prompt=True)
        return f"{chat}{prompt.forced}"

    def write(self, prompts: Sequence[Prompt], temperature: float = 0, seed: int = 0) -> Iterable[tuple[int, Written]]:
        """The number of each prompt and what follows it, a batch at a time, those of like length together.

        Temperature 0 is greedy; else `seed` decides, for these prompts in this order.
        """
        texts = [self.prompted(prompt) for prompt in prompts]
        order = sorted(range(len(texts)), key=lambda n: len(texts[n]))
        dice = torch.Generator(self._device).manual_seed(seed)
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            written = self._batch([texts[n] for n in chosen], [prompts[n].most for n in chosen], temperature, dice)
            yield from zip(chosen, written, strict=True)

    @torch.inference_mode()
    def _batch(
        self, texts: Sequence[str], most: Sequence[int], temperature: float, dice: torch.Generator
    ) -> list[Written]:
        """A row that has ended leaves the batch."""
        inputs = self._tokenizer(list(texts), return_tensors="pt", padding=True, return_token_type_ids=False)
        ids, mask = (inputs[name].to(self._device) for name in ("input_ids", "attention_mask"))  # [B, S]
        position = (mask.cumsum(-1) - 1).clamp(min=0)
        cache = DynamicCache()
        said: list[list[tuple[int, float]]] = [[] for _ in texts]
        ended = [False] * len(texts)
        rows = list(range(len(texts)))
        while rows:
            output = self._model(
                input_ids=ids, attention_mask=mask, position_ids=position, past_key_values=cache, logits_to_keep=1
            )
            logits = output.logits[:, -1].float()  # [B, V]
            following = _choose(logits, temperature, dice)  # [B]
            logprobs = logits.log_softmax(-1).gather(1, following[:, None])[:, 0]
            going = []
            for at, (row, token, logprob) in enumerate(zip(rows, following.tolist(), logprobs.tolist(), strict=True)):
                if token == self._end:
                    ended[row] = True
                    continue
                said[row].append((token, logprob))
                if len(said[row]) < most[row]:
                    going.append(at)
            if len(going) < len(rows):
                kept = torch.tensor(going, dtype=torch.long, device=self._device)
                if going:
                    cache.batch_select_indices(kept)
                following, mask, position = following[kept], mask[kept], position[kept]
                rows = [rows[at] for at in going]
            ids = following[:, None]
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
            position = position[:, -1:] + 1
        return [self._written(tokens, end) for tokens, end in zip(said, ended, strict=True)]

    def _written(self, tokens: Sequence[tuple[int, float]], ended: bool) -> Written:
        text = self._tokenizer.decode([token for token, _ in tokens], skip_special_tokens=True)
        return Written(text, tuple((self._tokenizer.decode([token]), logprob) for token, logprob in tokens), ended)


def _choose(logits: torch.Tensor, temperature: float, dice: torch.Generator) -> torch.Tensor:
    """[B]: the likeliest tokens, or drawn ones. logits: [B, V]."""
    if temperature == 0:
        return logits.argmax(-1)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=dice)[:, 0]
