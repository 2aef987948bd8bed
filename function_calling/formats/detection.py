"""Where in a growing text does a tool call begin, and what of the text before it is content?

One detector reads whole replies and streams alike: it lets text through as soon as it can't be
the beginning of a call any more, and not before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import regex

from function_calling.formats.format import Format

_SPACE_BEGINS = r"(?<!\s)"
"""Where no space stands before: small models write long runs, which are then read once."""
_KEYS = r"(?:[\"'](?:id|type)[\"']\s*:\s*(?:[\"']\w*[\"']|\d+)\s*,\s*)*"
_FUNCTION = r"(?:[\"']function[\"']\s*:\s*\{\s*)?"
_NAME = r"[\"'](?:name|function)[\"']\s*:\s*[\"'](?P<name>\L<names>)[\"']"
_ARGUMENTS = r"[\"'](?:arguments|parameters)[\"']\s*:"
_OBJECT = r"(?P<object>\{(?:[^{}\"']|\"(?:[^\"\\]|\\.)*+\"|'(?:[^'\\]|\\.)*+'|(?&object))*+\})"

BARE_CALL = (
    r"(?:```(?:json|tool_call|tool_code)?\s*+)?\[?\s*+\{{1,2}\s*+"
    rf"{_KEYS}{_FUNCTION}(?:{_NAME}\s*,\s*{_KEYS}{_ARGUMENTS}|{_ARGUMENTS}\s*{_OBJECT}\s*,\s*{_NAME})"
)
"""A JSON object that names an offered tool and holds its arguments.

In a Markdown fence or not, in a list or not, inside `{"type": "function", "function": {…}}` or
not, with doubled braces or not, in either order: `{"name": "f", "parameters": {…}}`.
"""


@dataclass(frozen=True, slots=True)
class CallStart:
    """A call begins here.

    Attributes:
        name: The tool, if the spelling has told it already.
        text: The spelling, with the space that stands between the content and it.
        behind: What has come behind the spelling.
    """

    name: str | None
    text: str
    behind: str = field(compare=False)


class CallDetector:
    """Splits text, fed piece by piece, into what is content and where a call begins.

    Args:
        form: The format whose spellings of a call are looked for.
        names: The offered tools; JSON that names another is content.
        no_calls: What says, as the whole text, that no tool fits; "" if nothing does.

    Attributes:
        over: Whether the reply is over, whatever may follow.
        none_fits: Whether it said that no tool fits.
    """

    def __init__(self, form: Format, names: Sequence[str], no_calls: str = "") -> None:
        starts = "|".join(form.call_starts) if names else "(?!)"
        self._start = regex.compile(
            rf"{_SPACE_BEGINS}\s*+(?:{starts})", names=list(names), ignore_unused=True
        )
        self._steps = StepText() if form.steps else None
        self._last = ""
        self._held = ""
        self._no_calls = no_calls
        self.over = self.none_fits = False

    def feed(self, text: str) -> tuple[str, CallStart | None]:
        """The content that `text` settles, and the call's start if it settles that.

        Behind a start nothing may be fed.
        """
        if self.over:
            return "", None
        self._held += text
        if self._may_say_none():
            return "", None
        match = self._match()
        content = self._release(match.start() - len(self._last) if match else len(self._held))
        if self._steps:
            content = self._steps.feed(content)
            self.over = self._steps.over
        if match is None or match.partial or self.over:
            return content, None
        if self._steps:
            content += self._steps.rest()
        name, behind = match.groupdict().get("name"), self._held.removeprefix(match[0])
        return content, CallStart(name, match[0], behind)

    def _may_say_none(self) -> bool:
        """Whether the text so far may be all that says that no tool fits."""
        if not self._no_calls.startswith(self._held.strip()):
            self._no_calls = ""
        return bool(self._no_calls)

    def _match(self) -> regex.Match[str] | None:
        """Where a call begins, or may begin; what stood before tells where lines begin."""
        text = self._last + self._held
        places = range(len(self._last), len(text))
        matches = (self._start.match(text, place, partial=True) for place in places)
        return next(filter(None, matches), None)

    def _release(self, length: int) -> str:
        content, self._held = self._held[:length], self._held[length:]
        self._last = content[-1:] or self._last
        return content

    def rest(self) -> str:
        """What was held back and, the text being over, is content."""
        held, self._held = self._held, ""
        if self._no_calls and held.strip() == self._no_calls:
            self.none_fits = True
            return ""
        if self._steps:
            return self._steps.feed(held) + ("" if self.over else self._steps.rest())
        return held


_SETTLED = regex.compile(r"(?im)^[ \t]*(?:(?P<answer>final answer)|observation)[ \t]*:[ \t]*")
_THOUGHT = regex.compile(r"(?im)^[ \t]*thought[ \t]*:[ \t]*")
_END = regex.compile(rf"(?i){_SPACE_BEGINS}(?:[^\S\n]*+\n)++[ \t]*observation[ \t]*:")


class StepText:
    """The content of text in the scheme of thought, action and observation, which `react.py` shows.

    It is the thought before an action, or the answer without the thought that led to it; which of
    them shows late, so a thought is held back. An observation ends the reply: what a model writes
    there is its guess.

    Attributes:
        over: Whether the reply is over, whatever may follow.
    """

    def __init__(self) -> None:
        self._held = ""
        self._answering = False
        self._begun = False
        self.over = False

    def feed(self, text: str) -> str:
        """The content that is settled by `text`."""
        self._held += text
        if not self._answering:
            settled = _SETTLED.search(self._held)
            if settled is None:
                return ""
            if not settled["answer"]:
                self.over, self._held = True, self._held[: settled.start()].rstrip()
                return self.rest()
            self._answering, self._held = True, self._held[settled.end() :]
        return self._answer()

    def _answer(self) -> str:
        self._held = self._held.lstrip() if not self._begun else self._held
        end = _END.search(self._held, partial=True)
        place = end.start() if end else len(self._held)
        answer, self._held = self._held[:place], self._held[place:]
        self._begun = self._begun or bool(answer)
        self.over = end is not None and not end.partial
        return answer

    def rest(self) -> str:
        """What was held back, a call or the end being next."""
        held, self._held = self._held, ""
        if self._answering:
            return held.rstrip()
        return _THOUGHT.sub("", held).strip() if _THOUGHT.search(held) else held
