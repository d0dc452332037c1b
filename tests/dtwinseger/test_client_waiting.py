"""The client and answers that take long: it follows the events of the twin, over connections that break."""

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dtwinseger.api import SeenObject, StageProgress
from dtwinseger.client import AsyncClient, Client, patience
from dtwinseger.events import Progress
from dtwinseger.problems import Problem
from tests.dtwinseger.test_client import RESULT
from tests.gateway.conftest import Gateway, front, png, store_url  # noqa: F401 - fixtures


def test_who_watches_hears_of_stages_and_objects(front: Gateway) -> None:  # noqa: F811
    heard: list[Progress] = []
    with Client(str(front.http.base_url)) as client:
        result = client.segment(png(), "the mug", watch=heard.append)
    assert result.indices == (2,)
    assert {event.stage for event in heard if isinstance(event, StageProgress)} == {
        "perception",
        "granularity",
        "semantics",
        "reasoning",
    }
    assert sorted(event.index for event in heard if isinstance(event, SeenObject)) == [1, 2, 3]


def test_a_twin_can_be_asked_again(front: Gateway) -> None:  # noqa: F811
    async def ask() -> tuple[str, ...]:
        async with AsyncClient(str(front.http.base_url)) as client:
            first = await client.segment(png(), "the mug")
            second = await client.ask(first.twin_id, "the desk", {"reasoning": {"votes": 2}})
            assert (await client.twin(second.twin_id)).query == "the desk"
            with pytest.raises(Problem, match="granularity: as the twin has it"):
                await client.ask(first.twin_id, "the desk", {"granularity": "part"})
            return second.cached

    assert asyncio.run(ask()) == ("proposals",)


def test_a_twin_in_the_making_is_not_there_yet(front: Gateway) -> None:  # noqa: F811
    front.script.holding = {"reason"}
    address = front.segment(prefer="respond-async").headers["location"]
    with Client(str(front.http.base_url)) as client, pytest.raises(Problem, match="still being built"):
        client.twin(address.removeprefix("/dt/"))
    front.script.holding = set()


@dataclass
class Breaking:
    """A gateway that answers 202 and breaks each stream of events but the last."""

    url: str = ""
    streams: list[bytes] = field(default_factory=list)
    last_ids: list[str] = field(default_factory=list)
    preferred: str = ""


@pytest.fixture
def breaking() -> Iterator[Breaking]:
    script = Breaking()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            script.preferred = self.headers["prefer"]
            self.send_response(202)
            self.send_header("Location", "/dt/x")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            script.last_ids.append(self.headers["last-event-id"])
            body = script.streams.pop(0)
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Content-Length", str(len(body) + bool(script.streams)))  # one byte that never comes
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield script
    server.shutdown()
    server.server_close()


STAGE = b'event: stage\ndata: {"stage":"semantics","state":"running","done":1,"total":3}\nid: t-4\n\n'
DONE = f"event: result\ndata: {RESULT.model_dump_json()}\nid: t-9\n\n".encode()
FAILED = json.dumps(Problem("upstream_invalid", "no answer of use").details("r").model_dump()).encode()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_broken_stream_is_taken_up_after_the_last_event(
    breaking: Breaking, monkeypatch: pytest.MonkeyPatch, asynchronous: bool
) -> None:
    monkeypatch.setattr(patience, "AGAIN_S", 0.01)
    breaking.streams = [
        b": ping\n\n" + STAGE + b'event: stage\ndata: {"sta\n',
        b": ping\n\n",
        b"event: later\ndata: {}\n\n" + DONE,
    ]
    heard: list[Progress] = []

    async def ask() -> None:
        async with AsyncClient(breaking.url) as client:
            assert await client.segment(b"x", "the mug", watch=heard.append) == RESULT

    if asynchronous:
        asyncio.run(ask())
    else:
        with Client(breaking.url) as client:
            assert client.segment(b"x", "the mug", watch=heard.append) == RESULT
    assert breaking.preferred == "respond-async"
    assert breaking.last_ids == ["", "t-4", "t-4"]
    assert [(event.done, event.total) for event in heard if isinstance(event, StageProgress)] == [(1, 3)]


def test_a_build_that_fails_raises_its_problem(breaking: Breaking) -> None:
    breaking.streams = [STAGE + b"event: problem\ndata: " + FAILED + b"\n\n"]
    with Client(breaking.url) as client, pytest.raises(Problem, match="no answer of use") as caught:
        client.segment(b"x", "the mug")
    assert caught.value.code == "upstream_invalid"
    assert breaking.preferred == "wait=20"


def test_streams_that_never_bring_the_answer_end_with_the_deadline(
    breaking: Breaking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "AGAIN_S", 0.01)
    monkeypatch.setattr(patience, "GRACE_S", 0.0)
    breaking.streams = [b""] * 1000
    with Client(breaking.url, timeout=0.3) as client, pytest.raises(Problem) as caught:
        client.segment(b"x", "the mug")
    assert caught.value.code == "deadline_exceeded"


def test_an_event_that_is_not_what_its_name_says_is_invalid(breaking: Breaking) -> None:
    breaking.streams = [b'event: stage\ndata: {"stage":"dreaming"}\n\n']
    with Client(breaking.url) as client, pytest.raises(Problem, match="an event is no StageProgress"):
        client.segment(b"x", "the mug")
