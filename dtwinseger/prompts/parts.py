"""The parts of a message in the OpenAI protocol, in which data stays data."""

import base64
import re
from typing import Any

Message = dict[str, Any]  # the OpenAI protocol's own shape

_JPEG = b"\xff\xd8"


def inert(data: str) -> str:
    """`data` with control tokens misspelt: engines parse `<|…|>`, `<image>` and `</s>` wherever they stand."""
    return re.sub(r"<(?=[|/A-Za-z])", "< ", data)


def one_line(query: str) -> str:
    """`query` with each run of line breaks and other control characters as a space: it cannot begin a line of its own
    ("Object: 9"), nor end a string (NUL) in an engine.
    """
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", query)


def text(data: str) -> dict[str, Any]:
    """Text, made inert."""
    return {"type": "text", "text": inert(data)}


def picture(data: bytes) -> dict[str, Any]:
    """A PNG, or a JPEG where it begins like one, as a data URL."""
    kind = "jpeg" if data.startswith(_JPEG) else "png"
    return {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64," + base64.b64encode(data).decode()}}
