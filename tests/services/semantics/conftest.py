"""The service in front of a scripted engine."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from services.semantics.app import create
from tests.doubles.openai_server import OpenAIServer, Reply, openai_server
from tests.doubles.serving import serving


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[str, OpenAIServer]]]:
    """Starts the service in front of an engine that follows a script; settings are environment variables."""
    with ExitStack() as stack:

        def start(*script: Reply, latency_s: float = 0.0, **settings: str) -> tuple[str, OpenAIServer]:
            engine = stack.enter_context(openai_server(*script, latency_s=latency_s))
            settings = {"SEMANTICS_ENGINE_URL": engine.url, "SEMANTICS_ENGINE_MAX_IN_FLIGHT": "1"} | settings
            for name, value in settings.items():
                monkeypatch.setenv(name, value)
            return stack.enter_context(serving(create())), engine

        yield start
