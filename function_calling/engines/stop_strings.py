"""Stop strings in a text that comes bit by bit: no bit leaves that may be the beginning of one."""

from collections.abc import Sequence


class StopStrings:
    """Holds text back while it may become a stop string, and ends it before the first.

    Attributes:
        found: The one that has come; the text behind it is dropped.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held = ""
        self.found: str | None = None

    def feed(self, text: str) -> str:
        """What can leave now that this text has come."""
        if self.found:
            return ""
        held = self._held + text
        places = [(at, stop) for stop in self._stops if (at := held.find(stop)) >= 0]
        if places:
            at, self.found = min(places)
            self._held = ""
            return held[:at]
        kept = max((_begun(held, stop) for stop in self._stops), default=0)
        self._held = held[len(held) - kept :]
        return held[: len(held) - kept]

    def rest(self) -> str:
        """What was held back, once it is known that nothing follows."""
        rest, self._held = self._held, ""
        return rest


def _begun(text: str, stop: str) -> int:
    """How many characters at the end of the text are the beginning of the stop string."""
    most = min(len(text), len(stop) - 1)
    return next((size for size in range(most, 0, -1) if text.endswith(stop[:size])), 0)
