"""Requests that mean harm: each has a clear 4xx, and nothing of them reaches a header, a path or a log as it is."""

import json
import socket
from collections.abc import Iterator

import httpx2
import pytest

from tests.doubles.services import Script
from tests.gateway.conftest import Gateway, gateway, png

NASTY = "a\x00b\r\nX-Injected: yes\r\n\r\n\x1b[2J\x1b]0;owned\x07\u202e\x7f../../etc/passwd"
BOUNDARY = "xxBOUNDARYxx"


def part(name: str, value: bytes, *, filename: str | None = None, kind: str | None = None) -> bytes:
    """One part of a form, as a client that does not mean well would write it."""
    head = f'Content-Disposition: form-data; name="{name}"'
    head += "" if filename is None else f'; filename="{filename}"'
    head += "" if kind is None else f"\r\nContent-Type: {kind}"
    return f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + value + b"\r\n"


def options(text: bytes) -> bytes:
    return part("options", text)


IMAGE = part("image", png(), filename="a.png")
QUERY = part("query", b"the mug")
END = f"--{BOUNDARY}--\r\n".encode()


def send(front: Gateway, *parts: bytes, parameters: str = "", **headers: str) -> httpx2.Response:
    kind = f"multipart/form-data; boundary={BOUNDARY}{parameters}"
    return front.http.post("/segment", content=b"".join(parts) + END, headers={"Content-Type": kind} | headers)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with pytest.MonkeyPatch.context() as environment:
        store = f"sqlite:///{tmp_path_factory.mktemp('hostile') / 'twins.sqlite'}"
        with gateway(Script(), environment, store) as running:
            yield running


@pytest.fixture
def front(standing: Gateway) -> Gateway:
    """One gateway for all of these: what one request does to it the next would feel."""
    standing.script.calls.clear()
    standing.script.failing.clear()
    return standing


BAD_FORMS = {
    "two images": ((IMAGE, IMAGE, QUERY), "invalid_image", "more than once"),
    "two queries": ((IMAGE, QUERY, QUERY), "invalid_query", "more than once"),
    "two options": ((IMAGE, QUERY, options(b"{}") * 2), "invalid_options", "more than once"),
    "no filename": ((part("image", png()), QUERY), "invalid_image", "filename"),
    "image as text": ((part("image", b"text"), QUERY), "invalid_image", "filename"),
    "no file chosen": ((part("image", b"", filename=""), QUERY), "invalid_image", "image: Field required"),
    "query as a file": ((IMAGE, part("query", b"x", filename="q.txt")), "invalid_query", "string"),
    "options as a file": ((IMAGE, QUERY, part("options", b"{}", filename="o")), "invalid_options", "string"),
    "1,000 fields": ((IMAGE, QUERY, part("x", b"") * 1000), "invalid_options", "Too many fields"),
    "1,000 files": ((IMAGE * 1000, QUERY), "invalid_options", "Too many files"),
    "a field with a wrong name": ((IMAGE, QUERY, part("option", b"{}")), "invalid_options", "image, options, query"),
    "a part without a name": ((f"--{BOUNDARY}\r\n\r\nx\r\n".encode(),), "invalid_options", "name"),
    "garbage": ((b"no form at all",), "invalid_options", ""),
    "an empty form": ((), "invalid_image", "image"),
    "half a character": (
        (IMAGE, QUERY, options(b'{"semantics":{"vocabulary":["\\ud800"]}}')),
        "invalid_options",
        "JSON",
    ),
    "deeply nested options": ((IMAGE, QUERY, options(b"[" * 100_000)), "invalid_options", "JSON"),
    "infinity": ((IMAGE, QUERY, options(b'{"proposals":{"rounds":1e999}}')), "invalid_options", "rounds"),
    "a long number": ((IMAGE, QUERY, options(b'{"mask_format":' + b"9" * 5000 + b"}")), "invalid_options", ""),
}


@pytest.mark.parametrize("form", BAD_FORMS)
def test_a_form_that_is_not_one_is_told_what_is_wrong(front: Gateway, form: str) -> None:
    parts, code, words = BAD_FORMS[form]
    response = send(front, *parts)
    assert (response.status_code, response.json()["code"]) == (400, code), response.text
    assert words in response.json()["detail"]
    assert not front.script.calls


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/json", "multipart/mixed; boundary=x", "", "a" * 5000, "\xff"]
)
def test_a_body_that_is_no_form_is_told_to_be_one(front: Gateway, kind: str) -> None:
    response = front.http.post(
        "/segment", content=IMAGE + QUERY + END, headers=[(b"Content-Type", kind.encode("latin-1"))]
    )
    assert (response.status_code, response.json()["code"]) == (400, "invalid_image")
    assert "multipart/form-data" in response.json()["detail"]


def test_a_query_in_no_known_encoding_is_read_byte_by_byte(front: Gateway) -> None:
    assert send(front, IMAGE, part("query", b"\xff\xfe")).json()["query"] == "\xff\xfe"


@pytest.mark.parametrize("charset", ["utf-7", "unicode_escape", "punycode", "undefined", "idna", "\xff"])
def test_only_one_encoding_is_read(front: Gateway, charset: str) -> None:
    kind = f"multipart/form-data; boundary={BOUNDARY}; charset={charset}".encode("latin-1")
    body = IMAGE + part("query", b"\\ud800 +2AA-") + END
    response = front.http.post("/segment", content=body, headers=[(b"Content-Type", kind)])
    assert (response.status_code, response.json()["code"]) == (400, "invalid_options")
    assert "UTF-8" in response.json()["detail"]


def test_a_form_without_a_boundary_is_refused(front: Gateway) -> None:
    response = front.http.post("/segment", content=IMAGE, headers={"Content-Type": "multipart/form-data"})
    assert (response.status_code, response.json()["code"]) == (400, "invalid_options")


def test_a_long_query_of_bytes_is_refused_whatever_its_part_says(front: Gateway) -> None:
    response = send(front, IMAGE, part("query", b"a" * 3_000_000, kind="image/png"))
    assert (response.status_code, response.json()["code"]) == (400, "invalid_query")


def test_a_chunked_body_over_the_limit_is_refused(front: Gateway) -> None:
    def chunks() -> Iterator[bytes]:
        yield f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'.encode()
        for _ in range(25):
            yield bytes(1_000_000)

    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    response = front.http.post("/segment", content=chunks(), headers=kind)
    assert (response.status_code, response.json()["code"]) == (413, "image_too_large")
    assert "content-length" not in response.request.headers


@pytest.mark.parametrize("claimed", ["10", "-1", "1e3", "\u00b2", "99999999999999999999999"])
def test_a_length_that_lies_crashes_nothing(front: Gateway, claimed: str) -> None:
    body = IMAGE + QUERY + END
    head = (
        f"POST /segment HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {claimed}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection((front.http.base_url.host, front.http.base_url.port or 80), timeout=20) as raw:
        raw.sendall(head.encode("latin-1") + body)
        raw.shutdown(socket.SHUT_WR)
        status = raw.recv(64).split(b" ")[1:2]
    assert status in ([b"400"], [b"413"], []), "refused, or the connection ends: the rest of the body never came"
    assert front.http.get("/livez").status_code == 200
    assert not front.script.calls


# What arrives where, when everything is nasty. Python's client refuses CR and LF in a header; a socket does not.
IN_HEADERS = ["Accept", "Prefer", "X-Request-Id", "X-Timeout-Ms", "Authorization", "Cookie", "Last-Event-ID", "Origin"]


@pytest.mark.parametrize("name", IN_HEADERS)
@pytest.mark.parametrize(
    "value", ["\x1b[2J\x7f\x01", "\xff\xfe", "q=,;=,;" * 2000, "%0d%0aX-Injected:%20yes", "wait=" + "9" * 5000]
)
def test_a_nasty_header_is_answered_in_order(front: Gateway, name: str, value: str) -> None:
    try:
        response = front.http.post(
            "/segment",
            data={"query": "the mug"},
            files={"image": ("a.png", png())},
            headers=[(name.encode(), value.encode("latin-1"))],
        )
    except httpx2.LocalProtocolError:
        pytest.skip("the client does not send it")
    assert response.status_code < 500, response.text
    assert "x-injected" not in response.headers
    assert response.headers["x-request-id"].isalnum()


@pytest.mark.parametrize(
    "line", ["X-Request-Id: a\rX-Injected: yes", "X-Request-Id: a\x00b", "Accept: \r\n \r\nX: y", "X\x1b: y"]
)
def test_a_header_with_control_characters_is_refused_or_harmless(front: Gateway, line: str) -> None:
    with socket.create_connection((front.http.base_url.host, front.http.base_url.port or 80), timeout=20) as raw:
        raw.sendall(f"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{line}\r\n\r\n".encode("latin-1"))
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert answer.split(b" ")[1] in (b"200", b"400")
    assert b"X-Injected" not in answer


@pytest.fixture
def logging(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, store_url: str) -> Iterator[Gateway]:
    """A gateway that writes to what `capfd` reads."""
    with gateway(Script(), monkeypatch, store_url) as running:
        yield running


def test_what_a_caller_sends_is_in_no_log(logging: Gateway, capfd: pytest.CaptureFixture[str]) -> None:
    front = logging
    secret = "the-secret-of-the-caller"
    words = json.dumps({"semantics": {"vocabulary": [secret]}})
    image = part("image", png() + secret.encode(), filename=f"{secret}.png", kind=f"image/{secret}")
    everything = (image, part("query", secret.encode()), options(words.encode()))
    headers = {"Authorization": f"Bearer {secret}", "Accept": secret, "Prefer": secret, "Cookie": secret}
    assert send(front, *everything, **headers).status_code == 200
    front.script.failing["reason"] = "nonsense"
    assert send(front, *everything[:1], part("query", secret.encode() * 2), **headers).status_code == 502
    for body in ((part(secret, b""),), (image, QUERY, part("options", secret.encode()))):
        assert send(front, *body, **headers, **{"X-Timeout-Ms": secret}).status_code == 400
    for path in (f"/{secret}", f"/dt/{secret}", f"/static/{secret}", f"/dt/{'0' * 32}?format={secret}"):
        assert front.http.get(path, headers=headers).status_code in (400, 404)
    logged = "".join(capfd.readouterr())
    assert "request.done" in logged
    assert secret not in logged


def test_a_log_line_is_one_line_of_printable_json(logging: Gateway, capfd: pytest.CaptureFixture[str]) -> None:
    front = logging
    nasty = NASTY.encode()
    send(front, part("image", png(), filename="\x1b[31m"), part("query", nasty), part("options", nasty))
    send(front, IMAGE, part("query", nasty))
    front.http.get("/dt/%00%0d%0a%1b%5b2J")
    front.http.get("/static/%2e%2e%2f%2e%2e%2fapp.py%00")
    front.http.request("GET%1B", "/livez")
    lines = [line for line in "".join(capfd.readouterr()).splitlines() if line]
    assert lines
    for line in lines:
        assert line.isprintable()
        json.loads(line)


def test_a_nasty_query_is_answered_and_shown_as_text(front: Gateway) -> None:
    response = send(front, IMAGE, part("query", NASTY.encode()))
    assert response.status_code == 200
    assert response.json()["query"] == NASTY.strip()
    place = response.headers["content-location"]
    assert place.isprintable()
    page = front.http.get(place, headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert "X-Injected" not in page.headers


NO_IDS = [
    "%00",
    "%0d%0aX-Injected:yes",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "a" * 10_000,
    "%F0%9F%92%A9",
    "'%20OR%201=1",
    "*",
    "%1b[2J",
    "A" * 32,
]


@pytest.mark.parametrize("identity", NO_IDS)
@pytest.mark.parametrize("below", ["", "/overlay.png", "/mask.png", "/objects/1/mask.png", "/events"])
def test_an_id_that_cannot_be_one_is_not_found(front: Gateway, identity: str, below: str) -> None:
    response = front.http.get(f"/dt/{identity}{below}")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert len(response.content) < 1000


@pytest.mark.parametrize("index", ["0", "-1", "9" * 5000, "1.5", "%00", "NaN"])
def test_an_object_that_cannot_be_one_is_refused(front: Gateway, index: str) -> None:
    identity = front.segment().json()["twin_id"]
    response = front.http.get(f"/dt/{identity}/objects/{index}/mask.png")
    assert response.json()["code"] in ("not_found", "invalid_options")
    assert response.status_code in (400, 404)
