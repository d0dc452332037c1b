"""What tests of semantics say to the service and read from it."""

import base64
import io
import json
from typing import Any

import httpx2
import numpy as np
from PIL import Image

from dtwinseger import api
from dtwinseger.twin import Mask
from tests.doubles.openai_server import Says

WIDTH, HEIGHT = 64, 48
MUG = {"semantic": "a red mug", "category": "mug", "attributes": ["red"], "relevance": 0.9}
SAYS_MUG = Says(json.dumps(MUG))


def png(width: int = WIDTH, height: int = HEIGHT) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (40, 90, 200)).save(buffer, "PNG")
    return buffer.getvalue()


def masks(count: int, height: int = HEIGHT, width: int = WIDTH) -> tuple[api.DescribedMask, ...]:
    out = []
    for index in range(1, count + 1):
        mask = np.zeros((height, width), dtype=np.bool_)
        mask[4:20, 2 * index : 2 * index + 9] = True
        out.append(api.DescribedMask(index=index, mask=Mask.encode(mask)))
    return tuple(out)


def describe(
    url: str, asked: api.SemanticsRequest | str, image: bytes | None = None, headers: dict[str, str] | None = None
) -> httpx2.Response:
    body = asked if isinstance(asked, str) else asked.model_dump_json()
    files = {"image": ("image", image or png(), "image/png")}
    return httpx2.post(f"{url}/v1/semantics", data={"request": body}, files=files, headers=headers, timeout=60)


def granularity(url: str, query: str, headers: dict[str, str] | None = None) -> httpx2.Response:
    files = {"image": ("image", png(), "image/png")}
    body = api.GranularityRequest(query=query).model_dump_json()
    return httpx2.post(f"{url}/v1/granularity", data={"request": body}, files=files, headers=headers, timeout=60)


def told(response: httpx2.Response) -> tuple[dict[int, api.SemanticsLine], api.SemanticsEnd]:
    """The lines by index, and the closing line."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("application/x-ndjson")
    *lines, end = response.text.splitlines()
    parsed = [api.SemanticsLine.model_validate_json(line) for line in lines]
    assert len({line.index for line in parsed}) == len(parsed)
    return {line.index: line for line in parsed}, api.SemanticsEnd.model_validate_json(end)


def problem(response: httpx2.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def texts(body: dict[str, Any]) -> list[str]:
    return [part["text"] for part in body["messages"][1]["content"] if part["type"] == "text"]


def pictures(user: dict[str, Any]) -> list[bytes]:
    """The pictures of a message, PNG or JPEG."""
    urls = [part["image_url"]["url"] for part in user["content"] if part["type"] == "image_url"]
    return [base64.b64decode(url.partition(",")[2]) for url in urls]


def asked_about(body: dict[str, Any]) -> list[int]:
    """The numbers that a call asks about, from its last question; after a wrong answer, of the question before."""
    questions = [m["content"] for m in body["messages"] if m["role"] == "user" and isinstance(m["content"], list)]
    line = next(line for line in questions[-1][0]["text"].splitlines() if line.startswith("Object"))
    return [int(number) for number in line.partition(":")[2].split(",")]


def describes_all(body: dict[str, Any]) -> str:
    """For `Says`: a good answer about every mask that is asked about, each with its number in its semantic."""
    said = [MUG | {"semantic": f"mug {index}"} for index in asked_about(body)]
    return json.dumps(
        {"objects": [{"index": index} | one for index, one in zip(asked_about(body), said, strict=True)]}
        if len(said) > 1
        else said[0]
    )
