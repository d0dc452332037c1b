"""The client of the gateway: `Client`, and `AsyncClient` with the same methods to await."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar
from urllib.parse import quote

import httpx2
from PIL import Image
from pydantic import BaseModel, ValidationError

from dtwinseger.api import TIMEOUT_HEADER, SegmentOptions, SegmentResult
from dtwinseger.problems import Problem, ProblemCode, in_words
from dtwinseger.twin import DigitalTwin

DEFAULT_URL = "http://127.0.0.1:8080"
GRACE_S = 2.0  # the gateway answers at the deadline; a little more lets that answer arrive

ImageSource: TypeAlias = str | Path | bytes | Image.Image
Options: TypeAlias = SegmentOptions | Mapping[str, Any]
Model = TypeVar("Model", bound=BaseModel)


class Client:
    """Asks a gateway. Use it as a context manager, or call `close`.

    timeout: seconds that one request may take; the gateway is told, and stops working after it. Every method raises
    Problem: what the gateway answered, `upstream_unavailable` where it cannot be reached, `deadline_exceeded` where it
    does not answer in time, and `upstream_invalid` where its answer is not one.
    """

    def __init__(self, url: str = DEFAULT_URL, *, timeout: float = 120.0) -> None:
        self._url = url
        self._http = httpx2.Client(**_connection(url, timeout))

    def segment(self, image: ImageSource, query: str, options: Options | None = None) -> SegmentResult:
        """Segment what answers `query`: a path, the bytes of an image file, or a PIL image (sent as PNG)."""
        return _parse(SegmentResult, self._send("POST", "/segment", **_form(image, query, options)))

    def twin(self, twin_id: str) -> DigitalTwin:
        """The digital twin behind an answer."""
        return _parse(DigitalTwin, self._send("GET", _path(twin_id)))

    def overlay(self, twin_id: str) -> bytes:
        """The image with the answer marked on it, as a PNG."""
        return self._send("GET", _path(twin_id) + "/overlay.png", headers={"Accept": "image/png"}).content

    def delete(self, twin_id: str) -> None:
        """Remove the twin from the store."""
        self._send("DELETE", _path(twin_id))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _send(self, method: str, path: str, **content: Any) -> httpx2.Response:
        with _as_problems(self._url):
            return _checked(self._http.request(method, path, **content))


class AsyncClient:
    """`Client`, with methods to await."""

    def __init__(self, url: str = DEFAULT_URL, *, timeout: float = 120.0) -> None:
        self._url = url
        self._http = httpx2.AsyncClient(**_connection(url, timeout))

    async def segment(self, image: ImageSource, query: str, options: Options | None = None) -> SegmentResult:
        """See `Client.segment`."""
        return _parse(SegmentResult, await self._send("POST", "/segment", **_form(image, query, options)))

    async def twin(self, twin_id: str) -> DigitalTwin:
        """See `Client.twin`."""
        return _parse(DigitalTwin, await self._send("GET", _path(twin_id)))

    async def overlay(self, twin_id: str) -> bytes:
        """See `Client.overlay`."""
        return (await self._send("GET", _path(twin_id) + "/overlay.png", headers={"Accept": "image/png"})).content

    async def delete(self, twin_id: str) -> None:
        """See `Client.delete`."""
        await self._send("DELETE", _path(twin_id))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()

    async def _send(self, method: str, path: str, **content: Any) -> httpx2.Response:
        with _as_problems(self._url):
            return _checked(await self._http.request(method, path, **content))


def _connection(url: str, timeout: float) -> dict[str, Any]:
    headers = {TIMEOUT_HEADER: str(max(1, round(timeout * 1000))), "Accept": "application/json"}
    return {
        "base_url": url,
        "headers": headers,
        "timeout": httpx2.Timeout(timeout + GRACE_S, connect=min(timeout, 5.0)),
    }


def _path(twin_id: str) -> str:
    return f"/dt/{quote(twin_id, safe='')}"


def _form(image: ImageSource, query: str, options: Options | None) -> dict[str, Any]:
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


@contextmanager
def _as_problems(url: str) -> Iterator[None]:
    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        detail = f"no gateway answers at {url}; is it running, and is this its URL?"
        raise Problem("upstream_unavailable", detail) from error
    except httpx2.TimeoutException as error:
        raise Problem("deadline_exceeded", f"the gateway at {url} did not answer in time; allow more") from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        raise Problem("upstream_unavailable", f"the connection to the gateway at {url} failed: {reason}") from error


def _checked(response: httpx2.Response) -> httpx2.Response:
    """The response, or the Problem that it carries."""
    if response.is_success:
        return response
    retry_after = response.headers.get("retry-after", "")
    try:
        body = response.json()
    except ValueError:
        body = None
    problem = Problem.from_body(body, retry_after=float(retry_after) if retry_after.isdigit() else None)
    if problem is None:
        code: ProblemCode = "upstream_unavailable" if response.status_code in (502, 503, 504) else "upstream_invalid"
        detail = f"HTTP {response.status_code} from {response.url}, and not from a gateway; is this its URL?"
        raise Problem(code, detail)
    raise problem


def _parse(kind: type[Model], response: httpx2.Response) -> Model:
    try:
        return kind.model_validate_json(response.content)
    except ValidationError as error:
        detail = f"the answer is no {kind.__name__} ({in_words(error)[:300]}); are client and gateway of one version?"
        raise Problem("upstream_invalid", detail) from error
