"""One response to one client: replies side by side, told whole or as server-sent events.

A client that goes away stops what is generated for it, and an error in mid-stream is its last
event, in OpenAI's shape.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import TypeAlias, TypeVar

from pydantic import BaseModel
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from function_calling.api.reply import ApiResponse, Told
from function_calling.errors import ApiError, EngineError, RequestError
from function_calling.model.words import Event

_log = logging.getLogger(__name__)

Result = TypeVar("Result")
_Queue: TypeAlias = asyncio.Queue[Told | Exception | None]

MOST_BYTES = 8 * 1024 * 1024
"""Bytes of a request's body at most."""
FAILED = EngineError("The server failed; its log says why.")
"""What a caller is told of an error that was not foreseen."""

_AS_IT_COMES = {"cache-control": "no-cache", "x-accel-buffering": "no"}
"""What keeps proxies from holding a stream back."""


async def read_body(request: Request) -> bytes:
    """The request's body.

    Raises:
        RequestError: It is too large, or the client went away.
    """
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > MOST_BYTES:
                raise RequestError(f"The body is larger than {MOST_BYTES} bytes.", status=413)
    except ClientDisconnect:
        raise _gone() from None
    return body


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
    response: ApiResponse,
    replies: Sequence[AsyncGenerator[Event, None]],
    *,
    stream: bool,
    headers: Mapping[str, str],
) -> Response:
    """The response that tells `replies`, which are closed however it ends.

    Raises:
        ApiError: The request can't be served, or its client went away.
    """
    events = side_by_side(replies)
    if not stream:
        return in_json(await _while_connected(request, _whole(response, events)), headers)
    # The first event tells whether the request can be served at all, while a status can be sent.
    first = await _while_connected(request, anext(events))
    return _EventStream(response, first, events, headers)


def in_json(value: BaseModel, headers: Mapping[str, str] | None = None) -> Response:
    """The object as a response, without what was never set in it."""
    content = value.model_dump_json(exclude_unset=True)
    return Response(content, media_type="application/json", headers=headers)


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


async def _whole(response: ApiResponse, events: AsyncGenerator[Told, None]) -> BaseModel:
    async with aclosing(events):
        return await response.whole(events)


async def _while_connected(request: Request, work: Awaitable[Result]) -> Result:
    """The result of `work`, which is cancelled when the client goes away."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise _gone()
        return task.result()
    finally:
        for each in (task, gone):
            each.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await each


def _gone() -> RequestError:
    return RequestError("The client closed the connection.", status=499)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class _EventStream(StreamingResponse):
    """Closes its events however it ends: a client may also go away while a chunk is being sent."""

    def __init__(
        self,
        response: ApiResponse,
        first: Told,
        events: AsyncGenerator[Told, None],
        headers: Mapping[str, str],
    ) -> None:
        self._events = events
        self._chunks = _server_sent(response, first, events)
        super().__init__(
            self._chunks, media_type="text/event-stream", headers={**headers, **_AS_IT_COMES}
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._events), aclosing(self._chunks):
            with suppress(ClientDisconnect):
                await super().__call__(scope, receive, send)


async def _server_sent(
    response: ApiResponse, first: Told, events: AsyncIterator[Told]
) -> AsyncGenerator[str, None]:
    """The chunks as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

    async def all_events() -> AsyncIterator[Told]:
        yield first
        async for event in events:
            yield event

    try:
        async for chunk in response.chunks(all_events()):
            yield f"data: {chunk.model_dump_json(exclude_unset=True)}\n\n"
    except ApiError as error:
        yield f"data: {json.dumps(error.body())}\n\n"
    except Exception:
        _log.exception("A stream failed")
        yield f"data: {json.dumps(FAILED.body())}\n\n"
    yield "data: [DONE]\n\n"
