"""Where in a growing text does a tool call begin?

One detector reads whole replies and streams alike: it lets text through as soon as it can't be
the beginning of a call any more, and not before.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import regex

from function_calling.formats.format import Format
from function_calling.formats.steps import StepText


@dataclass(frozen=True, slots=True)
class CallStart:
    """A call begins here.

    Attributes:
        name: The tool, if the spelling has told it already.
        text: The spelling.
        space: What stands between the content and the spelling, and is neither.
    """

    name: str | None
    text: str
    space: str


class CallDetector:
    """Splits text, fed piece by piece, into what is content and where a call begins.

    Args:
        form: The format whose spellings of a call are looked for.
        names: The offered tools; JSON that names another is content.
        behind_call: Whether a call stands before the text. Then whatever isn't another call ends
            the reply: it is the model's guess at the result.

    Attributes:
        over: Whether the reply is over, whatever may follow.
    """

    def __init__(self, form: Format, names: Sequence[str], *, behind_call: bool = False) -> None:
        spellings = form.next_starts if behind_call and form.next_starts else form.call_starts
        before = rf"(?:{form.closers})*" if behind_call else r"\s*"
        starts = "|".join(spellings) if names else "(?!)"
        self._start = regex.compile(
            f"(?P<space>{before})(?P<start>{starts})", names=list(names), ignore_unused=True
        )
        self._behind_call = behind_call
        self._steps = StepText() if form.steps else None
        self._last = ""
        self._held = ""
        self.over = False

    def feed(self, text: str) -> tuple[str, CallStart | None]:
        """The content that `text` settles, and the call's start if it settles that.

        Behind a start nothing may be fed.
        """
        if self.over:
            return "", None
        self._held += text
        match = self._match()
        content = self._release(match.start() - len(self._last) if match else len(self._held))
        if self._behind_call:
            content, self.over = "", match is None
        elif self._steps:
            content = self._steps.feed(content)
            self.over = self._steps.over
        if match is None or match.partial or self.over:
            return content, None
        if self._steps:
            content += self._steps.rest()
        self._held = self._held[len(match["space"]) :]
        return content, CallStart(match.groupdict().get("name"), match["start"], match["space"])

    def _match(self) -> regex.Match[str] | None:
        """Where a call begins, or may begin; what stood before tells where lines begin."""
        text = self._last + self._held
        if self._behind_call:
            return self._start.match(text, partial=True)
        found = self._start.search(text, len(self._last), partial=True)
        # A whole match is found before one that is still growing, even where this begins earlier.
        for place in range(len(self._last), found.start() if found else 0):
            if growing := self._start.match(text, place, partial=True):
                return growing
        return found

    def _release(self, length: int) -> str:
        content, self._held = self._held[:length], self._held[length:]
        self._last = content[-1:] or self._last
        return content

    def rest(self) -> str:
        """What was held back and, the text being over, is content."""
        held, self._held = "" if self._behind_call else self._held, ""
        if self._steps:
            return self._steps.feed(held) + ("" if self.over else self._steps.rest())
        return held

    def from_start(self) -> str:
        """The text from the call's start on, once that was told."""
        held, self._held = self._held, ""
        return held
