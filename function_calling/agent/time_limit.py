"""The time that a query may take: it runs while something is awaited, and not while a person is."""

import asyncio
from collections.abc import Mapping
from typing import Any

from function_calling.toolbox.toolbox import Approve


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

    def pausing(self, approve: Approve) -> Approve:
        """`approve`, so that the time that it takes does not count; not for use in `running`."""

        async def paused(name: str, arguments: Mapping[str, Any]) -> bool:
            began = self._now()
            try:
                return await approve(name, arguments)
            finally:
                self._end += self._now() - began

        return paused
