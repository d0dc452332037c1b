"""The four services, real and in this process, with the bundled SAM; only their engine is scripted."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest

import gateway.app
import services.perception.app
import services.reasoner.app
import services.semantics.app
from tests.doubles.answers import answers
from tests.doubles.openai_server import OpenAIServer, Says, openai_server
from tests.doubles.serving import serving

SCENE = Path("embedded/example/scene.png")
FEW_POINTS = '{"proposals": {"points_per_side": 6}}'


@contextmanager
def whole_stack(monkeypatch: pytest.MonkeyPatch, store_url: str) -> Iterator[tuple[httpx2.Client, OpenAIServer]]:
    """A client of the gateway, and the engine; settings of a test's own come from the environment, as always."""
    with ExitStack() as running:
        engine = running.enter_context(openai_server(Says(answers)))
        for role in ("SEMANTICS", "REASONER"):
            monkeypatch.setenv(f"{role}_ENGINE_URL", engine.url)
            monkeypatch.setenv(f"{role}_ENGINE_MODEL", "scripted")
        for package in (services.perception, services.semantics, services.reasoner):
            name = package.__name__.rpartition(".")[2].upper()
            monkeypatch.setenv(f"GATEWAY_{name}_URL", running.enter_context(serving(package.app.create())))
        monkeypatch.setenv("GATEWAY_STORE_URL", store_url)
        url = running.enter_context(serving(gateway.app.create()))
        yield running.enter_context(httpx2.Client(base_url=url, timeout=60)), engine


def ask(http: httpx2.Client, query: str, **headers: str) -> httpx2.Response:
    """`query` about the bundled scene."""
    form = {"query": query, "options": FEW_POINTS}
    return http.post("/segment", data=form, files={"image": SCENE.read_bytes()}, headers=headers)
