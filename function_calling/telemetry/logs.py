"""Log lines that tell which request they are about, as text or as JSON.

BentoML sets up the handlers; what is logged through them, also by BentoML itself, gets this form.
"""

import json
import logging
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

from opentelemetry import trace

from function_calling.errors import one_line

REQUEST_ID_HEADER = "x-request-id"

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that is being served; "" where there is none."""


def configure(log_format: Literal["text", "json"]) -> None:
    """Have the handlers that BentoML has set up tell the request, in this format."""
    for handler in {*logging.getLogger("bentoml").handlers, *logging.getLogger().handlers}:
        if not any(isinstance(each, _OfRequest) for each in handler.filters):
            handler.addFilter(_OfRequest())
        if log_format == "json":
            handler.setFormatter(JsonFormatter())


class JsonFormatter(logging.Formatter):
    """A line is one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's time (UTC), level, logger, message, request, trace and exception."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if own := getattr(record, "request", ""):
            told["request_id"] = own
        if (span := trace.get_current_span().get_span_context()).is_valid:
            told["trace_id"] = trace.format_trace_id(span.trace_id)
            told["span_id"] = trace.format_span_id(span.span_id)
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False)


class _OfRequest(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        own = request_id.get()
        vars(record)["request"] = own
        if own:
            with suppress(TypeError, ValueError):  # of arguments that don't fit, the handler tells
                # A path that a client asks for may hold line ends, as BentoML tells it.
                record.msg, record.args = one_line(record.getMessage()), ()
            if "trace_msg" in vars(record):  # the end of BentoML's text line
                vars(record)["trace_msg"] += f" (request={own})"
        return True
