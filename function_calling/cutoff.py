"""Awaits that end with an error when something else happens: the server stops, its model hangs."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import TypeVar

from function_calling.errors import ApiError

Item = TypeVar("Item")


class Cutoff:
    """Lets things be awaited until `end` is called, and nothing any more from then on."""

    def __init__(self) -> None:
        self.error: ApiError | None = None
        self._awaited: set[asyncio.Timeout] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """A context whose awaits end with the error."""
        if self.error:
            raise self.error
        timeout = asyncio.timeout(None)
        try:
            async with timeout:
                self._awaited.add(timeout)
                yield
        except TimeoutError:
            if self.error and timeout.expired():
                raise self.error from None
            raise
        finally:
            self._awaited.discard(timeout)

    async def each(self, items: AsyncGenerator[Item, None]) -> AsyncGenerator[Item, None]:
        """The items, which are closed at the end; the error in place of the next one."""
        async with aclosing(items):
            while True:
                async with self.running():
                    item = await anext(items, None)
                if item is None:
                    return
                yield item

    def end(self, error: ApiError) -> None:
        """End what is awaited, and what will be."""
        self.error = error
        for each in self._awaited:
            each.reschedule(asyncio.get_running_loop().time())
