"""A reply's calls are one list, written and read as a whole.

Whether another call follows is decided where the list is written: between comma and bracket, or
between the next opening and the end. Behind a call that somebody else has closed, a small model
takes the list for ended, because it writes `}},` and `}}]` as one token each.
"""

import json
import secrets
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import TypeAlias

from function_calling.formats.arguments import Schema
from function_calling.formats.format import Format
from function_calling.formats.growing_text import GrowingText, literal, one_of
from function_calling.model.words import Alternative, OneOf, Repeat, ToolCall, ToolCallDelta

_Events: TypeAlias = Generator[ToolCallDelta | ToolCall | None, None, None]
"""What is read, and None where more text is needed."""


class CallList:
    """The list behind `call_head(first)`, of which the first literal is written already.

    Args:
        form: How calls are spelled.
        first: The tools of which the first call may be.
        names: Those of which the others may be.
        schemas: What the arguments of each are held to.
        most: Calls at most.

    Attributes:
        count: Calls read so far.
        broken: Whether the text is no such list, however it may go on.
    """

    def __init__(
        self,
        form: Format,
        first: Sequence[str],
        names: Sequence[str],
        schemas: Mapping[str, Schema],
        most: int,
    ) -> None:
        self._form = form
        self._first = tuple(first)
        self._names = tuple(names)
        self._schemas = schemas
        self._most = most
        self._between = form.call_separator + form.call_head(self._names)
        self._text = GrowingText()
        self._reading = self._calls()
        self._within_call = True
        self.count = 0
        self.broken = False

    def constraint(self) -> tuple[Alternative, ...]:
        """The whole list, literals and slots, as one thing to generate.

        Raises:
            RequestError: A schema allows nothing that the format can spell.
        """
        first = self._one_of(self._first)
        calls: Alternative = (first,)
        if self._most > 1:
            # The same slots are written once.
            others = first if self._names == self._first else self._one_of(self._names)
            calls = (first, Repeat((self._between, others), self._most - 1))
        if self._form.calls_close:
            calls = (*calls, self._form.calls_close)
        if self._form.calls_end:
            calls = (*calls, OneOf(((), (self._form.calls_end,))))
        return (calls,)

    def _one_of(self, names: Sequence[str]) -> OneOf:
        calls = (self._form.call_rest(name, self._schemas[name], names) for name in names)
        return OneOf(tuple(calls))

    def feed(self, text: str) -> Iterator[ToolCallDelta | ToolCall]:
        """What `text` settles: openings of calls, more of their arguments, whole calls."""
        self._text.feed(text)
        try:
            for event in self._reading:
                if event is None:
                    return
                yield event
        except (ValueError, RecursionError):
            self.broken = True

    def _calls(self) -> _Events:
        yield from self._call(self._first)
        while not self.full and (yield from one_of(self._text, {"": self._between})) is not None:
            self._within_call = True
            yield from self._call(self._names)

    def _call(self, names: Sequence[str]) -> _Events:
        while not self._text.rest:  # whatever refuses to write does so before a call is opened
            yield None
        name: str | None = names[0]
        if len(names) > 1:
            spelled = {name: name + self._form.before_arguments for name in names}
            name = yield from one_of(self._text, spelled)
        if name is None:
            raise ValueError("no name")
        identity = f"call_{secrets.token_hex(12)}"
        yield ToolCallDelta(identity, name, "")
        arguments = settled = ""
        for part in self._form.arguments.read(self._text, self._schemas[name]):
            settled += part or ""
            if part is None:
                if settled:
                    yield ToolCallDelta(identity, name, settled)
                arguments, settled = arguments + settled, ""
                yield None
        arguments += settled
        if not isinstance(json.loads(arguments), dict):
            raise ValueError("arguments are an object")
        yield ToolCallDelta(identity, name, settled)
        yield from literal(self._text, self._form.call_close)
        self.count += 1
        self._within_call = False
        yield ToolCall(identity, name, arguments)

    @property
    def full(self) -> bool:
        """Whether there are as many calls as there may be."""
        return self.count == self._most

    @property
    def complete(self) -> bool:
        """Whether the list may end here."""
        ends = {self._form.calls_close, self._form.calls_close + self._form.calls_end}
        return not self._within_call and self._text.rest in ends
