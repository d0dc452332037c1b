"""What the models are asked: instructions as text files, and the messages of the OpenAI protocol built from them.

Shared by the services, which ask, and the trainer, which teaches small models to answer exactly this. The shared text
comes first and what differs last, so that prefix caches hit.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from dtwinseger.twin.model import TwinRow
from dtwinseger.twin.text import render_twin

Message = dict[str, Any]  # the OpenAI protocol's own shape

GRANULARITY, SEMANTICS, REASONING = (
    files(__package__).joinpath(f"{name}.txt").read_text("utf-8").strip()
    for name in ("granularity", "semantics", "reasoning")
)


def digest(*prompts: str) -> str:
    """SHA-256 over prompts, for provenance and cache keys."""
    return hashlib.sha256("\0".join(prompts).encode()).hexdigest()


def granularity(query: str, image_png: bytes) -> list[Message]:
    """Eq. 1: image and query."""
    return [
        {"role": "system", "content": GRANULARITY},
        {"role": "user", "content": [_image(image_png), _text(_inert(f"Query: {query}"))]},
    ]


def semantics(query: str | None, index: int, marked_png: bytes, crop_png: bytes) -> list[Message]:
    """Eq. 4 for one mask: the query (None for scope `image`), the image with the mask outlined, its crop."""
    asked = "There is no query: describe the object for any." if query is None else f"Query: {query}"
    return [
        {"role": "system", "content": SEMANTICS},
        {
            "role": "user",
            "content": [_text(_inert(f"{asked}\nObject: {index}")), _image(marked_png), _image(crop_png)],
        },
    ]


def reasoning(query: str, objects: Sequence[TwinRow]) -> list[Message]:
    """Eqs. 5-6: the twin as text, then the query."""
    return [
        {"role": "system", "content": REASONING},
        {"role": "user", "content": _inert(f"Twin: {render_twin(objects)}\nQuery: {query}")},
    ]


def reask(answer: str, error: str) -> list[Message]:
    """What follows an invalid answer, once."""
    return [
        {"role": "assistant", "content": _inert(answer)},
        {
            "role": "user",
            "content": _inert(f"That answer is not valid: {error}. Answer again, with the JSON object alone."),
        },
    ]


def _inert(text: str) -> str:
    """`text` with control tokens misspelt: engines parse `<|…|>`, `<image>` and `</s>` wherever they stand."""
    return re.sub(r"<(?=[|/A-Za-z])", "< ", text)


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _image(png: bytes) -> dict[str, Any]:
    return {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64," + base64.b64encode(png).decode()},
    }
