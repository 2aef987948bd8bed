"""What a request and a client may take of the server: bytes, seconds, and requests at once.

BentoML and uvicorn bound none of them.
"""

import asyncio

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from function_calling.asking import CLIENT, ON_BEHALF_OF, Client, digest, fits
from function_calling.door.access import KEY, Refuse, in_openais_shape
from function_calling.errors import ApiError, EngineError, RequestError

BODY_SECONDS = 60
"""How long a request's body may take to come."""
RETRY_SECONDS = 5
"""When one that was turned away may come again."""


class Bounds:
    """ASGI middleware that says who asks, and refuses what is too much.

    Args:
        app: What the rest is given to.
        most_bytes: Bytes of a body at most.
        most_requests: POST requests worked on at once; for how many of a client, `fits` says.
        refuse: Makes the response of an error.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        most_bytes: int,
        most_requests: int,
        refuse: Refuse = in_openais_shape,
    ) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._most_requests = most_requests
        self._refuse = refuse
        self._posts: list[Client] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have a request answered within the bounds."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        client = _client(scope)
        CLIENT.set(client)
        body = _Body(scope, receive, self._most_bytes)
        try:
            if scope["method"] != "POST":
                return await self._app(scope, body.receive, send)
            self._check_fits(client)
            self._posts.append(client)
            try:
                await self._app(scope, body.receive, send)
            finally:
                self._posts.remove(client)
        except ApiError as error:
            refusal = self._refuse(Request(scope), error, error.status, error.headers)
            await refusal(scope, receive, send)

    def _check_fits(self, client: Client) -> None:
        if not fits(client, self._posts, self._most_requests):
            raise EngineError(
                f"The server is busy: it works on {len(self._posts)} requests. "
                f"Try again in {RETRY_SECONDS} seconds.",
                code="server_overloaded",
                status=503,
                retry_after=RETRY_SECONDS,
            )


class _Body:
    """A request's body as it comes; too much of it is an error to whoever reads, and is not held.

    uvicorn stops reading from the connection while nobody reads here.
    """

    def __init__(self, scope: Scope, receive: Receive, most_bytes: int) -> None:
        self._receive = receive
        self._most_bytes = most_bytes
        declared = Headers(scope=scope).get("content-length", "0")
        self._declared = int(declared[:20]) if declared.isdecimal() else 0
        self._bytes = 0
        self._whole = False
        self._end = asyncio.get_running_loop().time() + BODY_SECONDS

    async def receive(self) -> Message:
        """The next part of it, or what comes behind it.

        Raises:
            RequestError: It is too large (413), or takes too long (408).
        """
        if self._whole:
            return await self._receive()
        self._check_size(self._declared)
        try:
            async with asyncio.timeout_at(self._end):
                message = await self._receive()
        except TimeoutError:
            told = f"The body did not come within {BODY_SECONDS} seconds."
            raise RequestError(told, status=408) from None
        self._bytes += len(message.get("body", b""))
        self._check_size(self._bytes)
        self._whole = not message.get("more_body", False)
        return message

    def _check_size(self, size: int) -> None:
        if size > self._most_bytes:
            told = f"The body is larger than {self._most_bytes} bytes."
            raise RequestError(told, status=413)


def _client(scope: Scope) -> Client:
    """Who asks: a key or else an address, and for whom, where it says so."""
    headers = Headers(scope=scope)
    peer = scope.get(KEY) or (scope.get("client") or ("",))[0]
    asker = headers.get(ON_BEHALF_OF)
    return (peer,) if asker is None else (peer, digest(asker))
