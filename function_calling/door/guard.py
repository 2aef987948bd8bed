"""What a door's guards have in common: they pass a request on, or refuse it with an error."""

from collections.abc import Callable
from typing import TypeAlias

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from function_calling.errors import ApiError
from function_calling.telemetry import metrics

Refuse: TypeAlias = Callable[[Request, ApiError], Response]
"""Makes the response of an error."""


def in_openais_shape(_: Request, error: ApiError) -> Response:
    """The error as a response of the assistant, counted."""
    metrics.failed(error)
    return JSONResponse(error.body(), error.status, error.headers)


class Guard:
    """ASGI middleware whose `answer` passes a request on to `app`, or refuses it by an ApiError."""

    def __init__(self, app: ASGIApp, refuse: Refuse = in_openais_shape) -> None:
        self._app = app
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; what is none passes, but for websockets, which nothing here speaks."""
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008})
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        try:
            await self.answer(scope, receive, send)
        except ClientDisconnect:
            return  # there is nobody to be answered
        except ApiError as error:
            await self._refuse(Request(scope), error)(scope, receive, send)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._app(scope, receive, send)
