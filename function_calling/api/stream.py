"""One response to one client: replies side by side, told whole or as server-sent events.

A client that goes away stops what is generated for it, and an error in mid-stream is its last
event, also where the server is told to stop. In which shapes they are told is a `Telling`'s to say:
each protocol has its own.
"""

import asyncio
import json
import logging
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from function_calling.api.headers import UNENFORCED, listing
from function_calling.api.request import ApiRequest
from function_calling.cutoff import Cutoff
from function_calling.errors import ApiError, EngineError, RequestError
from function_calling.model.words import Event, Finished
from function_calling.telemetry import metrics, tracing

CLIENT_GONE = 499
"""The status of a request whose client closed the connection, as nginx has it."""

_log = logging.getLogger(__name__)

Told: TypeAlias = tuple[int, Event]
"""An event, and which of the replies it belongs to."""
Shape: TypeAlias = Mapping[str, Any]
"""An object of a protocol."""
Result = TypeVar("Result")
_Queue: TypeAlias = asyncio.Queue[Told | Exception | None]

FAILED = EngineError("The server failed; its log says why.")
"""What a caller is told of an error that was not foreseen."""

_AS_IT_COMES = {"cache-control": "no-cache", "x-accel-buffering": "no"}
"""What keeps proxies from holding a stream back."""


@dataclass
class Telling(ABC):
    """How one response is told in a protocol's shapes; unless a class says else, as OpenAI's chat.

    Attributes:
        model: The name of the model that replies.
        end: What ends a stream, behind its last event.
    """

    model: str
    end: ClassVar[str] = "data: [DONE]\n\n"

    @abstractmethod
    async def whole(self, events: AsyncIterator[Told]) -> Shape:
        """All events in one object."""

    @abstractmethod
    def chunks(self, events: AsyncIterator[Told]) -> AsyncIterator[Shape]:
        """The events as they come, as the objects of a stream."""

    def framed(self, chunk: Shape) -> str:
        """A stream's object as a server-sent event."""
        return f"data: {as_json(chunk)}\n\n"

    def failed(self, error: ApiError) -> str:
        """An error in mid-stream as a server-sent event."""
        return self.framed(error.body())


class NamedEvents(Telling):
    """Each object of a stream is an event that has the object's type as its name."""

    end = ""

    def framed(self, chunk: Shape) -> str:
        """A stream's object as a server-sent event with a name."""
        return f"event: {chunk['type']}\n{super().framed(chunk)}"


def new_id(kind: str) -> str:
    """A new id, which begins with what it is the id of ("msg")."""
    return f"{kind}_{secrets.token_hex(12)}"


def as_json(value: Shape) -> str:
    """The object as JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


async def side_by_side(
    replies: Sequence[AsyncGenerator[Event, None]],
) -> AsyncGenerator[Told, None]:
    """The events of all replies as they come; the first error ends all of them.

    Closing it closes every reply. A reply runs ahead of the reader by two events at most.
    """
    told: _Queue = asyncio.Queue(maxsize=1)
    tellers = [asyncio.create_task(_tell(told, *each)) for each in enumerate(replies)]
    running = len(tellers)
    try:
        while running:
            match await told.get():
                case None:
                    running -= 1
                case Exception() as error:
                    raise error
                case event:
                    yield event
    finally:
        for teller in tellers:
            teller.cancel()
        await asyncio.gather(*tellers, return_exceptions=True)


async def respond(
    request: Request,
    wanted: ApiRequest,
    telling: Telling,
    replies: Sequence[AsyncGenerator[Event, None]],
    unenforced: Iterable[str] = (),
) -> Response:
    """The response that tells `replies`, which are closed however it ends.

    Here each reply is measured, whatever the protocol.

    Raises:
        ApiError: The request can't be served, or its client went away.
    """
    headers = wanted.headers | listing(UNENFORCED, unenforced)
    cutoff: Cutoff = request.app.state.cutoff
    events = cutoff.each(side_by_side([_measured(each, telling.model) for each in replies]))
    if not wanted.stream:
        async with aclosing(events):
            told = await _while_connected(request, telling.whole(events))
        return Response(as_json(told), media_type="application/json", headers=headers)
    # The first event tells whether the request can be served at all, while a status can be sent.
    first = await _while_connected(request, anext(events))
    return _EventStream(telling, first, events, headers)


async def _measured(reply: AsyncGenerator[Event, None], model: str) -> AsyncGenerator[Event, None]:
    """The reply, with its times and tokens counted, and in a span of its own."""
    meter = metrics.ReplyMeter()
    span = tracing.begin("chat", model, provider__name=tracing.PROVIDER, request__model=model)
    async with aclosing(tracing.spanned(span, reply)) as events:
        async for event in events:
            if isinstance(event, Finished):
                usage = event.usage
                tokens = usage.prompt_tokens, usage.completion_tokens
                meter.end(*tokens, usage.cached_tokens, event.reason)
                tracing.spent(span, *tokens, event.reason)
            else:
                meter.event()
            yield event


async def _tell(told: _Queue, index: int, reply: AsyncGenerator[Event, None]) -> None:
    """Pass on the reply's events, and then its error, or None for its good end."""
    try:
        async with aclosing(reply):
            async for event in reply:
                await told.put((index, event))
    except Exception as error:
        await told.put(error)
    else:
        await told.put(None)


async def _while_connected(request: Request, work: Awaitable[Result]) -> Result:
    """The result of `work`, which is cancelled when the client goes away."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise RequestError("The client closed the connection.", status=CLIENT_GONE)
        return task.result()
    finally:
        for each in (task, gone):
            each.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await each


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class _EventStream(StreamingResponse):
    """Closes its events however it ends: a client may also go away while a chunk is being sent."""

    def __init__(
        self,
        telling: Telling,
        first: Told,
        events: AsyncGenerator[Told, None],
        headers: Mapping[str, str],
    ) -> None:
        self._events = events
        self._chunks = _server_sent(telling, first, events)
        super().__init__(
            self._chunks, media_type="text/event-stream", headers={**headers, **_AS_IT_COMES}
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._events), aclosing(self._chunks):
            with suppress(ClientDisconnect):
                await super().__call__(scope, receive, send)


async def _server_sent(
    telling: Telling, first: Told, events: AsyncIterator[Told]
) -> AsyncGenerator[str, None]:
    """The chunks as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

    async def all_events() -> AsyncIterator[Told]:
        yield first
        async for event in events:
            yield event

    try:
        async for chunk in telling.chunks(all_events()):
            yield telling.framed(chunk)
    except ApiError as error:
        metrics.refused(error)
        yield telling.failed(error)
    except Exception:
        _log.exception("A stream failed")
        metrics.refused(FAILED)
        yield telling.failed(FAILED)
    if telling.end:
        yield telling.end
