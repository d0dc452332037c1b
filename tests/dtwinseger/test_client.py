"""The client speaks the gateway's wire, and every failure reaches the caller as a problem in words."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dtwinseger.api import SegmentOptions, SegmentResult, Usage
from dtwinseger.client import AsyncClient, Client
from dtwinseger.problems import Problem
from dtwinseger.twin import Mask

RESULT = SegmentResult(
    twin_id="a" * 32,
    query="the mug",
    granularity="object",
    indices=(),
    mask=Mask.encode(np.zeros((4, 6), dtype=bool)),
    objects=(),
    path=(),
    usage=Usage(),
    timings_ms={"total": 12.0},
)


@dataclass
class Wire:
    """An HTTP server that answers as told and keeps what it was asked."""

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = RESULT.model_dump_json().encode()
    line: str = ""
    asked: EmailMessage = field(default_factory=EmailMessage)

    def form(self) -> dict[str, Any]:
        """The fields of the multipart form that was sent."""
        return {
            str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True)
            for part in self.asked.iter_parts()
        }


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            sent = self.rfile.read(int(self.headers.get("content-length", 0)))
            wire.line = self.requestline.removesuffix(" HTTP/1.1")
            wire.asked = BytesParser(policy=HTTP).parsebytes(str(self.headers).encode() + sent)
            self.send_response(wire.status)
            for name, value in wire.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(wire.body)))
            self.end_headers()
            self.wfile.write(wire.body)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        wire.url = f"http://127.0.0.1:{server.server_port}"
        yield wire
        server.shutdown()
        thread.join()


@pytest.fixture
def client(wire: Wire) -> Iterator[Client]:
    with Client(wire.url, timeout=5) as client:
        yield client


def _png() -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (6, 4), "red").save(buffer, "PNG")
    return buffer.getvalue()


def test_segment_sends_the_form_and_returns_the_result(client: Client, wire: Wire) -> None:
    assert client.segment(_png(), "the mug", {"granularity": "part"}) == RESULT
    assert wire.line == "POST /segment"
    assert wire.form() == {"image": _png(), "query": b"the mug", "options": b'{"granularity": "part"}'}
    assert wire.asked["x-timeout-ms"] == "5000"


def test_options_hold_only_what_the_caller_set(client: Client, wire: Wire) -> None:
    client.segment(_png(), "the mug", SegmentOptions(granularity="object"))
    assert json.loads(wire.form()["options"]) == {"granularity": "object"}
    client.segment(_png(), "the mug")
    assert "options" not in wire.form()


def test_an_image_may_be_a_path_bytes_or_a_picture(client: Client, wire: Wire, tmp_path: Path) -> None:
    (tmp_path / "mug.png").write_bytes(_png())
    for image in (tmp_path / "mug.png", str(tmp_path / "mug.png"), _png(), Image.open(BytesIO(_png()))):
        client.segment(image, "the mug")
        with Image.open(BytesIO(wire.form()["image"])) as sent:
            assert (sent.size, sent.getpixel((0, 0))) == ((6, 4), (255, 0, 0))


def test_the_async_client_sends_and_returns_the_same(client: Client, wire: Wire) -> None:
    async def ask() -> SegmentResult:
        async with AsyncClient(wire.url, timeout=5) as client:
            return await client.segment(_png(), "the mug", {"granularity": "part"})

    client.segment(_png(), "the mug", {"granularity": "part"})
    expected = wire.form()
    assert asyncio.run(ask()) == RESULT
    assert wire.form() == expected


def test_an_export_is_the_file_as_it_came(client: Client, wire: Wire) -> None:
    async def ask() -> bytes:
        async with AsyncClient(wire.url, timeout=5) as client:
            return await client.export("a", "coco")

    wire.body = b'{"type": "FeatureCollection"}'
    assert client.export("a", "geojson") == wire.body
    assert wire.line == "GET /dt/a?format=geojson"
    assert asyncio.run(ask()) == wire.body
    assert wire.line == "GET /dt/a?format=coco"


def test_an_id_cannot_lead_to_another_path(client: Client, wire: Wire) -> None:
    wire.body = b"png"
    assert client.overlay("../metrics?x") == b"png"
    assert wire.line == "GET /dt/..%2Fmetrics%3Fx/overlay.png"


def test_a_problem_is_raised_as_the_gateway_told_it(client: Client, wire: Wire) -> None:
    problem = Problem("overloaded", "too many requests are waiting").details("abc")
    wire.status, wire.body, wire.headers = problem.status, problem.model_dump_json().encode(), {"Retry-After": "2"}
    with pytest.raises(Problem) as raised:
        client.segment(_png(), "the mug")
    assert raised.value.code == "overloaded"
    assert raised.value.detail == "too many requests are waiting"
    assert raised.value.retry_after == 2
    assert raised.value.request_id == "abc"


@pytest.mark.parametrize(("status", "code"), [(404, "upstream_invalid"), (503, "upstream_unavailable")])
def test_an_error_that_is_no_problem_names_the_url(client: Client, wire: Wire, status: int, code: str) -> None:
    wire.status, wire.body = status, b"<html>some proxy</html>"
    with pytest.raises(Problem, match=wire.url) as raised:
        client.delete("a")
    assert raised.value.code == code


@pytest.mark.parametrize("body", [b"", b"hello", b"{}", b'{"twin_id": 3}'])
def test_an_answer_that_is_no_result_is_a_problem(client: Client, wire: Wire, body: bytes) -> None:
    wire.body = body
    with pytest.raises(Problem, match="the answer is no SegmentResult") as raised:
        client.segment(_png(), "the mug")
    assert raised.value.code == "upstream_invalid"


def test_a_gateway_that_is_not_there_is_a_problem() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    with Client(url) as client, pytest.raises(Problem, match="no gateway answers at") as raised:
        client.twin("a")
    assert raised.value.code == "upstream_unavailable"


def test_a_gateway_that_does_not_answer_in_time_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dtwinseger.client.patience.GRACE_S", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Client(url, timeout=0.2) as client, pytest.raises(Problem) as raised:
            client.twin("a")
    assert raised.value.code == "deadline_exceeded"


def test_a_file_that_is_not_there_is_a_problem_before_anything_is_sent(client: Client, wire: Wire) -> None:
    with pytest.raises(Problem, match=r"no-such-file\.jpg cannot be read") as raised:
        client.segment("no-such-file.jpg", "the mug")
    assert raised.value.code == "invalid_image"
    assert wire.line == ""
