"""A turn of a chat as a response of server-sent events.

A client that goes away stops the loop, and with it the model. An error is the stream's last event:
whatever it is, the client reads a whole JSON object and an end.
"""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from function_calling.agent.events import ChatEvent, ErrorEvent, ErrorObject
from function_calling.errors import ApiError, EngineError
from function_calling.telemetry import metrics

_log = logging.getLogger(__name__)


def client_error(error: Exception) -> ApiError:
    """What a client is told of an error; the log has the trace of one that was not foreseen."""
    if not isinstance(error, ApiError):
        _log.error("A question failed", exc_info=error)
        error = EngineError("The assistant failed; its log says why.")
    metrics.failed(error)
    return error


class EventStream(StreamingResponse):
    """The turn as it happens; it is closed however the response ends."""

    def __init__(self, events: AsyncGenerator[ChatEvent, None]) -> None:
        self._frames = _frames(events)
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(self._frames, media_type="text/event-stream", headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, until it ends or the client leaves."""
        async with aclosing(self._frames):
            with suppress(ClientDisconnect):
                await super().__call__(scope, receive, send)


async def _frames(events: AsyncGenerator[ChatEvent, None]) -> AsyncGenerator[str, None]:
    """The events on the wire (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    async with aclosing(with_errors(events)) as told:
        async for event in told:
            yield f"data: {event.model_dump_json()}\n\n"


async def with_errors(
    events: AsyncGenerator[ChatEvent, None],
) -> AsyncGenerator[ChatEvent, None]:
    """The events, and an error as the last of them."""
    try:
        async with aclosing(events) as happening:
            async for event in happening:
                yield event
    except Exception as error:
        yield ErrorEvent(error=ErrorObject(**client_error(error).body()["error"]))
