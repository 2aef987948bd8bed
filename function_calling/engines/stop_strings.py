"""Stop strings in a text that comes bit by bit: no bit leaves that may be the beginning of one."""

from collections.abc import Sequence

import regex


class StopStrings:
    """Holds text back while it may become a stop string, and ends it before the first.

    Attributes:
        found: The one that has come; the text behind it is dropped.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        # Of two that begin alike the shorter comes first, as it does where text comes in pieces.
        escaped = map(regex.escape, sorted(stops))
        self._stops = regex.compile("|".join(escaped) if stops else "(?!)")
        self._held = ""
        self.found: str | None = None

    def feed(self, text: str) -> str:
        """What can leave now that this text has come."""
        if self.found:
            return ""
        held = self._held + text
        match = self._stops.search(held, partial=True)
        place = match.start() if match else len(held)
        self._held = held[place:]
        if match and not match.partial:
            self.found, self._held = match[0], ""
        return held[:place]

    def rest(self) -> str:
        """What was held back, once it is known that nothing follows."""
        rest, self._held = self._held, ""
        return rest
