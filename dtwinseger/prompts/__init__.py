"""What the models are asked: instructions as text files, and the messages of the OpenAI protocol built from them.

Shared by the services, which ask, and the trainer, which teaches small models to answer exactly this. The shared text
comes first and what differs last, so that prefix caches hit.
"""

import hashlib
from collections.abc import Sequence
from importlib.resources import files

from dtwinseger.prompts.parts import Message, inert, one_line, picture, text
from dtwinseger.twin.model import TwinRow
from dtwinseger.twin.text import RENDERINGS, Rendering

__all__ = [
    "GRANULARITY",
    "REASONING",
    "REASONING_ROWS",
    "SEMANTICS",
    "Message",
    "asked",
    "digest",
    "granularity",
    "one_line",
    "reask",
    "reasoning",
    "reasoning_digest",
    "semantics",
]

ECHOED = 20_000  # characters of a wrong answer that are shown to the model again

GRANULARITY, SEMANTICS, REASONING, REASONING_ROWS = (
    files(__package__).joinpath(f"{name}.txt").read_text("utf-8").strip()
    for name in ("granularity", "semantics", "reasoning", "reasoning_rows")
)
# Rendering of the twin -> the instruction that explains it, and what introduces the twin.
_REASONING: dict[Rendering, tuple[str, str]] = {"json": (REASONING, "Twin: "), "rows": (REASONING_ROWS, "Twin:\n")}


def digest(*prompts: str) -> str:
    """SHA-256 over prompts, for provenance and cache keys."""
    return hashlib.sha256("\0".join(prompts).encode()).hexdigest()


def granularity(query: str, image: bytes) -> list[Message]:
    """Eq. 1: image, PNG or JPEG, and query."""
    return [
        {"role": "system", "content": GRANULARITY},
        {"role": "user", "content": [picture(image), text(f"Query: {one_line(query)}")]},
    ]


def semantics(query: str | None, index: int, marked: bytes, crop: bytes) -> list[Message]:
    """Eq. 4 for one mask, as the options come and as the bundled VLM was taught: the query (None for scope `image`),
    the image with the mask outlined, its crop. `questions.question` asks under every option.
    """
    return [
        {"role": "system", "content": SEMANTICS},
        {"role": "user", "content": [text(f"{asked(query)}\nObject: {index}"), picture(marked), picture(crop)]},
    ]


def asked(query: str | None) -> str:
    """The line that says what is asked for."""
    return "There is no query: describe the object for any." if query is None else f"Query: {one_line(query)}"


def reasoning(query: str, objects: Sequence[TwinRow], rendering: Rendering = "json") -> list[Message]:
    """Eqs. 5-6: the twin as text, then the query. Zero-shot and tuned models are asked with the same words, so that a
    trainer teaches exactly what the reasoner asks.
    """
    instruction, title = _REASONING[rendering]
    twin = f"{title}{RENDERINGS[rendering](objects)}"
    return [
        {"role": "system", "content": instruction},
        {"role": "user", "content": inert(f"{twin}\nQuery: {one_line(query)}")},
    ]


def reasoning_digest(rendering: Rendering) -> str:
    """Of what `reasoning` asks with."""
    return digest(_REASONING[rendering][0])


def reask(answer: str, error: str) -> list[Message]:
    """What follows an invalid answer, once; of a very long one its beginning."""
    complaint = f"That answer is not valid: {error}. Answer again, with the JSON object alone."
    return [
        {"role": "assistant", "content": inert(answer[:ECHOED])},
        {"role": "user", "content": inert(complaint)},
    ]
