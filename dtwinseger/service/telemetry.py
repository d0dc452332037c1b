"""OpenTelemetry traces, sent by OTLP over HTTP where an endpoint is set; without one no SDK is loaded, no span is made.

FastAPI makes the span of each request; what a service does for it are the spans that `span` makes. The standard OTEL_
variables are the SDK's own. No span holds an image, a query, a prompt, a key, or the message of an error.
"""

import asyncio
import os
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog
from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from dtwinseger import __version__
from dtwinseger.problems import Problem

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

QUIET = frozenset({"/livez", "/readyz", "/metrics"})  # asked every few seconds, and not traced
FLUSH_S = 2.0  # at the end of the process, for spans that are not sent yet

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"
_NO_TRACER: Tracer = trace.NoOpTracer()
_tracer: ContextVar[Tracer] = ContextVar("tracer", default=_NO_TRACER)
_propagator = TraceContextTextMapPropagator()

log = structlog.get_logger()


class Traces:
    """The traces of one service, for as long as its app lives."""

    def __init__(self, service: str) -> None:
        self._provider = _provider(service) if _wanted() else None
        self._tracer = self._provider.get_tracer("dtwinseger", __version__) if self._provider else _NO_TRACER

    @property
    def config(self) -> TelemetryConfig:
        """What FastAPI shall do: spans of requests, where they are wanted, and nothing else."""
        return TelemetryConfig(
            tracer_provider=self._provider,
            tracing=self._provider is not None,
            metrics=False,
            logs=False,  # they would hold messages of errors
            operation_spans=False,
            auto_configure=False,
            exclude=_is_quiet,
        )

    def enter(self) -> None:
        """Make this service's spans in the current context: a request's, and that of the tasks that it starts."""
        _tracer.set(self._tracer)

    async def close(self) -> None:
        """Send what is not sent yet, for FLUSH_S at most."""
        if self._provider is None:
            return
        # A daemon, so that a collector that hangs does not keep the process from its end.
        flush = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        flush.start()
        await asyncio.to_thread(flush.join, FLUSH_S)
        if flush.is_alive():
            log.warning("traces.lost", waited_s=FLUSH_S)


@contextmanager
def span(
    name: str, attributes: Mapping[str, AttributeValue] | None = None, kind: SpanKind = SpanKind.INTERNAL
) -> Iterator[Span]:
    """The body as a span of the current trace; those that it makes are its children."""
    made = _tracer.get().start_span(name, kind=kind, attributes=attributes)
    with (
        _ended(made),
        trace.use_span(made, end_on_exit=False, record_exception=False, set_status_on_exception=False),
    ):
        yield made


@dataclass(frozen=True)
class HttpCall:
    """A request on its way to another service, by HTTP's semantic conventions."""

    span: Span

    @property
    def headers(self) -> dict[str, str]:
        """What makes the spans behind the request children of its own; nothing outside of a trace."""
        headers: dict[str, str] = {}
        _propagator.inject(headers, trace.set_span_in_context(self.span))
        return headers

    def answered(self, status: int) -> None:
        """Note the response's status."""
        self.span.set_attribute("http.response.status_code", status)
        if status >= 400:
            self.span.set_attribute("error.type", str(status))
            self.span.set_status(StatusCode.ERROR)


@contextmanager
def http_call(method: str, url: str, path: str) -> Iterator[HttpCall]:
    """The body as the span of a request.

    path: below `url`, and the same for many requests, as `/v1/proposals`.
    """
    where = urlsplit(url)
    attributes: dict[str, AttributeValue] = {
        "http.request.method": method,
        "url.template": path,
        "server.address": where.hostname or "",
        "server.port": where.port or (443 if where.scheme == "https" else 80),
    }
    made = _tracer.get().start_span(f"{method} {path}", kind=SpanKind.CLIENT, attributes=attributes)
    # Not made the current span: a stream's body may be left in another context than it was entered in.
    with _ended(made):
        yield HttpCall(made)


@contextmanager
def _ended(made: Span) -> Iterator[None]:
    """End the span with the body. What the body raises is told by its kind: a problem's code, or a class."""
    try:
        yield
    except Exception as error:
        made.set_attribute("error.type", error.code if isinstance(error, Problem) else type(error).__qualname__)
        made.set_status(StatusCode.ERROR)
        raise
    except (asyncio.CancelledError, GeneratorExit):  # the caller left, or the time was over: nothing here failed
        made.set_attribute("error.type", "cancelled")
        raise
    finally:
        made.end()


def note(attributes: Mapping[str, AttributeValue]) -> None:
    """Add to the current span: the innermost of `span`, else the request's."""
    trace.get_current_span().set_attributes(attributes)


def trace_id() -> str | None:
    """The current trace, as 32 hexadecimal digits; None outside of one."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


def _is_quiet(scope: MutableMapping[str, Any]) -> bool:
    return scope["path"] in QUIET


def _wanted() -> bool:
    """Whether the environment asks for traces that we can send."""
    endpoint = any(os.environ.get(name) for name in _ENDPOINTS)
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none"
    if not endpoint or off:
        return False
    protocol = next((value for name in _PROTOCOLS if (value := os.environ.get(name))), _PROTOCOL)
    if protocol != _PROTOCOL:
        log.error("traces.off", reason=f"traces are sent by {_PROTOCOL}, not {protocol}")
    return protocol == _PROTOCOL


def _provider(service: str) -> "TracerProvider":
    """The SDK's provider: named for the service unless the environment names it, exporting in a thread of its own."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace import Span as SdkSpan
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    class Redact(SpanProcessor):
        """Takes out what a caller may have put into a URL."""

        def on_start(self, span: SdkSpan, parent_context: object = None) -> None:
            if "url.query" in (span.attributes or {}):
                span.set_attribute("url.query", "REDACTED")

        def on_end(self, span: ReadableSpan) -> None:
            return

    own = {"service.name": f"dtwinseger-{service}", "service.version": __version__}
    resource = Resource.create(own).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(Redact())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
