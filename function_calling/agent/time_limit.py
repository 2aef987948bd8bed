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

    def left(self) -> float:
        """Seconds that are left; none, or less, where the time is over."""
        return self._end - self._now()

    def running(self) -> asyncio.Timeout:
        """A context whose awaits end with a TimeoutError when the time is over."""
        return asyncio.timeout_at(self._end)

    def pausing(
        self, ask: Callable[_Arguments, Awaitable[_Result]]
    ) -> Callable[_Arguments, Awaitable[_Result]]:
        """`ask`, so that the time that it takes does not count; not for use in `running`."""

        async def paused(*arguments: _Arguments.args, **named: _Arguments.kwargs) -> _Result:
            began = self._now()
            try:
                return await ask(*arguments, **named)
            finally:
                self._end += self._now() - began

        return paused
