"""What tests of the reasoner say to the service, and what its scripted LLM answers."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from dtwinseger.twin import Decision, Step, TwinRow, render_answer
from services.reasoner.app import create
from tests.doubles.openai_server import Garbage, Says
from tests.doubles.serving import serving

ROWS = [
    TwinRow(index=1, semantic="a large green tree", bbox=(0, 0, 80, 90), area_percent=11.0, spatial="at the left"),
    TwinRow(index=2, semantic="a small red kite", bbox=(90, 5, 99, 15), area_percent=1.5, spatial="at the top right"),
]


def rows(*indices: int, semantic: str | None = "a thing") -> list[TwinRow]:
    return [TwinRow(index=index, semantic=semantic, bbox=(0, 0, 9, 9), area_percent=1.0) for index in indices]


def decided(keep: set[int], indices: Sequence[int] | None = None, rows: Sequence[int] = (1, 2)) -> str:
    """An answer in one step that keeps these objects; `indices` where it shall say something else in the end."""
    step = Step(
        step=1,
        criterion="is a kite",
        decisions=tuple(Decision(index=i, reasoning=f"object {i}", keep=i in keep) for i in rows),
    )
    return render_answer((step,), tuple(sorted(keep)) if indices is None else tuple(indices))


def decide(keep: set[int], indices: Sequence[int] | None = None, rows: Sequence[int] = (1, 2)) -> Says:
    return Says(decided(keep, indices, rows))


def spelt(text: str, *tokens: tuple[str, float]) -> Garbage:
    """A completion that says `text` and gives these log-probabilities; the double's own gives one for all."""
    content = [{"token": token, "logprob": logprob, "bytes": None, "top_logprobs": []} for token, logprob in tokens]
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": {"content": content}}
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    return Garbage(json.dumps({"choices": [choice], "usage": usage}), "application/json")


@contextmanager
def reasoner(monkeypatch: pytest.MonkeyPatch, engine_url: str, **settings: str) -> Iterator[httpx2.Client]:
    given = {"REASONER_ENGINE_URL": engine_url, "REASONER_ENGINE_MODEL": "scripted", "REASONER_LOG_LEVEL": "error"}
    for name, value in (given | settings).items():
        monkeypatch.setenv(name, value)
    with serving(create()) as url, httpx2.Client(base_url=url, timeout=60) as client:
        yield client


def question(query: str = "the kite", objects: Sequence[TwinRow] = ROWS, **options: Any) -> dict[str, Any]:
    """The body of a request with one query."""
    return {"query": query, "objects": [row.model_dump() for row in objects], "options": options}


def questions(*queries: str, objects: Sequence[TwinRow] = ROWS, **options: Any) -> dict[str, Any]:
    """The body of a request with many queries."""
    return {"queries": queries, "objects": [row.model_dump() for row in objects], "options": options}


def problem(response: httpx2.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def until(holds: Callable[[], bool]) -> None:
    for _ in range(1000):
        if holds():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came true")
