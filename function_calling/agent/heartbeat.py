"""A model server that hangs is noticed while a reply is awaited: it answers nothing else either.

One that is only busy still says that it lives, at BentoML's `/livez`. Where there is no such route,
nothing is asked for any more.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress

import httpx2

from function_calling.cutoff import Cutoff
from function_calling.errors import EngineError

BEAT_SECONDS = 3.0
"""Between two questions, and how long each may take to be answered."""
MOST_MISSED = 3
"""Questions in a row without an answer, after which the server counts as hung."""
RETRY_SECONDS = 30
"""After which `serve` has replaced a worker that hangs."""

_PASSED_ON = ("authorization", "user-agent")


class Heartbeat(httpx2.AsyncBaseTransport):
    """A transport whose requests end with an EngineError (503) when their server hangs.

    It counts as hung only if it has said before that it lives.
    """

    def __init__(self, transport: httpx2.AsyncBaseTransport) -> None:
        self._transport = transport
        # Whether it has said that it lives; False where it has no such route.
        self._lives: bool | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request, and watch its server until the response is closed."""
        cutoff = Cutoff()
        beats = asyncio.create_task(self._beat(request, cutoff))
        try:
            async with cutoff.running():
                response = await self._transport.handle_async_request(request)
        except BaseException:
            beats.cancel()
            raise
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Watched(response.stream, cutoff, beats)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def _beat(self, request: httpx2.Request, cutoff: Cutoff) -> None:
        """Ask every few seconds; when nothing is answered several times in a row, end `cutoff`."""
        if self._lives is None and 0 < (status := await self._status(request)) < 500:
            self._lives = status == httpx2.codes.OK
        missed = 0
        while self._lives and missed < MOST_MISSED:
            await asyncio.sleep(BEAT_SECONDS)
            missed = 0 if await self._status(request) else missed + 1
        if self._lives:
            told = f"The model server hangs: {missed} times in a row it did not say that it lives."
            code = "model_unresponsive"
            cutoff.end(EngineError(told, code=code, status=503, retry_after=RETRY_SECONDS))

    async def _status(self, request: httpx2.Request) -> int:
        """What the server answers to the question whether it lives; 0 where it does not."""
        headers = [each for each in request.headers.items() if each[0] in _PASSED_ON]
        url = request.url.copy_with(path="/livez", query=None)
        with suppress(httpx2.TransportError, TimeoutError):
            async with asyncio.timeout(BEAT_SECONDS):
                question = httpx2.Request("GET", url, headers=headers)
                response = await self._transport.handle_async_request(question)
                await response.aread()
                return response.status_code
        return 0


class _Watched(httpx2.AsyncByteStream):
    """A response's body that ends with the cutoff's error."""

    def __init__(
        self, stream: httpx2.AsyncByteStream, cutoff: Cutoff, beats: asyncio.Task[None]
    ) -> None:
        self._stream = stream
        self._cutoff = cutoff
        self._beats = beats

    def __aiter__(self) -> AsyncIterator[bytes]:
        parts = aiter(self._stream)
        assert isinstance(parts, AsyncGenerator)
        return self._cutoff.each(parts)

    async def aclose(self) -> None:
        self._beats.cancel()
        await self._stream.aclose()
