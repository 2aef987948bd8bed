"""Every request has an id, by which its log lines are found in both services."""

import re
import secrets
from contextlib import nullcontext

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from function_calling.door.guard import Guard
from function_calling.telemetry import tracing
from function_calling.telemetry.logs import REQUEST_ID_HEADER, request_id

_USABLE = re.compile(r"[!-~]{1,128}")


class RequestId(Guard):
    """Takes a request's id, or makes one, and has the response tell it.

    An id that is too long, or has other than printable ASCII characters, is replaced.
    """

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its id set, and the response back with its header."""
        given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        own = given if _USABLE.fullmatch(given) else secrets.token_hex(16)

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = own
            # BentoML makes a span of each message, which would be one for each token of a stream.
            with tracing.unsampled() if message.get("more_body") else nullcontext():
                await send(message)

        before = request_id.set(own)
        try:
            await self._app(scope, receive, marked)
        finally:
            request_id.reset(before)
