"""Spans in the words of OpenTelemetry's conventions for generative AI; they hold no content.

https://github.com/open-telemetry/semantic-conventions-genai names spans and attributes. Where
spans go is for BentoML's `tracing` to say; where nothing is set up, they cost next to nothing.
"""

import importlib
from collections.abc import AsyncGenerator, Iterator, Mapping, MutableMapping
from contextlib import aclosing, contextmanager, nullcontext
from typing import Any, TypeVar

from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from function_calling.errors import SettingsError
from function_calling.telemetry.logs import REQUEST_ID_HEADER, request_id

PROVIDER = "function-calling"
"""Who serves the model, and runs the agent."""

_Event = TypeVar("_Event")
_tracer = trace.get_tracer(__name__)


def export(environ: Mapping[str, str]) -> dict[str, Any]:
    """BentoML's `tracing`: to the collector that OpenTelemetry's own variables name, if any.

    Raises:
        SettingsError: The share of requests to trace is none, or the exporter is not installed.
    """
    if not environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return {}
    try:
        importlib.import_module("opentelemetry.exporter.otlp.proto.http")
    except ModuleNotFoundError as error:
        raise SettingsError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set: wanted the package "
            "opentelemetry-exporter-otlp-proto-http (docs/observability.md)."
        ) from error
    share = environ.get("OTEL_TRACES_SAMPLER_ARG") or "1"
    try:
        rate = float(share)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:
        raise SettingsError(f"OTEL_TRACES_SAMPLER_ARG={share!r}: wanted a number from 0 to 1.")
    return {"exporter_type": "otlp", "sample_rate": rate, "otlp": {"protocol": "http"}}


def use(provider: trace.TracerProvider) -> None:
    """Give this process's spans to BentoML's provider, unless one was set already."""
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(provider)


def begin(operation: str, name: str, *, client: bool = False, **attributes: str) -> Span:
    """A span that begins now, inside the current one.

    Args:
        operation: `gen_ai.operation.name` ("chat").
        name: What it is done with, behind the operation in the span's name.
        client: Whether it is done by another process.
        attributes: More of `gen_ai`, with `__` for a dot; an empty one is left out.
    """
    named = {f"gen_ai.{key.replace('__', '.')}": each for key, each in attributes.items() if each}
    return _tracer.start_span(
        f"{operation} {name}",
        kind=SpanKind.CLIENT if client else SpanKind.INTERNAL,
        attributes={"gen_ai.operation.name": operation, **named},
    )


@contextmanager
def inside(span: Span) -> Iterator[None]:
    """What is awaited here happens inside the span, which ends with it; not around a `yield`."""
    with _ending(span), _current(span):
        yield


async def spanned(span: Span, events: AsyncGenerator[_Event, None]) -> AsyncGenerator[_Event, None]:
    """The events, which happen inside the span; what is done with them does not."""
    with _ending(span):
        async with aclosing(events):
            while True:
                with _current(span):
                    event = await anext(events, None)
                if event is None:
                    return
                yield event


@contextmanager
def _ending(span: Span) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        failed(span, type(error).__name__)
        raise
    finally:
        span.end()


def failed(span: Span, kind: str) -> None:
    """Mark the span as failed; an error's text is not told, since it may hold what was asked."""
    span.set_status(Status(StatusCode.ERROR))
    span.set_attribute("error.type", kind)


def spent(span: Span, input_tokens: int, output_tokens: int, finish_reason: str = "") -> None:
    """Note what the span's work took, and how the reply ended."""
    span.set_attribute("gen_ai.usage.input_tokens", input_tokens)
    span.set_attribute("gen_ai.usage.output_tokens", output_tokens)
    if finish_reason:
        span.set_attribute("gen_ai.response.finish_reasons", [finish_reason])


def pass_on(headers: MutableMapping[str, Any]) -> None:
    """Have a request to another service tell its trace, and the id of the request it is for."""
    propagate.inject(headers)
    if own := request_id.get():
        headers[REQUEST_ID_HEADER] = own


def unsampled() -> Any:
    """A context in which no span of this trace is exported; not around a `yield`."""
    own = trace.get_current_span().get_span_context()
    if not own.trace_flags.sampled:
        return nullcontext()
    silent = trace.SpanContext(own.trace_id, own.span_id, is_remote=False)
    return trace.use_span(trace.NonRecordingSpan(silent))


def _current(span: Span) -> Any:
    if not span.is_recording():  # it stands for the current one
        return nullcontext()
    return trace.use_span(span, record_exception=False, set_status_on_exception=False)
