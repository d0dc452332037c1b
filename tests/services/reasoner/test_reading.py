"""What of a twin the model reads: as JSON or as rows, whole or within a budget, and what is said of the rest."""

import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tokenizers import Tokenizer

from dtwinseger import api
from dtwinseger.prompts import REASONING, REASONING_ROWS, digest
from dtwinseger.twin import TwinRow, render_twin, violations
from dtwinseger.twin.budget import estimated_tokens
from dtwinseger.twin.text import render_rows
from tests.doubles.openai_server import Says, openai_server
from tests.services.reasoner.conversation import ROWS, decide, decided, problem, question, questions, reasoner

BUNDLED = "models/dtwin-mini-llm"
TWIN = [
    TwinRow(
        index=index,
        semantic=f"a mug number {index}",
        bbox=(index, 0, index + 10, 10),
        area_percent=20.0 - index,
        spatial=f"at the left; left of {index + 1} (mug), inside {index + 2} (desk)",
    )
    for index in range(1, 11)
]


def keeps(*kept: int, otherwise: str | None = None) -> Says:
    """Keeps these, drops the other objects that the prompt shows, whichever they are."""

    def answer(body: dict[str, Any]) -> str:
        said = decided({*kept} & {*shown(body)}, rows=shown(body))
        return said if otherwise is None else said.replace('"otherwise":null', f'"otherwise":"{otherwise}"')

    return Says(answer)


def shown(body: dict[str, Any]) -> list[int]:
    content = body["messages"][1]["content"]
    return [row.index for row in TWIN if f'{{"index":{row.index},' in content or f"\n{row.index}\t" in content]


def answered(response: httpx2.Response) -> api.ReasonResponse:
    assert response.status_code == 200, response.text
    return api.ReasonResponse.model_validate_json(response.content)


def test_rows_come_with_an_instruction_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    with openai_server(decide({2})) as engine, reasoner(monkeypatch, engine.url, REASONER_RENDERING="rows") as client:
        answer = answered(client.post("/v1/reason", json=question("the kite")))
        info = client.get("/v1/info").json()
    system, user = engine.requests[0]["messages"]
    assert system["content"] == REASONING_ROWS
    assert user["content"] == f"Twin:\n{render_rows(ROWS)}\nQuery: the kite"
    assert answer.prompts == info["prompts"] == digest(REASONING_ROWS) != digest(REASONING)
    assert info["settings"]["rendering"] == "rows"


def test_another_rendering_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = {"REASONER_RENDERING": "xml"}
    with pytest.raises(SystemExit, match="REASONER_RENDERING"), reasoner(monkeypatch, "http://h/v1", **setting):
        pass


@pytest.mark.parametrize("rendering", ["json", "rows"])
def test_relations_go_first_and_the_warning_says_so(monkeypatch: pytest.MonkeyPatch, rendering: str) -> None:
    render = {"json": render_twin, "rows": render_rows}[rendering]
    budget = estimated_tokens(render(TWIN)) - 20
    settings = {"REASONER_RENDERING": rendering, "REASONER_TWIN_TOKENS": str(budget)}
    with openai_server(keeps(3)) as engine, reasoner(monkeypatch, engine.url, **settings) as client:
        answer = answered(client.post("/v1/reason", json=question(objects=TWIN)))
    assert answer.indices == (3,)
    assert shown(engine.requests[0]) == [row.index for row in TWIN]
    (warning,) = answer.warnings
    assert "relations, the furthest, were left out of the reasoning" in warning
    assert answer.path[0].otherwise is None


@pytest.mark.parametrize("said", [None, "they are not red"])
def test_an_object_that_does_not_fit_is_dropped_and_the_path_says_why(
    monkeypatch: pytest.MonkeyPatch, said: str | None
) -> None:
    model = keeps(2, 10, otherwise=said)
    with openai_server(model) as engine, reasoner(monkeypatch, engine.url, REASONER_TWIN_TOKENS="200") as client:
        answer = answered(client.post("/v1/reason", json=question(objects=TWIN)))
    read = shown(engine.requests[0])
    left_out = len(TWIN) - len(read)
    assert 0 < left_out < len(TWIN)
    assert answer.indices == (2,)  # 10, the smallest, was not read
    assert violations(answer.path, answer.indices, [row.index for row in TWIN]) == []
    why = f"the {left_out} smallest objects did not fit into the model's budget of tokens and could not be judged"
    assert answer.path[0].otherwise == (f"{said}; {why}" if said else why)
    assert any(f"{left_out} of 10 objects, the smallest, were left out" in warning for warning in answer.warnings)


def test_an_answer_about_an_object_that_was_not_read_is_invalid(monkeypatch: pytest.MonkeyPatch) -> None:
    guess = decide({10}, rows=range(1, 11))
    with openai_server(guess) as engine, reasoner(monkeypatch, engine.url, REASONER_TWIN_TOKENS="200") as client:
        response = client.post("/v1/reason", json=question(objects=TWIN))
    assert problem(response) == (502, "upstream_invalid")
    assert "not in the twin" in response.json()["detail"]


@pytest.mark.parametrize("path", ["/v1/reason", "/v1/reason/many"])
def test_where_not_one_object_fits_there_is_a_problem(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    body = question(objects=TWIN) if path == "/v1/reason" else questions("the mug", objects=TWIN)
    with openai_server(keeps(1)) as engine, reasoner(monkeypatch, engine.url, REASONER_TWIN_TOKENS="12") as client:
        response = client.post(path, json=body)
        assert engine.requests == []
    assert problem(response) == (400, "invalid_options")
    assert "not even the largest fits into the 12 tokens" in response.json()["detail"]


def test_a_twin_without_objects_fits_any_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    with openai_server(keeps()) as engine, reasoner(monkeypatch, engine.url, REASONER_TWIN_TOKENS="1") as client:
        assert answered(client.post("/v1/reason", json=question(objects=[]))).indices == ()


def test_a_model_that_is_a_folder_here_counts_with_its_own_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = len(Tokenizer.from_file(str(Path(BUNDLED) / "tokenizer.json")).encode(render_twin(TWIN)).ids)
    for budget, cut in ((tokens, False), (tokens - 1, True)):
        settings = {"REASONER_ENGINE_MODEL": BUNDLED, "REASONER_TWIN_TOKENS": str(budget)}
        with openai_server(keeps(1)) as engine, reasoner(monkeypatch, engine.url, **settings) as client:
            answer = answered(client.post("/v1/reason", json=question(objects=TWIN)))
            assert client.get("/v1/info").json()["settings"]["counted_by"] == "tokenizer"
        assert bool(answer.warnings) == cut
        assert not cut or f"the twin has {tokens:,} tokens, the budget is {budget:,}" in answer.warnings[0]


def test_without_its_tokenizer_the_tokens_are_estimated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def counted_by(model: str, **settings: str) -> object:
        given = {"REASONER_ENGINE_MODEL": model} | settings
        with monkeypatch.context() as patch, reasoner(patch, "http://127.0.0.1:9/v1", **given) as client:
            return client.get("/v1/info").json()["settings"]["counted_by"]

    assert counted_by(BUNDLED) is None, "without a budget nothing is counted"
    assert counted_by("llama", REASONER_TWIN_TOKENS="9000") == "estimate"
    assert counted_by(str(tmp_path), REASONER_TWIN_TOKENS="9000") == "estimate"
    monkeypatch.setitem(sys.modules, "tokenizers", None)  # not installed
    assert counted_by(BUNDLED, REASONER_TWIN_TOKENS="9000") == "estimate"


def test_every_query_about_one_twin_reads_the_same_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with openai_server(keeps(1)) as engine, reasoner(monkeypatch, engine.url, REASONER_TWIN_TOKENS="200") as client:
        told = client.post("/v1/reason/many", json=questions("a mug", "the mug", objects=TWIN)).json()
    assert len({request["messages"][1]["content"].rpartition("\n")[0] for request in engine.requests}) == 1
    assert all(outcome["answer"]["warnings"] for outcome in told["outcomes"])
