"""One response to one client: replies side by side, sent whole or as server-sent events.

A client that goes away stops what is generated for it, and an error in mid-stream is its last
event, also where the server is told to stop.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import TypeAlias, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from function_calling.api.response import ApiResponse, Json, as_json
from function_calling.cutoff import Cutoff
from function_calling.errors import ApiError, EngineError, RequestError
from function_calling.model.words import Event, Finished
from function_calling.telemetry import metrics, tracing

CLIENT_GONE = 499
"""The status of a request whose client closed the connection, as nginx has it."""
FAILED = EngineError("The server failed; its log says why.")
"""What a caller is told of an error that was not foreseen."""

_AS_IT_COMES = {"cache-control": "no-cache", "x-accel-buffering": "no"}
"""What keeps proxies from holding a stream back."""
_log = logging.getLogger(__name__)

Indexed: TypeAlias = tuple[int, Event]
"""An event behind the index of the reply that it belongs to."""
Result = TypeVar("Result")
_Queue: TypeAlias = asyncio.Queue[Indexed | Exception | None]


async def respond(
    request: Request,
    response: ApiResponse,
    replies: Sequence[AsyncGenerator[Event, None]],
    headers: Mapping[str, str],
    *,
    stream: bool | None,
) -> Response:
    """The response with `replies`, which are closed however it ends.

    Here each reply is measured, whatever the protocol.

    Raises:
        ApiError: The request can't be served, or its client went away.
    """
    headers = {**headers, **response.headers}
    cutoff: Cutoff = request.app.state.cutoff
    events = cutoff.each(side_by_side([_measured(each, response.model) for each in replies]))
    if not stream:
        async with aclosing(events):
            whole = await _while_connected(request, _whole(response, events))
        return Response(as_json(whole), media_type="application/json", headers=headers)
    # The first event tells whether the request can be served at all, while a status can be sent.
    first = await _while_connected(request, anext(events))
    return _EventStream(_server_sent(response, first, events), events, headers)


async def side_by_side(
    replies: Sequence[AsyncGenerator[Event, None]],
) -> AsyncGenerator[Indexed, None]:
    """The events of all replies as they come; the first error ends all of them.

    Closing it closes every reply. A reply runs ahead of the reader by two events at most.
    """
    queue: _Queue = asyncio.Queue(maxsize=1)
    tasks = [asyncio.create_task(_put(queue, *each)) for each in enumerate(replies)]
    running = len(tasks)
    try:
        while running:
            match await queue.get():
                case None:
                    running -= 1
                case Exception() as error:
                    raise error
                case event:
                    yield event
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _put(queue: _Queue, index: int, reply: AsyncGenerator[Event, None]) -> None:
    """Pass on the reply's events, and then its error, or None for its good end."""
    end = None
    try:
        async with aclosing(reply):
            async for event in reply:
                await queue.put((index, event))
    except Exception as error:
        end = error
    await queue.put(end)


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


async def _whole(response: ApiResponse, events: AsyncGenerator[Indexed, None]) -> Json:
    async for each in events:
        response.add(*each)
    return response.whole()


async def _server_sent(
    response: ApiResponse, first: Indexed, events: AsyncGenerator[Indexed, None]
) -> AsyncGenerator[str, None]:
    """The chunks as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    try:
        for chunk in response.chunks(*first):
            yield response.framed(chunk)
        async for each in events:
            for chunk in response.chunks(*each):
                yield response.framed(chunk)
    except ApiError as error:
        metrics.refused(error)
        yield response.failed(error)
    except Exception:
        _log.exception("A stream failed")
        metrics.refused(FAILED)
        yield response.failed(FAILED)
    if response.end:
        yield response.end


class _EventStream(StreamingResponse):
    """Closes its events however it ends: a client may also go away while a chunk is being sent."""

    def __init__(
        self,
        texts: AsyncGenerator[str, None],
        events: AsyncGenerator[Indexed, None],
        headers: Mapping[str, str],
    ) -> None:
        headers = {**headers, **_AS_IT_COMES}
        super().__init__(texts, media_type="text/event-stream", headers=headers)
        self._sources = texts, events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        texts, events = self._sources
        async with aclosing(events), aclosing(texts):
            with suppress(ClientDisconnect):
                await super().__call__(scope, receive, send)
