"""The time that a turn takes, and the time that it may take."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from function_calling.agent.events import Timings
from function_calling.toolbox.toolbox import Approve


class Clock:
    """It runs from now on, for `limit` seconds, not counting those in which a person is asked."""

    def __init__(self, limit: float) -> None:
        self._now = asyncio.get_running_loop().time
        self._begun = self._now()
        self._end = self._begun + limit
        self._first_text: float | None = None
        self._seconds = {"model": 0.0, "tools": 0.0}

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

    @contextmanager
    def waiting_for(self, what: str) -> Iterator[None]:
        """Count the seconds that pass inside, as the `model`'s or the `tools`'."""
        began = self._now()
        try:
            yield
        finally:
            self._seconds[what] += self._now() - began

    def note_text(self) -> None:
        """Text is told now."""
        if self._first_text is None:
            self._first_text = self._now() - self._begun

    def timings(self) -> Timings:
        """Those of the turn, which ends now."""
        total = self._now() - self._begun
        seconds: dict[str, Any] = {"first_text": self._first_text, **self._seconds, "total": total}
        return Timings(**{name: each and round(each, 3) for name, each in seconds.items()})
