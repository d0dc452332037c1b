"""Stored scenes as VLM training data: batches of prompts and answers in tokens, with their pictures."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from io import BytesIO
from string import ascii_lowercase
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from transformers import LlavaProcessor

from dtwinseger import prompts
from dtwinseger.api import SemanticsOptions
from dtwinseger.prompts.questions import PROMPTINGS, Prompting, question
from dtwinseger.prompts.showing import Shown
from training.mini import vlm_answers as answers
from training.mini.rendering import square
from training.mini.scene_store import QUERIES, VIEWS, Store
from training.mini.shown import RECORD, WHOLE
from training.mini.vlm_model import IMAGE, PATCH, ROLES, SIDE
from training.scenes import phrases

TOKENS_PER_PICTURE = (SIDE // PATCH) ** 2
GRANULARITY_SHARE = 0.2  # of the examples of a batch without worked ones
FRAMED_SHARE = 0.5  # of the queries whose granularity is asked for follow up to four words that mean nothing
STRANGE_SHARE = 0.1  # of the words of such a query are unknown
FRAMES = (
    *("please", "can", "you", "find", "show", "me", "where", "is", "see", "which", "what", "I", "am", "looking"),
    *("for", "select", "segment", "there"),
)
HELD_OUT = re.compile(
    "|".join(
        re.sub(r"\\{\w+\\}", ".+", re.escape(text.rstrip("?")))
        for phrasings in vars(phrases).values()
        if isinstance(phrasings, phrases.Phrasings)
        for text in phrasings.held_out
    )
)
NO_QUERY_SHARE = 0.15  # of the descriptions
FITTING_SHARE = 0.3  # of the descriptions, at least: the query is one that the mask answers, where there is one
PART_SHARES = (0.15, 0.6)  # of the queries that ask for parts: to a mask that shows none, to one that shows a part
MOST_INDEX = 48  # of a mask in its prompt
DIRECT_SHARE = 0.1  # of the descriptions that come without worked examples: prompted `direct`, the others `system`
WORKED_SHARE = 0.08  # of the batches: all prompted `in_context`
WORKED_SIZE = 0.25  # of a batch's size: so many examples do these have, as they are long

Ids = tuple[int, ...]


@dataclass(frozen=True)
class Batch:
    """B examples, their descriptions first. Sequences are padded at the right."""

    ids: Tensor  # [B, S]
    labels: Tensor  # [B, S], -100 where nothing is learned
    pictures: Tensor  # [P, 3, SIDE, SIDE] uint8, in the order of their places in `ids`
    records: npt.NDArray[np.void]  # [N] of the descriptions, whose two pictures each come first; else none


class Sequences:
    """Prompts and answers in tokens, as chat template and processor give them; each text is cut into tokens once."""

    def __init__(self, processor: LlavaProcessor) -> None:
        self._processor, self._encode = processor, processor.tokenizer.encode
        self.pad, self.end = processor.tokenizer.pad_token_id, processor.tokenizer.eos_token_id
        system, self._user, self._answer = (self._of(role) for role in ROLES)
        self._picture = self._of(IMAGE) * TOKENS_PER_PICTURE
        self._instructed = {how: (*system, *self._of(text)) for how, text in PROMPTINGS.items()}
        self._decided = (*system, *self._of(prompts.GRANULARITY), *self._user, *self._picture)
        self.texts = lru_cache(1 << 18)(self._of)
        self._worked = cache(self._examples)

    def _of(self, text: str) -> Ids:
        return tuple(self._encode(text))

    def semantics(self, query: str | None, index: int, prompting: Prompting = "system") -> Ids:
        """The prompt of prompts.semantics, or of another prompting."""
        before = self._instructed[prompting]
        if prompting == "in_context":
            before += self._worked(query is not None)[0]
        asked, numbered = self.texts(prompts.asked(query)), self.texts(f"\nObject: {index}")
        return (*before, *self._user, *asked, *numbered, *self._picture * 2, *self._answer)

    def worked(self, with_query: bool) -> list[npt.NDArray[np.uint8]]:
        """The pictures of the worked examples, [3, SIDE, SIDE] each."""
        return self._worked(with_query)[1]

    def _examples(self, with_query: bool) -> tuple[Ids, list[npt.NDArray[np.uint8]]]:
        asked, shown = ("x" if with_query else None), Shown(None, {1: None})
        messages = question(SemanticsOptions(prompting="in_context"), asked, shown, SIDE)[1:-1]
        text = self._processor.apply_chat_template(messages, tokenize=False)
        (place,) = self._of(IMAGE)
        ids = [each for token in self._of(text) for each in (self._picture if token == place else (token,))]
        parts = [part for message in messages if message["role"] == "user" for part in message["content"]]
        urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        files = [BytesIO(base64.b64decode(url.partition(",")[2])) for url in urls]
        return tuple(ids), [square(np.asarray(Image.open(file).convert("RGB"))) for file in files]

    def granularity(self, query: str) -> Ids:
        """The prompt of prompts.granularity."""
        return (*self._decided, *self.texts(prompts.asked(query)), *self._answer)


def draw(stores: Sequence[Store], sequences: Sequences, size: int, rng: np.random.Generator) -> Batch:
    """`size` examples, each of any one of the stores by equal shares; fewer where worked examples make them long."""
    there = [store.there() for store in stores]
    worked = rng.random() < WORKED_SHARE
    size = max(1, round(WORKED_SIZE * size)) if worked else size
    examples: list[tuple[Ids, Ids]] = []
    pictures: list[npt.NDArray[np.uint8]] = []
    records: list[Any] = []
    decisions = 0 if worked else round(size * GRANULARITY_SHARE)
    for number in range(size):
        which = int(rng.integers(len(stores)))
        store, scene = stores[which], int(rng.choice(there[which]))
        queries = store.queries[scene]
        if number < size - decisions:
            view = int(rng.integers(VIEWS))
            record = store.records[scene, view]
            query = _query(record, queries, rng)
            text = None if query is None else query["text"].decode()
            if worked:
                prompting: Prompting = "in_context"
                pictures += sequences.worked(text is not None)
            else:
                prompting = "direct" if rng.random() < DIRECT_SHARE else "system"
                records.append(record)
            prompt = sequences.semantics(text, int(rng.integers(1, MOST_INDEX + 1)), prompting)
            said = _described(record.tobytes(), *_light(query, record))
            pictures += list(store.pictures[scene, view])
        else:
            query = queries[int(rng.integers(QUERIES))]
            prompt = sequences.granularity(framed(query["text"].decode(), rng))
            said = answers.compact(answers.granularity(query))
            pictures.append(store.wholes[scene])
        examples.append((prompt, (*sequences.texts(said), sequences.end)))
    longest = max(len(prompt) + len(answer) for prompt, answer in examples)
    ids = np.full((size, longest), sequences.pad, np.int64)
    labels = np.full_like(ids, -100)
    for row, (prompt, answer) in enumerate(examples):
        start, stop = len(prompt), len(prompt) + len(answer)
        ids[row, :start], ids[row, start:stop], labels[row, start:stop] = prompt, answer, answer
    return Batch(
        torch.from_numpy(ids), torch.from_numpy(labels), torch.from_numpy(np.stack(pictures)), np.array(records, RECORD)
    )


def framed(query: str, rng: np.random.Generator) -> str:
    """The query, or it after some of FRAMES and with some words that nobody knows: its granularity is the same.

    Never like a phrasing that is held out: such a one stays as it was.
    """
    if rng.random() > FRAMED_SHARE:
        return query
    words = [_strange(rng) if rng.random() < STRANGE_SHARE else word for word in query.split(" ")]
    text = " ".join((*rng.choice(FRAMES, int(rng.integers(0, 5))), *words))
    return query if HELD_OUT.fullmatch(text.rstrip(".?")) else text


def _strange(rng: np.random.Generator) -> str:
    """A word of a few letters."""
    return "".join(rng.choice(list(ascii_lowercase), int(rng.integers(3, 9))))


def _query(record: Any, queries: npt.NDArray[np.void], rng: np.random.Generator) -> Any | None:
    """What is asked of the mask, or None."""
    if rng.random() < NO_QUERY_SHARE:
        return None
    for_part = rng.random() < PART_SHARES[int(record["part"] != WHOLE)]
    chosen = np.flatnonzero((queries["granularity"] == answers.PART) == for_part)
    if rng.random() < FITTING_SHARE:
        row = int(record["row"] if for_part else record["object"])
        fits = queries["fits"][chosen] >> np.uint64(max(row, 0)) & np.uint64(1)
        chosen = chosen[fits == 1] if row >= 0 and fits.any() else chosen
    return queries[int(rng.choice(chosen))] if len(chosen) else None


def _light(query: Any | None, record: Any) -> tuple[int, bool]:
    """What of a query the answer depends on: its granularity, -1 for none, and whether the mask passes."""
    if query is None:
        return -1, False
    row = int(record["row"] if query["granularity"] == answers.PART else record["object"])
    return int(query["granularity"]), row >= 0 and bool(int(query["fits"]) >> row & 1)


@cache
def _described(record: bytes, granularity: int, passes: bool) -> str:
    """The answer for a record and the light of a query."""
    query = None if granularity < 0 else {"granularity": granularity, "fits": -1 if passes else 0}
    return answers.compact(answers.semantics(np.frombuffer(record, RECORD)[0], query))
