"""Worked examples for prompting `in_context`: scenes that we rendered, shown as a question shows its own, and answered.

`examples/` holds the scenes and `examples.json`: for each its query, its masks by area and the answers for some.
`python -m tests.dtwinseger.prompts.examples` renders them again, byte for byte.
"""

import hashlib
import io
import json
from functools import cache
from importlib.resources import files

import numpy as np
from PIL import Image
from pydantic import TypeAdapter

from dtwinseger.api import Contract, Semantics
from dtwinseger.prompts import views
from dtwinseger.twin.mask import Mask
from dtwinseger.twin.path import Index

SIDE = 256  # pixels at most: the scenes have no more


class Example(Contract):
    """One scene. Its masks have the indices 1..N; one mask in a call is the first of `answers`."""

    image: str
    query: str
    masks: tuple[Mask, ...]
    answers: dict[Index, Semantics]

    def asked(self, several: bool) -> list[tuple[int, views.MaskArray]]:
        """The masks that are asked about, by index."""
        indices = list(self.answers) if several else list(self.answers)[:1]
        return [(index, self.masks[index - 1].decode()) for index in indices]

    def smallest_first(self) -> list[tuple[int, views.MaskArray]]:
        """All masks of the scene, by index."""
        return [(index, mask.decode()) for index, mask in reversed(list(enumerate(self.masks, start=1)))]

    def picture(self) -> views.Picture:
        """The scene, [H, W, 3] uint8."""
        return np.asarray(Image.open(io.BytesIO(_read(self.image))).convert("RGB"))

    def said(self, several: bool, in_its_light: bool) -> str:
        """The answer as a model writes it; without a query nothing is relevant."""
        answers = {
            index: answer if in_its_light else answer.model_copy(update={"relevance": 0.0})
            for index, answer in self.answers.items()
        }
        objects = [{"index": index} | answer.model_dump(mode="json") for index, answer in answers.items()]
        one = next(iter(answers.values())).model_dump(mode="json")
        return json.dumps({"objects": objects} if several else one, ensure_ascii=False, separators=(",", ":"))


@cache
def examples() -> tuple[Example, ...]:
    """The examples, in the order in which they are shown."""
    return TypeAdapter(tuple[Example, ...]).validate_json(_read("examples.json"))


@cache
def fingerprint() -> str:
    """SHA-256 over every file of the examples."""
    digest = hashlib.sha256(_read("examples.json"))
    for example in examples():
        digest.update(_read(example.image))
    return digest.hexdigest()


def _read(name: str) -> bytes:
    return files(__package__).joinpath("examples", name).read_bytes()
