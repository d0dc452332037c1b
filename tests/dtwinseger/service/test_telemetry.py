"""Traces cost nothing where nobody wants them, and no request where their collector is down."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dtwinseger.service.telemetry import FLUSH_S
from tests.doubles.collector import collector
from tests.doubles.services import Script
from tests.doubles.serving import free_port
from tests.gateway.conftest import gateway

ROOT = Path(__file__).parents[3]


def test_without_an_endpoint_no_sdk_is_loaded() -> None:
    code = "import sys; from dtwinseger.service.telemetry import Traces; Traces('any'); print(*sys.modules)"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=clean)
    assert not {"opentelemetry.sdk", "opentelemetry.proto", "requests"} & set(done.stdout.split())


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/twins.sqlite"


@pytest.fixture(params=["refuses", "hangs"])
def bad_collector(request: pytest.FixtureRequest) -> Iterator[str]:
    with socket.socket() as listener:
        if request.param == "hangs":  # connections are taken, and nothing is ever answered
            listener.bind(("127.0.0.1", 0))
            listener.listen(16)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        else:
            yield f"http://127.0.0.1:{free_port()}"


def test_a_collector_that_is_down_costs_no_request_and_hardly_delays_the_end(
    bad_collector: str, monkeypatch: pytest.MonkeyPatch, store_url: str
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", bad_collector)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "64")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")
    with gateway(Script(), monkeypatch, store_url) as front:
        front.segment()
        for number in range(10):
            answer = front.segment(query=f"mug {number}")
            assert answer.status_code == 200, answer.text
        ending = time.monotonic()
    assert time.monotonic() - ending < FLUSH_S + 5, "the SDK itself would wait for half a minute"


@pytest.mark.parametrize(
    "setting",
    [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
)
def test_the_standard_variables_turn_traces_off(
    setting: tuple[str, str], monkeypatch: pytest.MonkeyPatch, store_url: str
) -> None:
    with collector() as spans:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", spans.url)
        monkeypatch.setenv(*setting)
        with gateway(Script(), monkeypatch, store_url) as front:
            assert front.segment().status_code == 200
        assert not spans.spans


def test_the_environment_names_the_service_and_what_it_runs_on(monkeypatch: pytest.MonkeyPatch, store_url: str) -> None:
    with collector() as spans:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", spans.url)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "front-door")
        with gateway(Script(), monkeypatch, store_url) as front:
            front.http.get("/livez")
            front.segment()
        assert {span.service for span in spans.spans} == {"front-door"}
        assert spans.named("POST /segment")
        assert not [span for span in spans.spans if span.attributes.get("http.route") == "/livez"]
