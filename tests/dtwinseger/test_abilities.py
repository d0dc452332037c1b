"""What the doctor finds out of an engine, over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest

from dtwinseger.abilities import Asked, Unusable
from tests.doubles.openai_server import Fails, Garbage, Reply, Says, as_asked, openai_server
from tests.doubles.serving import free_port


@contextmanager
def engine(*script: Reply) -> Iterator[Asked]:
    with openai_server(*script) as server, httpx2.Client(timeout=10) as http:
        yield Asked(http, server.url, "greeter", "sk-secret")


def test_an_engine_that_can_do_everything_is_told_so() -> None:
    with engine(Says(as_asked, gives_logprobs=True)) as asked:
        asked.require_chat()
        assert [ability.words for ability in (asked.images(), asked.schema(), asked.logprobs())] == ["yes"] * 3


def test_what_an_engine_ignores_is_told_with_its_answer() -> None:
    with engine(Says("Fine, and you?")) as asked:
        assert asked.schema().words == "no: it answered 'Fine, and you?'"
        assert asked.logprobs().words == "no: it leaves them out"
        assert not asked.schema().able


def test_what_an_engine_rejects_is_told_with_the_status() -> None:
    with engine(Fails(400)) as asked:
        for ability in (asked.images(), asked.schema(), asked.logprobs()):
            assert ability.words == "no: it answered 400: as scripted"


@pytest.mark.parametrize(
    ("reply", "words", "setting"),
    [
        (Fails(401), "refuses the API key", "API_KEY"),
        (Fails(404), "does not know the model greeter", "MODEL"),
        (Fails(400), "rejects a greeting to greeter", "MODEL"),
        (Fails(503), "answers 503: as scripted", "URL"),
        (Garbage(), "answers with text/html", "URL"),
        (Garbage('{"choices": null}', "application/json"), "answers with application/json", "URL"),
    ],
)
def test_an_engine_that_cannot_be_used_is_told_with_what_to_look_at(reply: Reply, words: str, setting: str) -> None:
    with engine(reply) as asked, pytest.raises(Unusable, match=words) as raised:
        asked.require_chat()
    assert raised.value.setting == setting
    assert "sk-secret" not in str(raised.value)


def test_an_engine_that_is_not_there_is_told() -> None:
    with httpx2.Client() as http, pytest.raises(Unusable, match="does not answer"):
        Asked(http, f"http://127.0.0.1:{free_port()}/v1", "greeter", "none").require_chat()
