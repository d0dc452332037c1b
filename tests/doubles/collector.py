"""An OpenTelemetry collector: a real OTLP/HTTP receiver that keeps the spans it is sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.doubles.serving import serving


@dataclass(frozen=True)
class Received:
    """A span as it arrived; ids in hexadecimal, `parent` empty for a root."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    kind: int
    failed: bool
    attributes: dict[str, Any]


@dataclass
class Collector:
    """What came; `raw` are the bodies as they were sent."""

    url: str = ""
    spans: list[Received] = field(default_factory=list)
    raw: bytes = b""

    def named(self, name: str) -> list[Received]:
        return [span for span in self.spans if span.name == name]

    async def receive(self, request: Request) -> Response:
        body = await request.body()
        self.raw += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _values(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                self.spans += [_received(service, span) for span in scope.spans]
        return Response(ExportTraceServiceResponse().SerializeToString(), media_type="application/x-protobuf")


def _received(service: str, span: Any) -> Received:
    return Received(
        service=service,
        name=span.name,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        kind=span.kind,
        failed=span.status.code == 2,
        attributes=_values(span.attributes),
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}


@contextmanager
def collector() -> Iterator[Collector]:
    """A collector that listens until the block ends; `url` is what OTEL_EXPORTER_OTLP_ENDPOINT takes."""
    made = Collector()
    with serving(Starlette(routes=[Route("/v1/traces", made.receive, methods=["POST"])])) as url:
        made.url = url
        yield made
