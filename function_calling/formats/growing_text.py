"""Reading a text while it is written.

A reader is a generator over a `GrowingText`. It yields JSON as soon as nothing that may follow can
change it, and None where it has to see more of the text; whoever runs it then feeds the text.

A reader raises `ValueError` where the text is not what it reads, and `RecursionError` where JSON is
nested too deeply. Commas, colons and what is inside of a string are not looked at, so JSON that was
read piece by piece must be checked as a whole.
"""

import json
import re
from collections.abc import Generator, Mapping
from typing import TypeAlias, TypeVar

T = TypeVar("T")
Reader: TypeAlias = Generator[str | None, None, T]
SilentReader: TypeAlias = Generator[None, None, T]
"""Yields no JSON of its own."""

_SPACE = re.compile(r"\s*")
_BETWEEN = re.compile(r"[\s,:]*")
_SCALAR = re.compile(r"[-+.\w]*")
_CHARACTERS = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)


class GrowingText:
    """A text that is fed at its end and taken from its beginning.

    Attributes:
        rest: What was fed and not taken yet.
    """

    def __init__(self) -> None:
        self.rest = ""

    def feed(self, text: str) -> None:
        """Go on with this."""
        self.rest += text

    def take(self, count: int) -> str:
        """The next `count` characters, which are then gone."""
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken


def one_of(text: GrowingText, spelled: Mapping[str, str]) -> SilentReader[str | None]:
    """Take one of several literals; its key in `spelled`.

    The longest, where one begins another. None, and nothing taken, if there is none here.
    """
    while any(len(text.rest) < len(it) and it.startswith(text.rest) for it in spelled.values()):
        yield None
    found = [key for key, literal in spelled.items() if text.rest.startswith(literal)]
    if not found:
        return None
    key = max(found, key=lambda it: len(spelled[it]))
    text.take(len(spelled[key]))
    return key


def literal(text: GrowingText, wanted: str) -> SilentReader[None]:
    """Take what must stand here."""
    if (yield from one_of(text, {wanted: wanted})) is None:
        raise ValueError(f"{text.rest[:80]!r}: wanted {wanted!r}")


def matched(text: GrowingText, pattern: re.Pattern[str]) -> SilentReader[str]:
    """Take all that matches, once something else follows."""
    while (end := _end(pattern, text)) == len(text.rest):
        yield None
    return text.take(end)


def _end(pattern: re.Pattern[str], text: GrowingText) -> int:
    found = pattern.match(text.rest)
    return found.end() if found else 0


def json_value(text: GrowingText) -> Reader[None]:
    """JSON as it stands, without the space before it and with each name of an object once.

    A grammar can't forbid a name that it doesn't know to come again; the first one's value stays.
    """
    yield from matched(text, _SPACE)
    match text.rest[0]:
        case "{":
            yield from _object(text)
        case "[":
            yield from _array(text)
        case '"':
            yield from _string(text)
        case _:
            scalar = yield from matched(text, _SCALAR)
            json.loads(scalar)
            yield scalar


def _object(text: GrowingText) -> Reader[None]:
    names: set[str] = set()
    yield text.take(1)
    while True:
        before = yield from matched(text, _BETWEEN)
        if text.rest[0] == "}":
            yield before + text.take(1)
            return
        name = yield from _collected(_string(text))
        behind = yield from matched(text, _BETWEEN)
        value = json_value(text)
        if (known := json.loads(name)) in names:
            yield from _collected(value)
        else:
            names.add(known)
            yield before + name + behind
            yield from value


def _array(text: GrowingText) -> Reader[None]:
    yield text.take(1)
    while True:
        yield (yield from matched(text, _BETWEEN))
        if text.rest[0] == "]":
            yield text.take(1)
            return
        yield from json_value(text)


def _string(text: GrowingText) -> Reader[None]:
    if text.rest[0] != '"':
        raise ValueError(f"{text.rest[:80]!r}: wanted a string")
    yield text.take(1)
    while True:
        yield text.take(_end(_CHARACTERS, text))
        if text.rest.startswith('"'):
            yield text.take(1)
            return
        yield None


def _collected(reader: Reader[None]) -> SilentReader[str]:
    """All that a reader reads, held back until it is through."""
    held = ""
    for part in reader:
        if part is None:
            yield None
        else:
            held += part
    return held


def text_until(text: GrowingText, end: str, shortest: int) -> Reader[None]:
    """A string of JSON with the text before `end`, which is taken too.

    The end is not looked for in the text's first `shortest` characters.
    """
    yield '"'
    while True:
        place = text.rest.find(end, shortest)
        taken = text.take(place if place >= 0 else len(text.rest) - _begun(end, text, shortest))
        shortest = max(0, shortest - len(taken))
        yield json.dumps(taken, ensure_ascii=False)[1:-1]
        if place >= 0:
            text.take(len(end))
            yield '"'
            return
        yield None


def _begun(end: str, text: GrowingText, shortest: int) -> int:
    """How many characters of `end` the text has at its own end, behind `shortest` others."""
    most = min(len(end) - 1, len(text.rest) - shortest)
    return next((it for it in range(most, 0, -1) if text.rest.endswith(end[:it])), 0)
