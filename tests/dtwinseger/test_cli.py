"""The command line without a stack: mistakes are told in one line, and the doctor says what to do."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from embedded import example
from embedded.ports import free_ports


def _dtwinseger(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("dtwinseger"), *arguments],
        env=os.environ | {"COLUMNS": "200"} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def nowhere() -> dict[str, str]:
    """Where no gateway and no service listens."""
    url = {name: f"http://127.0.0.1:{port}" for name, port in free_ports().items()}
    services = {f"GATEWAY_{name.upper()}_URL": url[name] for name in ("perception", "semantics", "reasoner")}
    return {"DTWINSEGER_URL": url["gateway"]} | services


@pytest.fixture
def lone_gateway(nowhere: dict[str, str], tmp_path: Path) -> Iterator[dict[str, str]]:
    """A gateway whose services are all down."""
    port = nowhere["DTWINSEGER_URL"].rpartition(":")[2]
    uvicorn = Path(sys.executable).with_name("uvicorn")
    store = {"GATEWAY_STORE_URL": f"sqlite:///{tmp_path / 'twins.sqlite'}"}
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(
            [uvicorn, "--factory", "gateway.app:create", "--port", port],
            env=os.environ | nowhere | store,
            stdout=log,
            stderr=log,
        ) as gateway,
        httpx2.Client(base_url=nowhere["DTWINSEGER_URL"], transport=httpx2.HTTPTransport(retries=50)) as http,
    ):
        try:
            http.get("/livez")  # retries, ever more slowly, while nothing listens
            yield nowhere
        finally:
            gateway.terminate()


def test_a_gateway_that_is_not_there_is_told_in_one_line(nowhere: dict[str, str]) -> None:
    done = _dtwinseger("segment", example.IMAGE, "the mug", **nowhere)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error upstream_unavailable: no gateway answers at {nowhere['DTWINSEGER_URL']}; "
        "is it running, and is this its URL?\n"
    )


@pytest.mark.parametrize("options", ["{", "[1]", "part"])
def test_options_that_are_no_json_object_are_refused(nowhere: dict[str, str], options: str) -> None:
    done = _dtwinseger("segment", example.IMAGE, "the mug", "--options", options, **nowhere)
    assert done.returncode == 1
    assert done.stderr.startswith("error invalid_options: --options ")
    assert len(done.stderr.splitlines()) == 1


def test_an_image_that_is_not_there_is_told_by_its_name(nowhere: dict[str, str]) -> None:
    done = _dtwinseger("segment", "no-such.png", "the mug", **nowhere)
    assert (done.returncode, done.stderr) == (
        1,
        "error invalid_image: no-such.png cannot be read: No such file or directory\n",
    )


def test_a_missing_argument_is_a_mistake_of_usage() -> None:
    done = _dtwinseger("segment", example.IMAGE)
    assert done.returncode == 2
    assert "Missing argument" in done.stderr


def test_doctor_says_how_to_start_what_is_not_there(nowhere: dict[str, str]) -> None:
    done = _dtwinseger("doctor", **nowhere)
    assert done.returncode == 1
    assert done.stdout.count("✗") == 4
    assert "make run" in done.stdout
    for variable, url in nowhere.items():
        assert url in done.stdout
        assert variable in done.stdout or variable == "DTWINSEGER_URL"


def test_doctor_finds_the_gateway_and_its_store_well_and_the_services_down(lone_gateway: dict[str, str]) -> None:
    done = _dtwinseger("doctor", **lone_gateway)
    assert done.returncode == 1
    lines = {line.split("│")[2].strip(): line for line in done.stdout.splitlines() if line.count("│") == 4}
    assert "✓" in lines["gateway"]
    assert "✓" in lines["store"]
    assert all("✗" in lines[service] for service in ("perception", "semantics", "reasoner"))
