"""Connections that send or read nothing are closed: uvicorn bounds only those that idle.

BentoML runs uvicorn, which takes the class that its table of protocols names.
"""

import asyncio

from uvicorn.config import HTTP_PROTOCOLS
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 30
"""How long a request's head may take to come, after the connection or the last response."""
READ_SECONDS = 60
"""How long what was sent may wait for its reader."""


class Connection(H11Protocol):
    """uvicorn's connection, with an end to waiting for the client.

    To the service, one whose reader was waited for in vain is as one whose client went away.
    """

    _timer: asyncio.TimerHandle | None = None
    _unsent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there; its request's head is waited for."""
        super().connection_made(transport)
        self._wait(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        super().connection_lost(exc)
        self._stop()

    def on_response_complete(self) -> None:
        """What is left of the response goes out, and the next request may come."""
        super().on_response_complete()
        self._wait(READ_SECONDS if self.flow.write_paused else HEAD_SECONDS)

    def pause_writing(self) -> None:
        """The client does not read as fast as the service writes, which is held from now on."""
        super().pause_writing()
        self._wait(READ_SECONDS)

    def resume_writing(self) -> None:
        """It has caught up."""
        super().resume_writing()
        self._wait(HEAD_SECONDS)

    def _wait(self, seconds: float) -> None:
        self._stop()
        self._unsent = self.transport.get_write_buffer_size()
        self._timer = self.loop.call_later(seconds, self._overdue, seconds)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _overdue(self, seconds: float) -> None:
        """Close the connection if it was the client that was waited for."""
        answered = self.cycle is None or self.cycle.response_complete
        if answered and self.transport.get_write_buffer_size() < self._unsent:
            self._wait(seconds)  # a long response on a slow line: it holds no slot any more
        elif answered or self.flow.write_paused:
            self.transport.abort()


def use() -> None:
    """Have uvicorn servers that start from now on use it."""
    HTTP_PROTOCOLS["auto"] = f"{__name__}:{Connection.__name__}"
