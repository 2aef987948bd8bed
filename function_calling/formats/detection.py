"""Where in a growing text does a tool call begin?

One detector reads whole replies and streams alike: it lets text through as soon as it can't be
the beginning of a call any more, and not before.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import regex

from function_calling.formats.format import Format


@dataclass(frozen=True, slots=True)
class CallStart:
    """A call begins here; `name` is the tool if the spelling has told it already."""

    name: str | None


class CallDetector:
    """Splits text, fed piece by piece, into what is content and where a call begins.

    Args:
        form: The format whose spellings of a call are looked for.
        names: The offered tools; JSON that names another is content.
    """

    def __init__(self, form: Format, names: Sequence[str]) -> None:
        starts = "|".join(form.call_starts)
        self._pattern = regex.compile(rf"\s*(?:{starts})", names=list(names))
        self._held = ""

    def feed(self, text: str) -> tuple[str, CallStart | None]:
        """The content that `text` settles, and the call's start if it settles that.

        Behind a start nothing may be fed.
        """
        self._held += text
        match = self._pattern.search(self._held, partial=True)
        if match is None:
            return self.rest(), None
        content, self._held = self._held[: match.start()], self._held[match.start() :]
        if match.partial:
            return content, None
        return content, CallStart(match.groupdict().get("name"))

    def rest(self) -> str:
        """What was held back and, the text being over, is content."""
        held, self._held = self._held, ""
        return held
