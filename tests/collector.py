"""A collector of OpenTelemetry's spans over OTLP/HTTP."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from scripted_http import serving


@dataclass(frozen=True)
class Seen:
    """A span as it was exported."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    begin: int
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Collector:
    """Where to export to, and what came there."""

    url: str
    spans: list[Seen] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def traced(self, name: str) -> list[Seen]:
        """The trace that has a span of this name, without its messages; the first comes first."""
        (wanted,) = {each.trace for each in self.spans if each.name == name}
        found = [each for each in self.spans if each.trace == wanted]
        steps = (" http send", " http receive")
        return sorted((s for s in found if not s.name.endswith(steps)), key=lambda s: s.begin)


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.bodies.append(body)
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                service = _attributes(group.resource.attributes).get("service.name", "")
                spans = (span for scope in group.scope_spans for span in scope.spans)
                collector.spans.extend(_seen(service, span) for span in spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        yield collector


def depth(span: Seen, trace: Sequence[Seen]) -> int:
    """How many spans of its trace it lies in."""
    parents = {each.id: each for each in trace}
    return 1 + depth(parents[span.parent], trace) if span.parent in parents else 0


def _seen(service: str, span: Any) -> Seen:
    ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
    return Seen(service, span.name, *ids, span.start_time_unix_nano, _attributes(span.attributes))


def _attributes(pairs: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in pairs}
