"""What the client sends: how it connects, and the bodies of its requests."""

import json
import os
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

import httpx2
from PIL import Image

from dtwinseger.api import TIMEOUT_HEADER, AskRequest, SegmentOptions
from dtwinseger.client import patience
from dtwinseger.problems import Problem

API_KEY_VARIABLE = "DTWINSEGER_API_KEY"

ImageSource: TypeAlias = str | Path | bytes | Image.Image
Options: TypeAlias = SegmentOptions | Mapping[str, Any]


def connection(url: str, timeout: float, api_key: str | None) -> dict[str, Any]:
    headers = {TIMEOUT_HEADER: str(max(1, round(timeout * 1000))), "Accept": "application/json"}
    key = (os.environ.get(API_KEY_VARIABLE, "") if api_key is None else api_key).strip()
    if not (key.isascii() and key.isprintable()):
        raise Problem("unauthorized", f"the API key ({API_KEY_VARIABLE}) has characters that no key has")
    if key:
        headers["Authorization"] = f"Bearer {key}"
    return {
        "base_url": url,
        "headers": headers,
        "timeout": httpx2.Timeout(timeout + patience.GRACE_S, connect=min(timeout, 5.0)),
        # The caller bounds what is in flight; a pool's bound would make requests wait within their timeout.
        "limits": httpx2.Limits(max_connections=None, max_keepalive_connections=None),
    }


def question(query: str, options: Options | None) -> dict[str, Any]:
    """The body of `POST /dt/<id>/segment`. Raises Problem `invalid_options` for those that cannot be changed."""
    chosen = options.model_dump(exclude_unset=True) if isinstance(options, SegmentOptions) else dict(options or {})
    if more := sorted(set(chosen) - set(AskRequest.model_fields)):
        raise Problem("invalid_options", f"{', '.join(more)}: as the twin has it; send the image to change that")
    return {"json": {"query": query} | chosen}


def path_of(twin_id: str) -> str:
    return f"/dt/{quote(twin_id, safe='')}"


def form(image: ImageSource, query: str, options: Options | None) -> dict[str, Any]:
    """The multipart form of `POST /segment`. Raises Problem `invalid_image` where the file cannot be read."""
    data = {"query": query}
    if isinstance(options, SegmentOptions):
        data["options"] = options.model_dump_json(exclude_unset=True)
    elif options is not None:
        data["options"] = json.dumps(dict(options))
    return {"data": data, "files": {"image": ("image", _read(image), "application/octet-stream")}}


def _read(image: ImageSource) -> bytes:
    if isinstance(image, bytes):
        return image
    if isinstance(image, Image.Image):
        buffer = BytesIO()
        image.save(buffer, "PNG")
        return buffer.getvalue()
    try:
        return Path(image).read_bytes()
    except OSError as error:
        raise Problem("invalid_image", f"{image} cannot be read: {error.strerror or error}") from error
