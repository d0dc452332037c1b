"""The client of the gateway: `Client`, and `AsyncClient` with the same methods to await."""

import asyncio
import time
from types import TracebackType
from typing import Any, Self

import httpx2

from dtwinseger.api import ExportFormat, GatewayInfo, SegmentResult
from dtwinseger.client import patience
from dtwinseger.client.following import Following, Watch
from dtwinseger.client.receiving import as_problems, checked, exported, parse, ready
from dtwinseger.client.sending import API_KEY_VARIABLE, ImageSource, Options, connection, form, path_of, question
from dtwinseger.twin import DigitalTwin

__all__ = ["API_KEY_VARIABLE", "DEFAULT_URL", "AsyncClient", "Client", "ImageSource", "Options", "Watch"]

DEFAULT_URL = "http://127.0.0.1:8080"


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
        self._http = httpx2.Client(**connection(url, timeout, api_key))

    def segment(
        self, image: ImageSource, query: str, options: Options | None = None, *, watch: Watch | None = None
    ) -> SegmentResult:
        """Segment what answers `query`: a path, the bytes of an image file, or a PIL image (sent as PNG).

        watch: told of each stage as it gets on, and of each object as it is described.
        """
        return self._answer("/segment", form(image, query, options), watch)

    def ask(
        self, twin_id: str, query: str, options: Options | None = None, *, watch: Watch | None = None
    ) -> SegmentResult:
        """Another query on the image of a twin; `options` are `semantics`, `reasoning` and `mask_format`."""
        return self._answer(path_of(twin_id) + "/segment", question(query, options), watch)

    def twin(self, twin_id: str) -> DigitalTwin:
        """The digital twin behind an answer. Raises Problem `not_found` while it is being built."""
        return parse(DigitalTwin, ready(self._send("GET", path_of(twin_id))))

    def export(self, twin_id: str, kind: ExportFormat) -> bytes:
        """The twin as a file: its own JSON, a COCO detection file, or GeoJSON in pixels of the image.

        Raises Problem `not_found` while it is being built.
        """
        return exported(self._send("GET", path_of(twin_id), params={"format": kind}), kind)

    def overlay(self, twin_id: str) -> bytes:
        """The image with the answer marked on it, as a PNG."""
        return self._send("GET", path_of(twin_id) + "/overlay.png", headers={"Accept": "image/png"}).content

    def info(self) -> GatewayInfo:
        """The models, prompts and settings that answers are made with."""
        return parse(GatewayInfo, self._send("GET", "/v1/info"))

    def delete(self, twin_id: str) -> None:
        """Remove the twin from the store."""
        self._send("DELETE", path_of(twin_id))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _send(self, method: str, path: str, **content: Any) -> httpx2.Response:
        with as_problems(self._url):
            return checked(self._http.request(method, path, **content))

    def _answer(self, path: str, content: dict[str, Any], watch: Watch | None) -> SegmentResult:
        following = Following(self._timeout, watch)
        response = self._send("POST", path, headers=following.headers(), **content)
        if response.status_code != httpx2.codes.ACCEPTED:
            return parse(SegmentResult, response)
        while True:
            with (
                following.again(self._url),
                self._http.stream("GET", following.events(response), **following.resumed()) as stream,
            ):
                if stream.is_error:
                    stream.read()
                for line in checked(stream).iter_lines():
                    if result := following.read(line):
                        return result
            time.sleep(patience.AGAIN_S)


class AsyncClient:
    """`Client`, with methods to await."""

    def __init__(self, url: str = DEFAULT_URL, *, timeout: float = 120.0, api_key: str | None = None) -> None:
        self._url = url
        self._timeout = timeout
        self._http = httpx2.AsyncClient(**connection(url, timeout, api_key))

    async def segment(
        self, image: ImageSource, query: str, options: Options | None = None, *, watch: Watch | None = None
    ) -> SegmentResult:
        """See `Client.segment`."""
        return await self._answer("/segment", form(image, query, options), watch)

    async def ask(
        self, twin_id: str, query: str, options: Options | None = None, *, watch: Watch | None = None
    ) -> SegmentResult:
        """See `Client.ask`."""
        return await self._answer(path_of(twin_id) + "/segment", question(query, options), watch)

    async def twin(self, twin_id: str) -> DigitalTwin:
        """See `Client.twin`."""
        return parse(DigitalTwin, ready(await self._send("GET", path_of(twin_id))))

    async def export(self, twin_id: str, kind: ExportFormat) -> bytes:
        """See `Client.export`."""
        return exported(await self._send("GET", path_of(twin_id), params={"format": kind}), kind)

    async def overlay(self, twin_id: str) -> bytes:
        """See `Client.overlay`."""
        return (await self._send("GET", path_of(twin_id) + "/overlay.png", headers={"Accept": "image/png"})).content

    async def info(self) -> GatewayInfo:
        """See `Client.info`."""
        return parse(GatewayInfo, await self._send("GET", "/v1/info"))

    async def delete(self, twin_id: str) -> None:
        """See `Client.delete`."""
        await self._send("DELETE", path_of(twin_id))

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
        with as_problems(self._url):
            return checked(await self._http.request(method, path, **content))

    async def _answer(self, path: str, content: dict[str, Any], watch: Watch | None) -> SegmentResult:
        following = Following(self._timeout, watch)
        response = await self._send("POST", path, headers=following.headers(), **content)
        if response.status_code != httpx2.codes.ACCEPTED:
            return parse(SegmentResult, response)
        while True:
            with following.again(self._url):
                async with self._http.stream("GET", following.events(response), **following.resumed()) as stream:
                    if stream.is_error:
                        await stream.aread()
                    async for line in checked(stream).aiter_lines():
                        if result := following.read(line):
                            return result
            await asyncio.sleep(patience.AGAIN_S)
