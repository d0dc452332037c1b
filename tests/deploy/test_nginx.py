"""deploy/nginx.conf by a real nginx, in front of a real gateway."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from embedded.stack import ROOT
from gateway.app import create
from tests.doubles.serving import free_port, serving

CONFIGURATION = (ROOT / "deploy" / "nginx.conf").read_text()


def nginx() -> str:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin") or pytest.skip("needs nginx")


@contextmanager
def nginx_before(gateway: str, folder: Path) -> Iterator[str]:
    """The URL of an nginx with our configuration; its ports and paths, and a shorter wait, are of this test.

    gateway: HOST:PORT.
    """
    command = nginx()
    port = free_port()
    text = CONFIGURATION.replace("gateway:8080", gateway).replace("listen 8080", f"listen 127.0.0.1:{port}")
    text = text.replace("/tmp/", f"{folder}/").replace(  # noqa: S108
        "client_body_timeout 15s", "client_body_timeout 1s"
    )
    file = folder / "nginx.conf"
    file.write_text(f"daemon off;\n{text}")
    subprocess.run([command, "-t", "-q", "-c", file], check=True)
    process = subprocess.Popen([command, "-c", file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        ends_at = time.monotonic() + 20
        while not listens(port):
            assert process.poll() is None
            assert time.monotonic() < ends_at
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_gateway_is_asked_and_a_slow_or_large_upload_is_not_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_STORE_URL", f"sqlite:///{tmp_path / 'twins.sqlite'}")
    with serving(create()) as gateway, nginx_before(gateway.removeprefix("http://"), tmp_path) as url:
        assert httpx2.get(f"{url}/livez").json() == {"status": "ok"}
        assert httpx2.get(f"{url}/metrics").status_code == 404
        large = httpx2.post(f"{url}/segment", content=b"x" * 21_000_000)
        assert (large.status_code, large.json()["code"]) == (413, "image_too_large")
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as slow:
            slow.sendall(b"POST /segment HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
            assert b"200" not in slow.recv(1000)  # nothing came for client_body_timeout: it is closed


def test_without_a_gateway_callers_are_asked_to_come_back(tmp_path: Path) -> None:
    with nginx_before(f"127.0.0.1:{free_port()}", tmp_path) as url:
        answer = httpx2.get(f"{url}/")
    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["content-type"] == "application/problem+json"
