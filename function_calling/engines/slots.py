"""The places that an engine has for generations, and a queue in front of them that has an end."""

from asyncio import Semaphore
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from function_calling.errors import EngineError

RETRY_SECONDS = 5
"""When one that was turned away may come again; a short reply takes about as long."""


class Slots:
    """Lets some generations run at once and some wait; turns away who comes then.

    Args:
        count: Generations that run at once.
        queue_length: Generations that wait at most.

    Attributes:
        running: Generations that run now.
        waiting: Generations that wait for a slot now.
    """

    def __init__(self, count: int, queue_length: int) -> None:
        self._count = count
        self._queue_length = queue_length
        self.waiting = 0
        self.running = 0
        self._free = Semaphore(count)

    @asynccontextmanager
    async def taken(self, *, begun: bool) -> AsyncIterator[None]:
        """Hold a slot, as soon as there is one.

        Args:
            begun: A reply that has begun goes on however many wait.

        Raises:
            EngineError: Too many wait (503).
        """
        if self._free.locked() and self.waiting >= self._queue_length and not begun:
            raise EngineError(
                f"The model is busy: {self._count} requests run and {self.waiting} wait. "
                f"Try again in {RETRY_SECONDS} seconds.",
                code="engine_overloaded",
                status=503,
                retry_after=RETRY_SECONDS,
            )
        self.waiting += 1
        try:
            await self._free.acquire()
        finally:
            self.waiting -= 1
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._free.release()
