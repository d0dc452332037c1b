"""The base model and its adapters: who answers under which option, what is verified, and how adapters are swapped."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from dtwinseger import api
from dtwinseger.problems import Problem
from dtwinseger.prompts import REASONING
from dtwinseger.service.engine import Engine
from dtwinseger.sftdt import TunedRecord
from services.reasoner.app import create
from services.reasoner.models import Chosen, Models
from services.reasoner.settings import ReasonerSettings
from tests.doubles.openai_server import Fails, Garbage, lists, openai_server
from tests.services.reasoner.conversation import decide, problem, question, reasoner, until

ADAPTERS = {"first": "sftdt@0a1b2c3d4e5f", "second": "sftdt@99aabbccddee"}
CONFIGURED = {"REASONER_ADAPTERS": json.dumps(ADAPTERS)}
BASE = "scripted"


def asked(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], **options: Any
) -> tuple[httpx2.Response, list[Any]]:
    with openai_server(decide({2})) as engine, reasoner(monkeypatch, engine.url, **settings) as client:
        return client.post("/v1/reason", json=question(**options)), engine.requests


def chosen(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], options: dict[str, Any]) -> Chosen:
    for name, value in ({"REASONER_ENGINE_MODEL": BASE} | settings).items():
        monkeypatch.setenv(name, value)
    given = ReasonerSettings()
    return Models(Engine(given.engine, "llm"), given).chosen(api.ReasoningOptions(**options))


@pytest.mark.parametrize(
    ("settings", "options", "mode", "model"),
    [
        ({}, {}, "zero_shot", BASE),
        ({}, {"mode": "zero_shot"}, "zero_shot", BASE),
        (CONFIGURED, {}, "sftdt", ADAPTERS["first"]),
        (CONFIGURED, {"mode": "sftdt"}, "sftdt", ADAPTERS["first"]),
        (CONFIGURED, {"mode": "zero_shot"}, "zero_shot", BASE),
        (CONFIGURED, {"adapter": "second"}, "sftdt", ADAPTERS["second"]),
        (CONFIGURED, {"adapter": "first", "mode": "sftdt"}, "sftdt", ADAPTERS["first"]),
        (CONFIGURED | {"REASONER_ADAPTER": "second"}, {}, "sftdt", ADAPTERS["second"]),
        ({"REASONER_TUNED": "true"}, {}, "sftdt", BASE),
        ({"REASONER_TUNED": "true"}, {"mode": "sftdt"}, "sftdt", BASE),
        (CONFIGURED | {"REASONER_TUNED": "true"}, {"adapter": "second"}, "sftdt", ADAPTERS["second"]),
    ],
)
def test_mode_and_adapter_decide_who_is_asked(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], options: dict[str, Any], mode: str, model: str
) -> None:
    assert chosen(monkeypatch, settings, options) == Chosen(mode, model, model)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "mode", "model"),
    [
        ({}, "sftdt", ADAPTERS["first"]),
        ({"adapter": "second"}, "sftdt", ADAPTERS["second"]),
        ({"mode": "zero_shot"}, "zero_shot", BASE),
    ],
)
def test_the_engine_is_asked_for_that_model_and_the_answer_names_it(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], mode: str, model: str
) -> None:
    response, (request,) = asked(monkeypatch, CONFIGURED, **options)
    assert response.status_code == 200, response.text
    assert (response.json()["mode"], response.json()["model"]) == (mode, model)
    assert request["model"] == model
    assert request["messages"][0]["content"] == REASONING  # the same words for every model: a trainer teaches these


@pytest.mark.parametrize(
    ("settings", "options", "words"),
    [
        ({}, {"mode": "sftdt"}, "mode sftdt needs an adapter, and scripted is no tuned model: set REASONER_ADAPTERS"),
        ({}, {"adapter": "first"}, "adapter 'first' is not configured; there are none"),
        (CONFIGURED, {"adapter": "third"}, "adapter 'third' is not configured; there are first, second"),
        (CONFIGURED, {"adapter": ADAPTERS["first"]}, "is not configured; there are first, second"),
        (CONFIGURED, {"adapter": "first", "mode": "zero_shot"}, "leave out one of the two"),
        ({"REASONER_TUNED": "true"}, {"mode": "zero_shot"}, "scripted is a tuned model, and its base is not here"),
    ],
)
def test_a_mode_or_an_adapter_that_is_not_served_is_refused(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(Problem) as refused:
        chosen(monkeypatch, settings, options)
    assert refused.value.code == "invalid_options"
    assert words in refused.value.detail


@pytest.mark.parametrize("adapter", ["third", "", "x" * 101, 7])
def test_such_a_request_is_refused_before_the_model_is_asked(monkeypatch: pytest.MonkeyPatch, adapter: Any) -> None:
    response, requests = asked(monkeypatch, CONFIGURED, adapter=adapter)
    assert problem(response) == (400, "invalid_options")
    assert "adapter" in response.json()["detail"]
    assert requests == []


def test_an_adapter_that_the_engine_lost_is_a_problem_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with openai_server(Fails(404)) as engine, reasoner(monkeypatch, engine.url, **CONFIGURED) as client:
        response = client.post("/v1/reason", json=question(adapter="second"))
    assert problem(response) == (502, "upstream_unavailable")
    assert ADAPTERS["second"] in response.json()["detail"]


def test_several_adapters_answer_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["first", "second", None] * 5
    with (
        openai_server(decide({2})) as engine,
        reasoner(monkeypatch, engine.url, **CONFIGURED) as client,
        ThreadPoolExecutor(5) as threads,
    ):
        told = threads.map(lambda name: client.post("/v1/reason", json=question(adapter=name)).json()["model"], names)
        assert [*told] == [ADAPTERS[name or "first"] for name in names]
    assert sorted(request["model"] for request in engine.requests) == sorted(
        ADAPTERS[name or "first"] for name in names
    )


def test_info_tells_base_adapters_and_what_auto_means(monkeypatch: pytest.MonkeyPatch) -> None:
    def info(**settings: str) -> dict[str, Any]:
        with monkeypatch.context() as patch, reasoner(patch, "http://127.0.0.1:9/v1", **settings) as client:
            told: dict[str, Any] = client.get("/v1/info").json()
            return told

    plain, tuned = info(), info(**CONFIGURED)
    assert plain["models"] == tuned["models"] == {"llm": BASE}
    told = [
        (one["settings"]["auto"], one["settings"]["adapters"], one["settings"]["adapter"]) for one in (plain, tuned)
    ]
    assert told == [("zero_shot", {}, None), ("sftdt", ADAPTERS, "first")]
    again = info(REASONER_ADAPTERS=json.dumps(ADAPTERS | {"first": "sftdt@000000000000"}))
    other_default = info(**CONFIGURED, REASONER_ADAPTER="second")
    assert len({json.dumps(one) for one in (plain, tuned, again, other_default)}) == 4  # keys of answers differ


@pytest.mark.parametrize(
    ("listed", "status", "adapter", "words"),
    [
        ([BASE, *ADAPTERS.values()], 200, "first", "ok"),
        ([*ADAPTERS.values()], 503, "engine", "the engine does not list scripted; it lists sftdt@0a1b2c3d4e5f, "),
        ([BASE, ADAPTERS["second"]], 503, "adapter first", "the engine does not list sftdt@0a1b2c3d4e5f; it lists "),
        ([BASE, ADAPTERS["first"]], 200, "adapter second", "degraded: the engine does not list sftdt@99aabbccddee"),
        ([], 503, "adapter first", "the engine does not list sftdt@0a1b2c3d4e5f; it lists nothing"),
    ],
    ids=["all", "no base", "no default adapter", "no other adapter", "nothing"],
)
def test_readiness_verifies_that_base_and_adapters_are_served(
    monkeypatch: pytest.MonkeyPatch, listed: list[str], status: int, adapter: str, words: str
) -> None:
    with (
        openai_server(Fails(500), models=Fails(503)) as engine,  # it is loading
        reasoner(monkeypatch, engine.url, **CONFIGURED) as client,
    ):
        assert client.get("/readyz").status_code == 503
        engine.models = lists(*listed)
        response = client.get("/readyz")
    assert response.status_code == status
    needs = response.json()["needs"]
    assert words == "ok" or needs[adapter].startswith(words)
    assert words != "ok" or set(needs.values()) == {"ok"}


@pytest.mark.parametrize(
    ("listed", "missing", "told"),
    [
        ([BASE], [*ADAPTERS.values()], BASE),
        ([ADAPTERS["second"], BASE], [ADAPTERS["first"]], f"{BASE}, {ADAPTERS['second']}"),
    ],
)
def test_it_does_not_start_with_an_engine_that_lists_no_such_adapter(
    monkeypatch: pytest.MonkeyPatch, listed: list[str], missing: list[str], told: str
) -> None:
    async def start() -> None:  # in a loop, as uvicorn does
        create()

    with openai_server(Fails(500), models=lists(*listed)) as engine:
        for name, value in (CONFIGURED | {"REASONER_ENGINE_URL": engine.url}).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as stopped:
            asyncio.run(start())
    modules = " ".join(f"{name}=FOLDER" for name in missing)
    assert str(stopped.value) == (
        f"reasoner cannot start: REASONER_ADAPTERS: the engine does not list {', '.join(missing)}; it lists {told}; "
        f"start vLLM with --lora-modules {modules}, or name adapters that it lists"
    )


def test_an_engine_that_comes_back_without_its_adapters_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        openai_server(decide({2}), models=lists(BASE, *ADAPTERS.values())) as engine,
        reasoner(monkeypatch, engine.url, **CONFIGURED) as client,
    ):
        assert client.get("/readyz").status_code == 200
        engine.models = lists(BASE)
        lost = client.get("/readyz")
        assert (lost.status_code, client.get("/livez").status_code) == (503, 200)
        assert lost.json()["needs"]["adapter first"].startswith("the engine does not list sftdt@0a1b2c3d4e5f")
        engine.models = lists(BASE, *ADAPTERS.values())
        assert client.get("/readyz").status_code == 200


def test_an_engine_that_is_away_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        openai_server(Fails(500), models=Fails(503)) as engine,
        reasoner(monkeypatch, engine.url, **CONFIGURED) as client,
    ):
        assert client.get("/readyz").json()["needs"] == {"engine": "the engine answers 503"}


def test_adapters_are_swapped_by_their_file_once_the_engine_lists_the_new_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("services.reasoner.models.POLL_S", 0.02)
    file = tmp_path / "adapters.json"
    file.write_text('{"sftdt":"sftdt@1"}')
    settings = {"REASONER_ADAPTERS": str(file), "REASONER_ADAPTER": "sftdt"}
    with (
        openai_server(decide({2}), models=lists(BASE, "sftdt@1")) as engine,
        reasoner(monkeypatch, engine.url, **settings) as client,
    ):

        def model() -> str:
            return str(client.post("/v1/reason", json=question()).json()["model"])

        def trouble() -> str:
            return str(client.get("/readyz").json()["needs"].get("adapters"))

        assert (model(), trouble()) == ("sftdt@1", "None")
        before = client.get("/v1/info").json()

        file.write_text('{"sftdt":"sftdt@2"}')
        until(lambda: "new adapters wait for the engine: the engine does not list sftdt@2" in trouble())
        assert client.get("/readyz").status_code == 200
        assert (model(), client.get("/v1/info").json()) == ("sftdt@1", before)

        engine.models = lists(BASE, "sftdt@1", "sftdt@2")
        until(lambda: model() == "sftdt@2")
        assert trouble() == "None"
        assert client.get("/v1/info").json() != before

        for wrong, words in (
            ("{", "is no JSON object of names and names"),
            ('{"other":"sftdt@1"}', "REASONER_ADAPTER is 'sftdt', which is not among the adapters (other)"),
            ('{"sftdt":""}', "is no JSON object of names and names"),
        ):
            file.write_text(wrong)
            until(lambda words=words: words in trouble())  # type: ignore[misc]
            assert model() == "sftdt@2"
        file.unlink()
        until(lambda: "cannot be read" in trouble())
        assert model() == "sftdt@2"

        engine.models = Garbage("<html>", "text/html")
        file.write_text('{"sftdt":"sftdt@3"}')
        until(lambda: "lists its models as text/html" in client.get("/readyz").text)
        assert model() == "sftdt@2"
        engine.models = lists(BASE, "sftdt@3")
        until(lambda: model() == "sftdt@3")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"REASONER_ADAPTERS": "{first: 1}"}, "REASONER_ADAPTERS is no JSON object"),
        ({"REASONER_ADAPTERS": '{"first": 7}'}, "first: Input should be a valid string"),
        ({"REASONER_ADAPTERS": "nowhere/adapters.json"}, "nowhere/adapters.json cannot be read"),
        (CONFIGURED | {"REASONER_ADAPTER": "third"}, "REASONER_ADAPTER is 'third', which is not among the adapters"),
        ({"REASONER_ADAPTER": "first"}, "REASONER_ADAPTER is 'first', which is not among the adapters ()"),
    ],
)
def test_it_does_not_start_with_adapters_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], words: str
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stopped:
        create()
    assert words in str(stopped.value)


def test_a_folder_that_says_it_is_tuned_is_asked_as_such(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = {"REASONER_ENGINE_MODEL": str(tmp_path)}
    assert chosen(monkeypatch, settings, {}).mode == "zero_shot"
    TunedRecord(base="llama", base_weights=None, adapter="sftdt@1").write(tmp_path)
    assert chosen(monkeypatch, settings, {}).mode == "sftdt"
    with pytest.raises(Problem, match="is a tuned model"):
        chosen(monkeypatch, settings, {"mode": "zero_shot"})
    (tmp_path / "sftdt.json").write_text("{}")
    with pytest.raises(SystemExit, match=r"sftdt\.json is no record of a tuned model"):
        create()
    (tmp_path / "sftdt.json").unlink()
    assert chosen(monkeypatch, settings | {"REASONER_TUNED": "true"}, {}).mode == "sftdt"
