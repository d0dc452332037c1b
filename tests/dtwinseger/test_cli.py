"""The command line without a stack: mistakes are told in one line, and the doctor says what to do."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from dtwinseger import doctor
from dtwinseger.credentials import owner, parse
from dtwinseger.doctor import Finding
from embedded import example
from embedded.ports import free_ports
from services.reasoner.app import create as create_reasoner
from services.semantics.app import create as create_semantics
from tests.doubles.openai_server import Fails, Garbage, Hangs, Reply, Says, as_asked, lists, openai_server
from tests.doubles.serving import free_port, serving


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


def test_a_key_is_printed_once_with_the_entry_that_knows_it() -> None:
    done = _dtwinseger("key", "acme")
    key, entry = (line.partition("=")[2] for line in done.stdout.splitlines())
    assert owner(key, parse(entry)) == "acme"
    assert _dtwinseger("key", "acme").stdout != done.stdout
    refused = _dtwinseger("key", "Acme Inc.")
    assert (refused.returncode, refused.stdout) == (2, "")


def test_doctor_says_how_to_start_what_is_not_there(
    nowhere: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # no `make run` has ended here
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


def _engine_findings(
    monkeypatch: pytest.MonkeyPatch, engine: Reply, *, service: str = "semantics", tells_url: bool = True, **own: str
) -> dict[str, Finding]:
    """What the doctor says of the engine behind a service; `own` are its settings."""
    create = create_semantics if service == "semantics" else create_reasoner
    prefix = f"{service.upper()}_ENGINE_"
    with openai_server(engine) as server:
        settings = {f"{prefix}{name.upper()}": value for name, value in ({"url": server.url} | own).items()}
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        if not tells_url:
            settings.pop(f"{prefix}URL")
        with serving(create()) as url:
            gateway = f"http://127.0.0.1:{free_port()}"
            found = doctor.examine(gateway, {f"GATEWAY_{service.upper()}_URL": url} | settings)
    return {finding.name.removeprefix(f"{service}: "): finding for finding in found}


def test_doctor_says_what_an_engine_can_do(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _engine_findings(monkeypatch, Says(as_asked, gives_logprobs=True), structured_output="true")
    for ability in ("takes images", "holds to a JSON schema", "gives log-probabilities"):
        assert (found[ability].ok, found[ability].words) == (True, "yes")


def test_doctor_says_which_setting_would_use_what_an_engine_can_do(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _engine_findings(monkeypatch, Says(as_asked))["holds to a JSON schema"]
    assert (found.ok, found.words) == (True, "yes; set SEMANTICS_ENGINE_STRUCTURED_OUTPUT=true")


def test_doctor_minds_a_setting_that_the_engine_does_not_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _engine_findings(monkeypatch, Says("Hello."), structured_output="true")["holds to a JSON schema"]
    assert not found.ok
    assert found.words == "no: it answered 'Hello.'; set SEMANTICS_ENGINE_STRUCTURED_OUTPUT=false"


def test_doctor_does_not_mind_what_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _engine_findings(monkeypatch, Says("Hello."), service="reasoner")
    assert "takes images" not in found
    for ability in ("holds to a JSON schema", "gives log-probabilities"):
        assert found[ability].ok
        assert found[ability].words.startswith("no: ")


@pytest.mark.parametrize(
    ("reply", "words", "setting"),
    [(Fails(401), "refuses the API key", "API_KEY"), (Fails(404), "the model", "MODEL"), (Garbage(), "html", "URL")],
)
def test_doctor_says_which_setting_of_an_engine_is_wrong(
    monkeypatch: pytest.MonkeyPatch, reply: Reply, words: str, setting: str
) -> None:
    found = _engine_findings(monkeypatch, reply)["engine's abilities"]
    assert not found.ok
    assert words in found.words
    assert found.words.endswith(f"look at SEMANTICS_ENGINE_{setting}")


def test_doctor_does_not_mind_an_engine_that_only_its_service_reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ENGINE_URL", f"http://127.0.0.1:{free_port()}/v1")
    found = _engine_findings(monkeypatch, Hangs(), tells_url=False)
    assert found["engine"].ok
    assert found["engine's abilities"].ok
    assert "set SEMANTICS_ENGINE_URL" in found["engine's abilities"].words


def test_doctor_says_which_model_or_adapter_the_engine_does_not_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REASONER_ADAPTERS", '{"first": "sftdt@1", "second": "sftdt@2"}')
    with openai_server(Says("Hello."), models=Fails(503)) as server:  # it is loading
        settings = {"REASONER_ENGINE_URL": server.url, "REASONER_ENGINE_MODEL": "llama"}
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        with serving(create_reasoner()) as url:
            server.models = lists("llama-fp8", "sftdt@2")
            found = doctor.examine(f"http://127.0.0.1:{free_port()}", {"GATEWAY_REASONER_URL": url} | settings)
    said = {finding.name: (finding.ok, finding.words) for finding in found}
    assert said["reasoner: engine"] == (False, "the engine does not list llama; it lists llama-fp8, sftdt@2")
    assert said["reasoner: adapter first"] == (
        False,
        "the engine does not list sftdt@1; it lists llama-fp8, sftdt@2",
    )
    assert said["reasoner: adapter second"] == (True, "ok")
