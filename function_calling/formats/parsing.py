"""Content and calls of a text that a model wrote, read as it grows.

A reply that calls ends with its last call. What names no offered tool, or was left unfinished, is
content: no text is lost before the first call.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import regex

from function_calling.formats.detection import CallDetector, CallStart
from function_calling.formats.format import Format
from function_calling.formats.literals import parse_value, read_value
from function_calling.messages import TextDelta, Tool


@dataclass(frozen=True, slots=True)
class ParsedCall:
    """A complete call of an offered tool."""

    name: str
    arguments: dict[str, Any]


Read: TypeAlias = list[TextDelta | ParsedCall]
"""Content and calls in their order."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a whole text says."""

    content: str
    calls: tuple[ParsedCall, ...]


def parse(form: Format, tools: Sequence[Tool], text: str) -> Parsed:
    """Read a whole text."""
    parser = CallParser(form, tools)
    read = [*parser.feed(text), *parser.finish()]
    return Parsed(
        "".join(each.text for each in read if isinstance(each, TextDelta)),
        tuple(each for each in read if isinstance(each, ParsedCall)),
    )


class CallParser:
    """Reads a text that is fed piece by piece; pieces make no difference to what is read.

    Args:
        form: The format in which calls are spelled.
        tools: The tools that may be called.
    """

    def __init__(self, form: Format, tools: Sequence[Tool]) -> None:
        self._form = form
        self._tools = {tool.name: tool for tool in form.with_answer_tool(tools)}
        self._offered = {tool.name for tool in tools}
        self._detector = CallDetector(form, tuple(self._tools))
        self._start: CallStart | None = None
        self._held = ""
        self._before = ""
        self._called = False
        self._over = False

    def feed(self, text: str) -> Read:
        """What `text` settles."""
        read: Read = []
        while text and not self._over:
            if self._start is None:
                content, self._start = self._detector.feed(text)
                self._over = self._detector.over
                text = ""
                if self._start is None:
                    read += _delta(content)
                    continue
                self._before, text = content, self._detector.from_start()
            self._held += text
            text = self._read_call(self._start, read)
        return read

    def finish(self) -> Read:
        """What is left, the text being over."""
        if self._over:
            return []
        if self._start is None:
            return _delta(self._detector.rest())
        return [] if self._called else _delta(self._before + self._start.space + self._held)

    def _read_call(self, start: CallStart, read: Read) -> str:
        """Read what is held as a call, if it is whole; the text to go on with."""
        try:
            found = self._call(start)
        except ValueError:
            return self._no_call(start, read)
        if found is None:
            return ""
        call, end = found
        rest, self._held, self._start = self._held[end:], "", None
        if call.name not in self._offered:
            self._over = True
            read += _delta(self._form.answer(call.arguments, self._before))
            return ""
        read += [*_delta(self._before), call]
        self._before, self._called = "", True
        self._detector = CallDetector(self._form, tuple(self._tools), behind_call=True)
        return rest

    def _no_call(self, start: CallStart, read: Read) -> str:
        held, self._held, self._start = self._held, "", None
        if self._called:
            self._over = True
            return ""
        read += _delta(self._before + start.space + start.text)
        self._before = ""
        self._detector = CallDetector(self._form, tuple(self._tools))
        return held[len(start.text) :]

    def _call(self, start: CallStart) -> tuple[ParsedCall, int] | None:
        if self._form.whole_object:
            return self._whole_object(start)
        assert start.name is not None
        schema = self._tools[start.name].parameters
        found = self._form.arguments.read(self._held, len(start.text), schema)
        return found and (ParsedCall(start.name, found[0]), found[1])

    def _whole_object(self, start: CallStart) -> tuple[ParsedCall, int] | None:
        begins = _OBJECT.match(self._held, 0 if start.name else len(start.text), partial=True)
        if begins is None:
            raise ValueError("no object")
        found = None if begins.partial else read_value(self._held, begins.end() - 1)
        return found and (_object_call(found[0], self._tools), found[1])


_OBJECT = regex.compile(
    r"\s*(?:<tool_call>|<\|python_tag\|>|\[TOOL_CALLS\])?\s*(?:```\w*)?\s*\[?\s*\{?\s*\{"
)


def _object_call(value: Any, tools: dict[str, Tool]) -> ParsedCall:
    if not isinstance(value, dict):
        raise ValueError("no object")
    if isinstance(value.get("function"), dict):
        value = value["function"]
    name = value.get("name", value.get("function"))
    arguments = value.get("arguments", value.get("parameters"))
    if isinstance(arguments, str):
        arguments = parse_value(arguments)
    if not isinstance(name, str) or name not in tools or not isinstance(arguments, dict):
        raise ValueError("no call of an offered tool")
    return ParsedCall(name, arguments)


def _delta(text: str) -> Read:
    return [TextDelta(text)] if text else []
