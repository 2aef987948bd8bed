"""A server that is told to stop: requests under way get a time to end, new ones are refused.

uvicorn alone would close its port, and wait for the last client for ever.
"""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from function_calling.cutoff import Cutoff
from function_calling.door.guard import Guard, Refuse, in_openais_shape
from function_calling.errors import EngineError

RETRY_SECONDS = 5
"""When a client may try again: another server, or the one that comes after this."""
SEND_SECONDS = 1
"""How long clients have to read what is left for them, after which they are cut off."""
_ALWAYS_ANSWERED = ("/livez", "/healthz", "/metrics")


class Stopping:
    """The stop of one server process.

    Args:
        seconds: How long requests may go on.

    Attributes:
        cutoff: Ended when that time is over.
        begun: Whether new requests are refused.
    """

    def __init__(self, seconds: float) -> None:
        self.cutoff = Cutoff()
        self.begun = False
        self._seconds = seconds
        self._under_way = 0
        self._idle = asyncio.Event()

    @contextmanager
    def request(self) -> Iterator[None]:
        """A request that is under way."""
        self._under_way += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    def heed_signals(self) -> None:
        """Begin it when a signal comes that would end the server, in the server's own loop."""
        server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
        if isinstance(server, uvicorn.Server):
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self._begin, server)

    def _begin(self, server: uvicorn.Server) -> None:
        if not self.begun:
            self._stop = asyncio.create_task(self.stop(server))

    async def stop(self, server: uvicorn.Server) -> None:
        """Wait for what is under way, tell the rest that it is over, and let the server end."""
        self.begun = True
        with suppress(TimeoutError):
            async with asyncio.timeout(self._seconds if self._under_way else 0):
                await self._idle.wait()
        self.cutoff.end(_stopped("The server was stopped before its answer was complete."))
        server.config.timeout_graceful_shutdown = SEND_SECONDS
        server.should_exit = True


class StoppingDoor(Guard):
    """Counts the requests under way, and refuses new ones once `stopping` has begun."""

    def __init__(self, app: ASGIApp, stopping: Stopping, refuse: Refuse = in_openais_shape) -> None:
        super().__init__(app, refuse)
        self._stopping = stopping

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See `Guard.answer`."""
        if scope["path"] in _ALWAYS_ANSWERED:
            return await self._app(scope, receive, send)
        if self._stopping.begun:
            raise _stopped("The server is being stopped.")
        with self._stopping.request():
            await self._app(scope, receive, send)


def _stopped(what: str) -> EngineError:
    again = f"{what} Try again in {RETRY_SECONDS} seconds."
    return EngineError(again, code="server_stopping", status=503, retry_after=RETRY_SECONDS)
