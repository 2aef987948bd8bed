"""The time that a query may take: it runs while something is awaited, and not while a person is."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class TimeLimit:
    """`seconds` from now."""

    def __init__(self, seconds: float) -> None:
        self._now = asyncio.get_running_loop().time
        self._end = self._now() + seconds
        self._timeout = asyncio.timeout_at(self._end)

    def running(self) -> asyncio.Timeout:
        """A context whose awaits end with a TimeoutError when the time is over."""
        self._timeout = asyncio.timeout_at(self._end)
        return self._timeout

    def pausing(
        self, ask: Callable[_Arguments, Awaitable[_Result]]
    ) -> Callable[_Arguments, Awaitable[_Result]]:
        """`ask` as it can be called in `running`: the time that it takes does not count."""

        async def paused(*arguments: _Arguments.args, **named: _Arguments.kwargs) -> _Result:
            began = self._now()
            self._timeout.reschedule(None)
            try:
                return await ask(*arguments, **named)
            finally:
                self._end += self._now() - began
                self._timeout.reschedule(self._end)

        return paused
