"""What a request and a client may take of the server: bytes, seconds, and requests at once.

uvicorn bounds none of them, and BentoML the seconds until an answer begins alone.
"""

import asyncio
from collections.abc import Iterator

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from function_calling.asking import CLIENT, ON_BEHALF_OF, Client, digest, fits
from function_calling.door.access import KEY
from function_calling.door.guard import Guard, Refuse, in_openais_shape
from function_calling.errors import EngineError, RequestError

BODY_SECONDS = 60
"""How long a request's body may take to come."""
RETRY_SECONDS = 5
"""When one that was turned away may come again."""


class Bounds(Guard):
    """Says who asks, and refuses what is too much.

    Args:
        most_bytes: Bytes of a body at most.
        most_requests: POST requests worked on at once; for how many of a client, `fits` says.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        most_bytes: int,
        most_requests: int,
        refuse: Refuse = in_openais_shape,
    ) -> None:
        super().__init__(app, refuse)
        self._most_bytes = most_bytes
        self._most_requests = most_requests
        self._posts: list[Client] = []

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have a request answered within the bounds."""
        client = _client(scope)
        CLIENT.set(client)
        if scope["method"] != "POST":
            return await self._app(scope, receive, send)
        self._check_fits(client)
        self._posts.append(client)
        try:
            body = await _body(scope, receive, self._most_bytes)
            await self._app(scope, again(body, receive), send)
        finally:
            self._posts.remove(client)

    def _check_fits(self, client: Client) -> None:
        if not fits(client, self._posts, self._most_requests):
            raise EngineError(
                f"The server is busy: it works on {len(self._posts)} requests. "
                f"Try again in {RETRY_SECONDS} seconds.",
                code="server_overloaded",
                status=503,
                retry_after=RETRY_SECONDS,
            )


class AnswerTimeout:
    """ASGI middleware that ends a request whose answer has not begun in time (504).

    BentoML's own never stops its clock: whatever belongs to a request, some 5 KB, stays in memory
    until that time is over, however soon the request was answered.

    Args:
        timeout: Seconds until an answer must begin.
    """

    def __init__(self, app: ASGIApp, timeout: float) -> None:
        self._app = app
        self._seconds = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have a request answered, or tell that it took too long."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def begun(message: Message) -> None:
            if not limit.expired():
                limit.reschedule(None)
                await send(message)

        limit = asyncio.timeout(self._seconds)
        try:
            async with limit:
                await self._app(scope, receive, begun)
        except TimeoutError:
            if not limit.expired():
                raise
            error = EngineError(f"No answer within {self._seconds:g} seconds.", status=504)
            await JSONResponse(error.body(), error.status)(scope, receive, send)


def again(body: bytes, receive: Receive) -> Receive:
    """What gives a body that was read already, and then what comes behind it."""
    messages: Iterator[Message] = iter([{"type": "http.request", "body": body}])

    async def received() -> Message:
        return next(messages, None) or await receive()

    return received


async def _body(scope: Scope, receive: Receive, most_bytes: int) -> bytes:
    """A request's whole body; one that is too large is not held, and uvicorn stops reading it.

    Raises:
        ClientDisconnect: The client went away.
        RequestError: It is too large (413), or takes too long (408).
    """
    declared = Headers(scope=scope).get("content-length", "0")
    size, body = int(declared[:20]) if declared.isdecimal() else 0, bytearray()
    parts = Request(scope, receive).stream()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while size <= most_bytes:
                body += await anext(parts)
                size = max(size, len(body))
    except StopAsyncIteration:
        return bytes(body)
    except TimeoutError:
        told = f"The body did not come within {BODY_SECONDS} seconds."
        raise RequestError(told, status=408) from None
    raise RequestError(f"The body is larger than {most_bytes} bytes.", status=413)


def _client(scope: Scope) -> Client:
    """Who asks: a key or else an address, and for whom, where it says so."""
    headers = Headers(scope=scope)
    peer = scope.get(KEY) or (scope.get("client") or ("",))[0]
    asker = headers.get(ON_BEHALF_OF)
    return (peer,) if asker is None else (peer, digest(asker))
