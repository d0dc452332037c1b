"""What an operator sees of requests through all four services: one trace, lines of log, and no secret in either."""

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from tests.doubles.collector import Collector, Received, collector
from tests.doubles.stack import SCENE, ask, whole_stack

REQUEST_ID = "an-id-of-the-caller"
TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLERS_SPAN = "b7ad6b7169203331"
SERVICES = {"gateway", "perception", "semantics", "reasoner"}
# Said in the query, in the options, in a URL, by the model in its labels, and the keys of engine and caller.
SECRETS = ["umbrella", "chosen-by-nobody", "in-the-url", "mug", "sk-of-the-engine", "key-of-the-caller"]


@dataclass
class Seen:
    """All that came out."""

    answers: list[httpx2.Response]
    collector: Collector
    log: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.splitlines()]

    @property
    def first(self) -> list[Received]:
        """The spans of the first request."""
        return [span for span in self.collector.spans if span.trace == TRACE]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Three requests: one that is answered, one that finds its proposals in the store, one that is refused."""
    store = f"sqlite:///{tmp_path_factory.mktemp('store')}/twins.sqlite"
    log = io.StringIO()
    caller = {
        "X-Request-Id": REQUEST_ID,
        "traceparent": f"00-{TRACE}-{CALLERS_SPAN}-01",
        "Authorization": "Bearer key-of-the-caller",
    }
    with pytest.MonkeyPatch.context() as patch, collector() as spans:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", spans.url)
        patch.setattr("gateway.store.punctual.STORE_TIMEOUT_S", 10)  # a busy machine must not look like a broken store
        for role in ("SEMANTICS", "REASONER"):
            patch.setenv(f"{role}_ENGINE_API_KEY", "sk-of-the-engine")
        with redirect_stderr(log), whole_stack(patch, store) as (http, _):
            answers = [ask(http, "the umbrella\nand {more}", **caller), ask(http, "an umbrella, again")]
            bad = {"query": "an umbrella", "options": '{"granularity": "chosen-by-nobody"}'}
            answers.append(http.post("/segment?q=in-the-url", data=bad, files={"image": SCENE.read_bytes()}))
        yield Seen(answers, spans, log.getvalue())


def test_the_requests_ended_as_meant(seen: Seen) -> None:
    assert [answer.status_code for answer in seen.answers] == [200, 200, 400], seen.answers[0].text
    assert seen.answers[0].json()["indices"] == [1]


def test_a_request_is_one_trace_through_all_four_services_under_the_callers_span(seen: Seen) -> None:
    by_id = {span.id: span for span in seen.first}
    assert {span.service for span in seen.first} == {f"dtwinseger-{name}" for name in SERVICES}
    roots = [span for span in seen.first if span.parent not in by_id]
    assert [(span.name, span.parent) for span in roots] == [("POST /segment", CALLERS_SPAN)]

    def ancestry(span: Received) -> list[tuple[str, str]]:
        service = span.service.removeprefix("dtwinseger-")
        return [(service, span.name), *(ancestry(by_id[span.parent]) if span.parent in by_id else [])]

    for stage, path, service in [
        ("perception", "POST /v1/proposals", "perception"),
        ("granularity", "POST /v1/granularity", "semantics"),
        ("semantics", "POST /v1/semantics", "semantics"),
        ("reasoning", "POST /v1/reason", "reasoner"),
    ]:
        [served] = [span for span in seen.first if span.name == path and span.service == f"dtwinseger-{service}"]
        assert ancestry(served)[1:] == [("gateway", path), ("gateway", stage), ("gateway", "POST /segment")]
    [device] = [span for span in seen.first if span.name == "device"]
    assert ancestry(device)[1] == ("perception", "POST /v1/proposals")
    for attempt in (span for span in seen.first if span.name == "POST /chat/completions"):
        assert by_id[attempt.parent].name == "chat scripted"


def test_a_call_to_an_engine_tells_model_tokens_and_outcome(seen: Seen) -> None:
    calls = [span for span in seen.first if span.name == "chat scripted"]
    assert len(calls) > 2
    for call in calls:
        told = call.attributes
        assert (told["gen_ai.operation.name"], told["gen_ai.request.model"]) == ("chat", "scripted")
        assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (100, 10)
        assert told["dtwinseger.outcome"] == "ok"
    assert {call.attributes["dtwinseger.engine"] for call in calls} == {"vlm", "llm"}


def test_a_stage_says_whether_the_store_answered_it(seen: Seen) -> None:
    told = [span.attributes["dtwinseger.cached"] for span in seen.collector.named("perception")]
    assert told == [False, True]


def test_a_refused_request_names_its_problem(seen: Seen) -> None:
    asked = seen.collector.named("POST /segment")
    [refused] = [span for span in asked if span.attributes["http.response.status_code"] == 400]
    assert refused.attributes["dtwinseger.problem"] == "invalid_options"
    assert not refused.failed, "the caller's fault is no failure of ours"


def test_every_line_of_log_is_json_and_has_the_ids_of_its_request(seen: Seen) -> None:
    mine = [line for line in seen.lines if line["request_id"] == REQUEST_ID]
    assert {line["service"] for line in mine} == SERVICES
    assert {line["trace_id"] for line in mine} == {TRACE}
    routes = {line["route"] for line in mine if line["event"] == "request.done"}
    assert routes >= {"/segment", "/v1/proposals", "/v1/granularity", "/v1/semantics", "/v1/reason"}
    assert {"proposals.done", "twin.built"} <= {line["event"] for line in mine}


@pytest.mark.parametrize("secret", SECRETS)
def test_neither_logs_nor_traces_hold_what_was_asked_or_the_keys(seen: Seen, secret: str) -> None:
    assert secret not in seen.log
    assert secret.encode() not in seen.collector.raw


def test_no_image_is_logged_or_traced(seen: Seen) -> None:
    for start_of_base64 in ("iVBORw0KGgo", "/9j/4AAQ"):
        assert start_of_base64 not in seen.log
        assert start_of_base64.encode() not in seen.collector.raw
    assert len(seen.log) < 20_000
