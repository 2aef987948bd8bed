"""Reading a text while it is written.

A reader is a generator over a `GrowingText`. It yields JSON as soon as nothing that may follow can
change it, and None where it has to see more of the text; whoever runs it then feeds the text.

A reader raises `ValueError` where the text is not what it reads, and `RecursionError` where JSON is
nested too deeply. Commas, colons and what is inside of a string are not looked at, so JSON that was
read piece by piece must be checked as a whole.
"""

import json
from collections.abc import Generator, Mapping
from typing import TypeAlias, TypeVar

import regex

T = TypeVar("T")
Reader: TypeAlias = Generator[str | None, None, T]
SilentReader: TypeAlias = Generator[None, None, T]
"""Yields no JSON of its own."""

_SPACE = regex.compile(r"\s*+")
_BETWEEN = regex.compile(r"[\s,:]*+")
_SCALAR = regex.compile(r"[-+.\w]*+")
_CHARACTERS = regex.compile(r'(?s:[^"\\]++|\\.)*+')
_CLOSED_BY = {"{": "}", "[": "]"}


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


def json_value(text: GrowingText) -> Reader[None]:
    """JSON as it stands, without the space before it and with each name of an object once.

    A grammar can't forbid a name that it doesn't know to come again; the first one's value stays.
    """
    yield from _matched(text, _SPACE)
    if text.rest[0] == '"':
        yield from _string(text)
    elif text.rest[0] in _CLOSED_BY:
        yield from _members(text, _CLOSED_BY[text.rest[0]])
    else:
        scalar = yield from _matched(text, _SCALAR)
        json.loads(scalar)
        yield scalar


def _members(text: GrowingText, end: str) -> Reader[None]:
    """An array, or an object."""
    names: set[str] = set()
    yield text.take(1)
    while True:
        before = yield from _matched(text, _BETWEEN)
        if text.rest[0] == end:
            yield before + text.take(1)
            return
        known = False
        if end == "}":
            name = yield from _collected(_string(text))
            before += name + (yield from _matched(text, _BETWEEN))
            known = json.loads(name) in names
            names.add(json.loads(name))
        value = json_value(text)
        if known:
            yield from _collected(value)
        else:
            yield before
            yield from value


def _string(text: GrowingText) -> Reader[None]:
    if text.rest[0] != '"':
        raise ValueError(f"{text.rest[:80]!r}: wanted a string")
    yield text.take(1)
    while True:
        found = _CHARACTERS.match(text.rest)
        yield text.take(found.end() if found else 0)
        if text.rest.startswith('"'):
            yield text.take(1)
            return
        yield None


def text_until(text: GrowingText, end: str, shortest: int) -> Reader[None]:
    """A string of JSON with the text before `end`, which is taken too.

    The end is not looked for in the text's first `shortest` characters.
    """
    pattern = regex.compile(regex.escape(end))
    yield '"'
    while True:
        found = pattern.search(text.rest, shortest, partial=True)
        taken = text.take(found.start() if found else len(text.rest))
        shortest = max(0, shortest - len(taken))
        yield json.dumps(taken, ensure_ascii=False)[1:-1]
        if found and not found.partial:
            text.take(len(end))
            yield '"'
            return
        yield None


def _matched(text: GrowingText, pattern: regex.Pattern[str]) -> SilentReader[str]:
    """Take all that matches, once something else follows."""
    while not (found := pattern.match(text.rest)) or found.end() == len(text.rest):
        yield None
    return text.take(found.end())


def _collected(reader: Reader[None]) -> SilentReader[str]:
    """All that a reader reads, held back until it is through."""
    held = ""
    for part in reader:
        if part is None:
            yield None
        else:
            held += part
    return held
