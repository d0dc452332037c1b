"""What the gateway cannot start with is one line that says what to change."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.app import create
from tests.doubles.redis_server import redis_server
from tests.doubles.serving import free_port


def refusal(monkeypatch: pytest.MonkeyPatch, **settings: str) -> str:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stopped:
        create()
    line = str(stopped.value)
    assert line.startswith("gateway cannot start: ")
    assert "\n" not in line
    return line


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    line = refusal(monkeypatch, GATEWAY_MAX_RUNNING="0", GATEWAY_TTL_S="a week")
    assert "GATEWAY_MAX_RUNNING: " in line
    assert "GATEWAY_TTL_S: " in line


def test_a_file_of_keys_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    line = refusal(monkeypatch, GATEWAY_API_KEYS_FILE=str(tmp_path / "keys"))
    assert f"GATEWAY_API_KEYS_FILE: {tmp_path / 'keys'} cannot be read" in line


def test_a_store_of_no_kind_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "GATEWAY_STORE_URL names no store" in refusal(monkeypatch, GATEWAY_STORE_URL="http://:secret@redis")


def test_a_wrong_password_of_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    with redis_server(password="the right one") as server:
        for login in (":wrong@", ""):
            line = refusal(monkeypatch, GATEWAY_STORE_URL=f"redis://{login}127.0.0.1:{server.port}/0")
            assert "Redis refuses the gateway" in line
            assert "redis://:PASSWORD@HOST:PORT/0" in line
            assert "wrong@" not in line


def test_a_redis_that_takes_no_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    with redis_server("--replicaof", "127.0.0.1", "1") as replica:
        assert "Redis takes no twins (" in refusal(monkeypatch, GATEWAY_STORE_URL=replica.url)


def test_a_redis_that_is_not_there_yet_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_STORE_URL", f"redis://127.0.0.1:{free_port()}/0")
    create()


def test_a_volume_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    line = refusal(monkeypatch, GATEWAY_STORE_URL="sqlite:////proc/store/twins.sqlite")
    assert "the store's folder /proc/store cannot be used" in line
    assert "GATEWAY_STORE_URL must name a file on a volume that the gateway may write to" in line


def test_a_file_that_is_no_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "twins.sqlite").write_bytes(b"no database" * 1000)
    line = refusal(monkeypatch, GATEWAY_STORE_URL=f"sqlite:///{tmp_path / 'twins.sqlite'}")
    assert "twins.sqlite cannot be used (file is not a database)" in line


def test_a_full_volume(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=3 << 20))  # a real one needs a mount
    line = refusal(monkeypatch, GATEWAY_STORE_URL=f"sqlite:///{tmp_path / 'twins.sqlite'}")
    assert "twins.sqlite is full: 3 MB are free, 32 are needed" in line


def test_a_port_in_use_is_said_and_is_no_success(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "uvicorn", "--factory", "gateway.app:create", "--port", str(port)]
        environment = os.environ | {"GATEWAY_STORE_URL": f"sqlite:///{tmp_path / 'twins.sqlite'}"}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0
    (line,) = [line for line in ended.stderr.splitlines() if '"level": "error"' in line]
    assert f"{port}" in line
    assert "address already in use; end what listens there, or choose another port" in line
