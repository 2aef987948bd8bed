"""The places that an engine has for generations, and a queue in front of them that has an end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from function_calling.asking import CLIENT, Client, fits, levels
from function_calling.errors import EngineError

RETRY_SECONDS = 5
"""When one that was turned away may come again; a short reply takes about as long."""


class Slots:
    """Lets some generations run at once and some wait; turns away who comes then.

    Those that go on with a reply are served first. Peers take turns, and so do the clients of a
    peer; a client's own are served in the order in which they came. Nobody who waits is turned
    away.

    Args:
        count: Generations that run at once.
        queue_length: Generations that wait at most; for how many of a client, `fits` says.

    Attributes:
        running: Generations that run now.
    """

    def __init__(self, count: int, queue_length: int) -> None:
        self._count = count
        self._queue_length = queue_length
        self.running = 0
        self._queue: dict[asyncio.Future[None], Client] = {}
        self._served: dict[Client, int] = {}

    @property
    def waiting(self) -> int:
        """Generations that wait now."""
        return len(self._queue)

    @asynccontextmanager
    async def taken(self, *, begun: bool) -> AsyncIterator[None]:
        """Hold a slot, as soon as there is one.

        Args:
            begun: A reply that has begun goes on however many wait.

        Raises:
            EngineError: Too many wait (503).
        """
        if self.running < self._count:
            self.running += 1
        else:
            await self._wait(begun)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, begun: bool) -> None:
        """Wait for a slot that another passes on."""
        client = () if begun else CLIENT.get()
        if not begun and not fits(client, self._queue.values(), self._queue_length):
            raise EngineError(
                f"The model is busy: {self.running} requests run and {self.waiting} wait. "
                f"Try again in {RETRY_SECONDS} seconds.",
                code="engine_overloaded",
                status=503,
                retry_after=RETRY_SECONDS,
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue[turn] = client
        for level in levels(client):
            self._served.setdefault(level, next(_clock))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._leave(turn)
            else:
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """Give a slot to who is next, or free it."""
        waiting = [turn for turn in self._queue if not turn.done()]
        if not waiting:
            self.running -= 1
            return
        # Whose peer was served longest ago, then whose client. One that came anew counts as served
        # then: else those who often do would always come before one that has many waiting.
        turn = min(waiting, key=lambda it: [self._served[each] for each in levels(self._queue[it])])
        for level in levels(self._queue[turn]):
            self._served[level] = next(_clock)
        self._leave(turn)
        turn.set_result(None)

    def _leave(self, turn: asyncio.Future[None]) -> None:
        del self._queue[turn]
        left = {level for client in self._queue.values() for level in levels(client)}
        self._served = {level: when for level, when in self._served.items() if level in left}


_clock = count()
