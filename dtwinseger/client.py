"""The client of the gateway: `Client`, and `AsyncClient` with the same methods to await."""

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal, Self, TypeAlias, TypeVar
from urllib.parse import quote

import httpx2
from PIL import Image
from pydantic import BaseModel, Field, RootModel, ValidationError

from dtwinseger.api import (
    TIMEOUT_HEADER,
    AskRequest,
    ExportFormat,
    GatewayInfo,
    SegmentOptions,
    SegmentResult,
    TwinStatus,
)
from dtwinseger.events import EventReader, Progress
from dtwinseger.problems import Problem, ProblemCode, in_words
from dtwinseger.twin import DigitalTwin

DEFAULT_URL = "http://127.0.0.1:8080"
API_KEY_VARIABLE = "DTWINSEGER_API_KEY"
GRACE_S = 2.0  # the gateway answers at the deadline; a little more lets that answer arrive
WAIT_S = 20  # for the answer itself; after it the client follows the events, which no proxy takes for a dead connection
SILENCE_S = 30.0  # without an event or a heartbeat: the stream is broken
AGAIN_S = 0.5  # before a stream that broke is opened again

ImageSource: TypeAlias = str | Path | bytes | Image.Image
Options: TypeAlias = SegmentOptions | Mapping[str, Any]
Watch: TypeAlias = Callable[[Progress], None]
Model = TypeVar("Model", bound=BaseModel)


class Client:
    """Asks a gateway. Use it as a context manager, or call `close`.

    timeout: seconds that one request may take; the gateway is told, and stops working after it. api_key: for a gateway
    that asks for one; without it the variable DTWINSEGER_API_KEY is read. Every method raises Problem: what the gateway
    answered, `upstream_unavailable` where it cannot be reached, `deadline_exceeded` where it does not answer in time,
    and `upstream_invalid` where its answer is not one.
    """

    def __init__(self, url: str = DEFAULT_URL, *, timeout: float = 120.0, api_key: str | None = None) -> None:
        self._url = url
        self._timeout = timeout
        self._http = httpx2.Client(**_connection(url, timeout, api_key))

    def segment(
        self, image: ImageSource, query: str, options: Options | None = None, *, watch: Watch | None = None
    ) -> SegmentResult:
        """Segment what answers `query`: a path, the bytes of an image file, or a PIL image (sent as PNG).

        watch: told of each stage as it gets on, and of each object as it is described.
        """
        return self._answer("/segment", _form(image, query, options), watch)

    def ask(
        self, twin_id: str, query: str, options: Options | None = None, *, watch: Watch | None = None
    ) -> SegmentResult:
        """Another query on the image of a twin; `options` are `semantics`, `reasoning` and `mask_format`."""
        return self._answer(_path(twin_id) + "/segment", _question(query, options), watch)

    def twin(self, twin_id: str) -> DigitalTwin:
        """The digital twin behind an answer. Raises Problem `not_found` while it is being built."""
        return _parse(DigitalTwin, _ready(self._send("GET", _path(twin_id))))

    def export(self, twin_id: str, kind: ExportFormat) -> bytes:
        """The twin as a file: its own JSON, a COCO detection file, or GeoJSON in pixels of the image.

        Raises Problem `not_found` while it is being built.
        """
        return _file(self._send("GET", _path(twin_id), params={"format": kind}), kind)

    def overlay(self, twin_id: str) -> bytes:
        """The image with the answer marked on it, as a PNG."""
        return self._send("GET", _path(twin_id) + "/overlay.png", headers={"Accept": "image/png"}).content

    def info(self) -> GatewayInfo:
        """The models, prompts and settings that answers are made with."""
        return _parse(GatewayInfo, self._send("GET", "/v1/info"))

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

    def _answer(self, path: str, content: dict[str, Any], watch: Watch | None) -> SegmentResult:
        following = _Following(self._timeout, watch)
        response = self._send("POST", path, headers=following.headers(), **content)
        if response.status_code != httpx2.codes.ACCEPTED:
            return _parse(SegmentResult, response)
        while True:
            with (
                following.again(self._url),
                self._http.stream("GET", following.events(response), **following.resumed()) as stream,
            ):
                if stream.is_error:
                    stream.read()
                for line in _checked(stream).iter_lines():
                    if result := following.read(line):
                        return result
            time.sleep(AGAIN_S)


class AsyncClient:
    """`Client`, with methods to await."""

    def __init__(self, url: str = DEFAULT_URL, *, timeout: float = 120.0, api_key: str | None = None) -> None:
        self._url = url
        self._timeout = timeout
        self._http = httpx2.AsyncClient(**_connection(url, timeout, api_key))

    async def segment(
        self, image: ImageSource, query: str, options: Options | None = None, *, watch: Watch | None = None
    ) -> SegmentResult:
        """See `Client.segment`."""
        return await self._answer("/segment", _form(image, query, options), watch)

    async def ask(
        self, twin_id: str, query: str, options: Options | None = None, *, watch: Watch | None = None
    ) -> SegmentResult:
        """See `Client.ask`."""
        return await self._answer(_path(twin_id) + "/segment", _question(query, options), watch)

    async def twin(self, twin_id: str) -> DigitalTwin:
        """See `Client.twin`."""
        return _parse(DigitalTwin, _ready(await self._send("GET", _path(twin_id))))

    async def export(self, twin_id: str, kind: ExportFormat) -> bytes:
        """See `Client.export`."""
        return _file(await self._send("GET", _path(twin_id), params={"format": kind}), kind)

    async def overlay(self, twin_id: str) -> bytes:
        """See `Client.overlay`."""
        return (await self._send("GET", _path(twin_id) + "/overlay.png", headers={"Accept": "image/png"})).content

    async def info(self) -> GatewayInfo:
        """See `Client.info`."""
        return _parse(GatewayInfo, await self._send("GET", "/v1/info"))

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

    async def _answer(self, path: str, content: dict[str, Any], watch: Watch | None) -> SegmentResult:
        following = _Following(self._timeout, watch)
        response = await self._send("POST", path, headers=following.headers(), **content)
        if response.status_code != httpx2.codes.ACCEPTED:
            return _parse(SegmentResult, response)
        while True:
            with following.again(self._url):
                async with self._http.stream("GET", following.events(response), **following.resumed()) as stream:
                    if stream.is_error:
                        await stream.aread()
                    async for line in _checked(stream).aiter_lines():
                        if result := following.read(line):
                            return result
            await asyncio.sleep(AGAIN_S)


class _Following:
    """A request and, where its answer takes long, the events of its twin, over as many connections as it takes."""

    def __init__(self, timeout: float, watch: Watch | None) -> None:
        self._ends_at = time.monotonic() + timeout + GRACE_S
        self._watch = watch
        self._reader = EventReader()

    def headers(self) -> dict[str, str]:
        """Of the request: its events are wanted from the first on where somebody watches."""
        return {"Prefer": "respond-async" if self._watch else f"wait={WAIT_S}"}

    def events(self, accepted: httpx2.Response) -> str:
        """Where the events are."""
        return f"{accepted.headers.get('location', '')}/events"

    def resumed(self) -> dict[str, Any]:
        """How to ask for the events after those that have been read."""
        left = self._left()
        headers = {"Accept": "text/event-stream", "Last-Event-ID": self._reader.resume()}
        return {"headers": headers, "timeout": httpx2.Timeout(min(SILENCE_S, left), connect=min(5.0, left))}

    def read(self, line: str) -> SegmentResult | None:
        """The result, if the stream ends with this line; what comes before goes to who watches. Raises Problem."""
        found = self._reader.read(line)
        if isinstance(found, SegmentResult):
            return found
        if found is not None and self._watch:
            self._watch(found)
        self._left()
        return None

    @contextmanager
    def again(self, url: str) -> Iterator[None]:
        """Let a connection break: the work goes on, and the next one tells how far it is."""
        with _as_problems(url), suppress(httpx2.TransportError):
            yield

    def _left(self) -> float:
        """Seconds until the answer must be there. Raises Problem `deadline_exceeded`."""
        if (left := self._ends_at - time.monotonic()) > 0:
            return left
        raise Problem("deadline_exceeded", "the answer did not come in time; allow more")


def _connection(url: str, timeout: float, api_key: str | None) -> dict[str, Any]:
    headers = {TIMEOUT_HEADER: str(max(1, round(timeout * 1000))), "Accept": "application/json"}
    key = (os.environ.get(API_KEY_VARIABLE, "") if api_key is None else api_key).strip()
    if not (key.isascii() and key.isprintable()):
        raise Problem("unauthorized", f"the API key ({API_KEY_VARIABLE}) has characters that no key has")
    if key:
        headers["Authorization"] = f"Bearer {key}"
    return {
        "base_url": url,
        "headers": headers,
        "timeout": httpx2.Timeout(timeout + GRACE_S, connect=min(timeout, 5.0)),
        # The caller bounds what is in flight; a pool's bound would make requests wait within their timeout.
        "limits": httpx2.Limits(max_connections=None, max_keepalive_connections=None),
    }


class _Ready(BaseModel):
    """A twin, of which no more is looked at."""

    status: Literal["ready"]


class _Found(RootModel[Annotated[_Ready | TwinStatus, Field(discriminator="status")]]):
    """What `GET /dt/<id>` answers."""


def _ready(response: httpx2.Response) -> httpx2.Response:
    """The response, which holds a twin. Raises Problem where it is none yet, or could not be built."""
    found = _parse(_Found, response).root
    if isinstance(found, _Ready):
        return response
    if found.problem:
        raise Problem(found.problem.code, found.problem.detail, request_id=found.problem.request_id)
    raise Problem("not_found", f"the twin is still being built (stage: {found.stage or 'waiting'}); ask again shortly")


def _file(response: httpx2.Response, kind: ExportFormat) -> bytes:
    """The twin as it came. Raises Problem as `_ready` does, for its own JSON may be that of a build."""
    return (_ready(response) if kind == "json" else response).content


def _question(query: str, options: Options | None) -> dict[str, Any]:
    """The body of `POST /dt/<id>/segment`. Raises Problem `invalid_options` for those that cannot be changed."""
    chosen = options.model_dump(exclude_unset=True) if isinstance(options, SegmentOptions) else dict(options or {})
    if more := sorted(set(chosen) - set(AskRequest.model_fields)):
        raise Problem("invalid_options", f"{', '.join(more)}: as the twin has it; send the image to change that")
    return {"json": {"query": query} | chosen}


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
