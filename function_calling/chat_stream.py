"""A turn of a chat as a response of server-sent events.

A client that goes away stops the loop, and with it the model. An error is the stream's last event:
whatever it is, the client reads a whole JSON object and an end.
"""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from time import monotonic

from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from function_calling.chat_events import (
    ChatEvent,
    ChatUsage,
    DoneEvent,
    ErrorEvent,
    ErrorObject,
    TextEvent,
    Timings,
    ToolCallEvent,
    ToolResultEvent,
)
from function_calling.errors import ApiError, EngineError
from function_calling.events import (
    Answer,
    Event,
    ModelCalled,
    TextTold,
    ToolCalled,
    ToolReturned,
)

_log = logging.getLogger(__name__)

FAILED = EngineError("The assistant failed; its log says why.")
"""What a client is told of an error that was not foreseen."""


class ChatStream(StreamingResponse):
    """The turn as it happens; it is closed however the response ends."""

    def __init__(self, events: AsyncGenerator[Event, None]) -> None:
        self._frames = _frames(events)
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(self._frames, media_type="text/event-stream", headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, until it ends or the client leaves."""
        async with aclosing(self._frames):
            with suppress(ClientDisconnect):
                await super().__call__(scope, receive, send)


async def _frames(events: AsyncGenerator[Event, None]) -> AsyncGenerator[str, None]:
    """The events on the wire (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    async with aclosing(chat_events(events)) as told:
        async for event in told:
            yield f"data: {event.model_dump_json()}\n\n"


async def chat_events(events: AsyncGenerator[Event, None]) -> AsyncGenerator[ChatEvent, None]:
    """What a client reads of the loop's events; the last is a `done` or an `error`."""
    clock = _Clock()
    names: dict[str, str] = {}
    try:
        async with aclosing(events) as happening:
            async for event in happening:
                clock.note(event)
                if isinstance(event, ToolCalled):
                    names[event.id] = event.name
                if told := _told(event, names, clock):
                    yield told
    except ApiError as error:
        yield _error(error)
    except Exception:
        _log.exception("A chat failed")
        yield _error(FAILED)


def _error(error: ApiError) -> ErrorEvent:
    return ErrorEvent(error=ErrorObject(**error.body()["error"]))


def _told(event: Event, names: dict[str, str], clock: "_Clock") -> ChatEvent | None:
    match event:
        case ToolCalled(id, name, arguments):
            return ToolCallEvent(id=id, name=name, arguments=arguments)
        case ToolReturned(id, outcome):
            return ToolResultEvent(
                id=id,
                name=names[id],
                ok=outcome.ok,
                content=outcome.content if outcome.ok else outcome.told,
                summary=outcome.summary,
            )
        case TextTold(text):
            return TextEvent(text=text)
        case Answer():
            prompt, completion = event.usage.prompt_tokens, event.usage.completion_tokens
            return DoneEvent(
                usage=ChatUsage(
                    prompt_tokens=prompt,
                    completion_tokens=completion,
                    total_tokens=prompt + completion,
                ),
                rounds=event.rounds,
                tool_calls=event.tool_calls,
                timings=clock.timings(),
                grounding=event.grounding,
            )
    return None


class _Clock:
    """Who was waited for, told by the events between which time passed."""

    def __init__(self) -> None:
        self._begun = self._last = monotonic()
        self._first_text: float | None = None
        self._model = self._tools = 0.0

    def note(self, event: Event) -> None:
        now = monotonic()
        if isinstance(event, ToolReturned):
            self._tools += now - self._last
        elif not isinstance(event, ModelCalled):
            self._model += now - self._last
        if isinstance(event, TextTold) and self._first_text is None:
            self._first_text = now - self._begun
        self._last = now

    def timings(self) -> Timings:
        def rounded(seconds: float) -> float:
            return round(seconds, 3)

        return Timings(
            first_text=None if self._first_text is None else rounded(self._first_text),
            model=rounded(self._model),
            tools=rounded(self._tools),
            total=rounded(self._last - self._begun),
        )
