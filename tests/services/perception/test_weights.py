"""Checkpoints arrive whole or not at all, from a server that may truncate, corrupt, refuse or stall."""

import hashlib
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import get_args

import pytest

from embedded.stack import ROOT
from services.perception.settings import Architecture
from services.perception.weights import RELEASES, Release, WeightsError, fetch
from tests.doubles.serving import free_port

CONTENT = random.Random(0).randbytes(300_000)
RELEASE = Release("small.pth", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


class Mirror(ThreadingHTTPServer):
    """Serves `content` under every path, as far as its faults let it."""

    daemon_threads = False  # so that closing it waits for its threads

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.content = CONTENT
        self.asked: list[tuple[str, str | None]] = []  # path and Range of each request
        self.authorization: str | None = None  # of the last request
        self.status: int | None = None  # answer this and no more
        self.location: str | None = None  # redirect the first request to this path
        self.stops_after: int | None = None  # bytes of the body, of more that were promised
        self.stalls = False  # when it has stopped, it keeps the connection
        self.tells_length = True
        self.range: str | None = "honoured"  # or "ignored", "refused", "shifted"
        self.go_on = threading.Event()  # ends a stall


class Answer(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        mirror = self.server
        asked = self.headers["Range"]
        mirror.authorization = self.headers["Authorization"]
        mirror.asked.append((self.path, asked))
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and mirror.range != "ignored" else 0
        if mirror.status:
            self.send_error(mirror.status)
            return
        if mirror.location and self.path != mirror.location:
            self.send_response(302)
            self.send_header("Location", mirror.location)
            self.end_headers()
            return
        if start and mirror.range == "refused":
            self.send_error(416)
            return
        if start and mirror.range == "shifted":
            start += 1
        body = mirror.content[start:]
        self.send_response(206 if start else 200)
        if start:
            last = len(mirror.content) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{len(mirror.content)}")
        if mirror.tells_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(ConnectionError):  # the client may leave
            self.wfile.write(body[: mirror.stops_after])
            if mirror.stalls:
                mirror.go_on.wait(30)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with Mirror() as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        yield server
        server.go_on.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "small.pth"


def _part(target: Path, content: bytes | None = None) -> Path:
    """The partial download of `target`, with `content` where some is given."""
    part = target.with_name("small.pth.part")
    if content is not None:
        part.parent.mkdir()
        part.write_bytes(content)
    return part


def test_a_checkpoint_arrives_under_its_official_name(mirror: Mirror, target: Path) -> None:
    assert fetch(RELEASE, f"{mirror.url}/sam/", target.parent)
    assert target.read_bytes() == CONTENT
    assert os.listdir(target.parent) == ["small.pth"]
    assert mirror.asked == [("/sam/small.pth", None)]


def test_a_redirect_is_followed(mirror: Mirror, target: Path) -> None:
    mirror.location = "/elsewhere"
    assert fetch(RELEASE, mirror.url, target.parent)
    assert target.read_bytes() == CONTENT


def test_what_is_under_way_is_reported_up_to_the_last_byte(mirror: Mirror, target: Path) -> None:
    _part(target, CONTENT[:1000])
    reports: list[tuple[str, int]] = []
    fetch(RELEASE, mirror.url, target.parent, lambda stage, done: reports.append((stage, done)))
    assert reports[:2] == [("checking", 1000), ("downloading", 1000)]
    assert reports[-1] == ("downloading", 300_000)
    assert [done for _, done in reports] == sorted(done for _, done in reports)


def test_a_truncated_download_resumes(mirror: Mirror, target: Path) -> None:
    mirror.stops_after = 100_000
    with pytest.raises(WeightsError, match=r"; 100,000 of 300,000 bytes are kept, run this again to go on$"):
        fetch(RELEASE, mirror.url, target.parent)
    assert not target.exists()
    mirror.stops_after = None
    assert fetch(RELEASE, mirror.url, target.parent)
    assert target.read_bytes() == CONTENT
    assert mirror.asked[1:] == [("/small.pth", "bytes=100000-")]


def test_a_body_of_untold_length_that_ends_early_is_noticed(mirror: Mirror, target: Path) -> None:
    mirror.tells_length, mirror.stops_after = False, 100_000
    with pytest.raises(WeightsError, match="ended early; 100,000 of 300,000 bytes are kept"):
        fetch(RELEASE, mirror.url, target.parent)
    mirror.stops_after = None
    assert fetch(RELEASE, mirror.url, target.parent)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("range_is", "requests"),
    [("ignored", ["bytes=7-"]), ("refused", ["bytes=7-", None]), ("shifted", ["bytes=7-", None])],
)
def test_a_server_that_cannot_resume_starts_over(
    mirror: Mirror, target: Path, range_is: str, requests: list[str | None]
) -> None:
    _part(target, b"what?!?")
    mirror.range = range_is
    assert fetch(RELEASE, mirror.url, target.parent)
    assert target.read_bytes() == CONTENT
    assert [asked for _, asked in mirror.asked] == requests


def test_a_partial_file_longer_than_the_checkpoint_starts_over(mirror: Mirror, target: Path) -> None:
    _part(target, CONTENT + b"more")
    assert fetch(RELEASE, mirror.url, target.parent)
    assert target.read_bytes() == CONTENT
    assert mirror.asked == [("/small.pth", None)]


def test_a_partial_file_that_is_whole_needs_no_server(mirror: Mirror, target: Path) -> None:
    _part(target, CONTENT)
    assert fetch(RELEASE, mirror.url, target.parent)
    assert target.read_bytes() == CONTENT
    assert not mirror.asked


def test_a_corrupt_download_is_removed_and_told_with_both_hashes(mirror: Mirror, target: Path) -> None:
    mirror.content = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    with pytest.raises(WeightsError) as error:
        fetch(RELEASE, mirror.url, target.parent)
    found = hashlib.sha256(mirror.content).hexdigest()
    assert str(error.value) == (
        f"what came from {mirror.url}/small.pth is corrupt and was removed: "
        f"its SHA-256 is {found}, not {RELEASE.sha256}"
    )
    assert os.listdir(target.parent) == []


def test_a_partial_file_that_was_damaged_is_removed_in_the_end(mirror: Mirror, target: Path) -> None:
    _part(target, bytes(1000))
    with pytest.raises(WeightsError, match="is corrupt and was removed"):
        fetch(RELEASE, mirror.url, target.parent)
    assert fetch(RELEASE, mirror.url, target.parent)
    assert target.read_bytes() == CONTENT


def test_an_endless_body_is_left_at_the_checkpoints_size(mirror: Mirror, target: Path) -> None:
    mirror.content, mirror.tells_length = CONTENT + bytes(50_000_000), False
    reports: list[int] = []
    with pytest.raises(WeightsError, match="is corrupt and was removed"):
        fetch(RELEASE, mirror.url, target.parent, lambda stage, done: reports.append(done))
    assert max(reports) < 1_000_000


def test_a_page_in_place_of_the_checkpoint_costs_no_partial_file(mirror: Mirror, target: Path) -> None:
    part = _part(target, CONTENT[:1000])
    mirror.content, mirror.range = b"<html>please log in</html>", "ignored"
    with pytest.raises(WeightsError, match="is another file: it has 26 bytes, not 300,000; 1,000 of 300,000 bytes are"):
        fetch(RELEASE, mirror.url, target.parent)
    assert part.read_bytes() == CONTENT[:1000]


def test_a_checkpoint_that_is_there_is_left_alone(mirror: Mirror, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(CONTENT)
    before = target.stat().st_ino, target.stat().st_mtime_ns
    assert not fetch(RELEASE, mirror.url, target.parent)
    assert (target.stat().st_ino, target.stat().st_mtime_ns) == before
    assert not mirror.asked


def test_another_file_of_that_name_is_told_and_not_overwritten(mirror: Mirror, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"mine")
    found = hashlib.sha256(b"mine").hexdigest()
    with pytest.raises(WeightsError, match=f"its SHA-256 is {found}, not {RELEASE.sha256}; move it away first"):
        fetch(RELEASE, mirror.url, target.parent)
    assert target.read_bytes() == b"mine"
    assert not mirror.asked


@pytest.mark.parametrize(
    ("status", "words"),
    [(403, "403 Forbidden"), (404, "404 Not Found"), (500, "500 Internal Server Error"), (503, "503 Service Un")],
)
def test_a_refusal_is_told_and_keeps_the_partial_file(mirror: Mirror, target: Path, status: int, words: str) -> None:
    part = _part(target, CONTENT[:1000])
    mirror.status = status
    with pytest.raises(
        WeightsError, match=rf"^{mirror.url}/small.pth answers {words}.*; 1,000 of 300,000 bytes are kept"
    ):
        fetch(RELEASE, mirror.url, target.parent)
    assert part.read_bytes() == CONTENT[:1000]


def test_a_refusal_at_the_start_leaves_nothing_behind(mirror: Mirror, target: Path) -> None:
    mirror.status = 404
    with pytest.raises(WeightsError, match=r"answers 404 Not Found$"):
        fetch(RELEASE, mirror.url, target.parent)
    assert os.listdir(target.parent) == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:{port}", "Connection refused"),
        ("nowhere", "missing an 'http://' or 'https://' protocol"),
        ("http://nowhere:port", "Invalid port"),
    ],
)
def test_no_server_at_all_is_told(target: Path, url: str, words: str) -> None:
    with pytest.raises(WeightsError, match="cannot be read: ") as error:
        fetch(RELEASE, url.format(port=free_port()), target.parent)
    assert words in str(error.value)
    assert os.listdir(target.parent) == []


def test_the_password_of_a_mirror_is_sent_and_not_told(mirror: Mirror, target: Path) -> None:
    mirror.status = 404
    with pytest.raises(WeightsError, match=rf"^{mirror.url}/small.pth answers 404 Not Found$"):
        fetch(RELEASE, mirror.url.replace("//", "//me:secret@"), target.parent)
    assert mirror.authorization == "Basic bWU6c2VjcmV0"


def test_a_server_that_stalls_is_given_up_and_what_came_is_kept(mirror: Mirror, target: Path) -> None:
    mirror.stalls, mirror.stops_after = True, 100_000
    with pytest.raises(WeightsError, match=r"sent nothing for 0\.2 s; 100,000 of 300,000 bytes are kept"):
        fetch(RELEASE, mirror.url, target.parent, stall_s=0.2)


def test_a_disk_without_room_is_told_before_the_server_is_asked(mirror: Mirror, target: Path) -> None:
    with pytest.raises(WeightsError, match=r"models has room for .* bytes, and 1,000,000,000,000,000,000 are still to"):
        fetch(Release("small.pth", 10**18, RELEASE.sha256), mirror.url, target.parent)
    assert not mirror.asked


def test_a_disk_that_takes_no_more_is_told_and_what_it_took_is_kept(mirror: Mirror, target: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(WeightsError, match="models: File too large; 200,000 of 300,000 bytes are kept"):
            fetch(RELEASE, mirror.url, target.parent)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert fetch(RELEASE, mirror.url, target.parent)
    assert target.read_bytes() == CONTENT
    assert mirror.asked[1:] == [("/small.pth", "bytes=200000-")]


def test_a_folder_that_is_a_file_is_told(mirror: Mirror, target: Path) -> None:
    target.parent.write_text("")
    with pytest.raises(WeightsError, match="models: "):
        fetch(RELEASE, mirror.url, target.parent)


def test_a_second_download_of_the_same_checkpoint_is_refused(mirror: Mirror, target: Path) -> None:
    mirror.stalls, mirror.stops_after = True, 100_000
    second: list[str] = []

    def meanwhile(stage: str, done: int) -> None:
        if done == 100_000:
            with pytest.raises(WeightsError) as error:
                fetch(RELEASE, mirror.url, target.parent)
            second.append(str(error.value))

    with pytest.raises(WeightsError, match="100,000 of 300,000 bytes are kept"):
        fetch(RELEASE, mirror.url, target.parent, meanwhile, stall_s=0.2)
    assert second == [f"another download is writing {_part(target)}"]


def test_every_architecture_has_its_release() -> None:
    assert set(RELEASES) == set(get_args(Architecture))
    assert all(release.file.startswith(f"sam_{name}_") for name, release in RELEASES.items())


def _command(*arguments: str | Path, release: Release | None = None) -> "subprocess.Popen[str]":
    """`python -m services.perception.weights`, with `release` in place of the official vit_b."""
    module = ["-m", "services.perception.weights"]
    if release is not None:
        swap = f"weights.RELEASES['vit_b'] = weights.{release!r}"
        module = ["-c", f"import typer; from services.perception import weights; {swap}; typer.run(weights.main)"]
    return subprocess.Popen(
        [sys.executable, *module, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_the_command_ends_with_what_to_set(mirror: Mirror, target: Path) -> None:
    for state in ("downloaded", "was there already"):
        done = _command("vit_b", "--base-url", mirror.url, "--folder", target.parent, release=RELEASE)
        output, errors = done.communicate(timeout=60)
        assert (done.returncode, errors) == (0, "")
        assert output.splitlines() == [
            f"{target} {state}, its SHA-256 is right; to serve it, set",
            f"PERCEPTION_CHECKPOINT={target} PERCEPTION_ARCHITECTURE=vit_b",
        ]


def test_the_command_tells_an_error_in_one_line(mirror: Mirror, target: Path) -> None:
    mirror.status = 403
    done = _command("vit_h", "--base-url", mirror.url, "--folder", target.parent)
    assert done.communicate(timeout=60) == ("", f"error {mirror.url}/sam_vit_h_4b8939.pth answers 403 Forbidden\n")
    assert done.returncode == 1


def test_ctrl_c_keeps_what_has_come(mirror: Mirror, target: Path) -> None:
    mirror.stalls, mirror.stops_after = True, 100_000
    done = _command("vit_b", "--base-url", mirror.url, "--folder", target.parent, release=RELEASE)
    part = _part(target)
    ends_at = time.monotonic() + 30
    while not part.exists() or not part.stat().st_size:
        assert time.monotonic() < ends_at
        time.sleep(0.02)
    done.send_signal(signal.SIGINT)
    output, errors = done.communicate(timeout=30)
    assert (done.returncode, output) == (130, "")
    assert errors == "stopped; what has come is kept, run this again to go on\n"
    assert part.read_bytes()
    assert CONTENT.startswith(part.read_bytes())


def _make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`make`, without bringing the virtual environment up to date first."""
    return subprocess.run(
        ["make", "-o", "setup", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("given", [[], ["MODEL="], ["MODEL=vit_x"]])
def test_make_weights_says_which_models_there_are(given: list[str]) -> None:
    done = _make("weights", *given)
    assert done.returncode == 2
    assert "make weights needs MODEL=vit_h, MODEL=vit_l or MODEL=vit_b" in done.stderr


def test_make_weights_downloads_the_model_that_it_is_given(mirror: Mirror) -> None:
    mirror.status = 403
    done = _make("weights", "MODEL=vit_l", SAM_WEIGHTS_URL=mirror.url)
    assert done.returncode == 2
    assert f"error {mirror.url}/sam_vit_l_0b3195.pth answers 403 Forbidden\n" in done.stderr
