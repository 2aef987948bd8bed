"""A reply's calls are one list, written and read as a whole.

Whether another call follows is decided where the list is written: between comma and bracket, or
between the next opening and the end. Behind a call that somebody else has closed, a small model
takes the list for ended, because it writes `}},` and `}}]` as one token each.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from function_calling.formats.arguments import Schema, name_at
from function_calling.formats.format import Format
from function_calling.messages import Alternative, JsonSlot, OneOf, Part, Repeat

_INDEX = "{index}"
_OVER = "\0"
"""Stands behind a text that is over; no name and no literal holds it."""


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
        self._between = form.call_separator + form.call_head(self._names, _INDEX)
        pattern = re.escape(self._between).replace(re.escape(_INDEX), r" ?\d+")
        self._parts = re.compile(pattern)
        self._held = ""
        self.count = 0

    def constraint(self) -> tuple[Alternative, ...]:
        """The whole list, literals and slots, as one thing to generate.

        Raises:
            RequestError: A schema allows nothing that the format can spell.
        """
        first = self._one_of(self._first)
        if self._most == 1:
            return ((first, *self._end()),)
        # The same slots are written once.
        others = first if self._names == self._first else self._one_of(self._names)
        return ((first, Repeat((*self._parting(), others), self._most - 1), *self._end()),)

    def _one_of(self, names: Sequence[str]) -> OneOf:
        calls = (self._form.call_rest(name, self._schemas[name], names) for name in names)
        return OneOf(tuple(calls))

    def _parting(self) -> Alternative:
        """What stands between the arguments of one call and those of the next."""
        before, index, behind = self._between.partition(_INDEX)
        number = JsonSlot({"type": "integer", "minimum": 1, "maximum": self._most - 1})
        return (before, number, behind) if index else (before,)

    def _end(self) -> Iterator[Part]:
        if self._form.calls_close:
            yield self._form.calls_close
        if self._form.calls_end:
            yield OneOf(((), (self._form.calls_end,)))

    def feed(self, text: str) -> Iterator[tuple[str, str]]:
        """Name and arguments, as JSON, of each call that `text` completes."""
        self._held += text
        while not self.full:
            try:
                name, arguments, end = self._next()
            except ValueError:
                return
            self._held = self._held[end:]
            self.count += 1
            yield name, arguments

    def _next(self) -> tuple[str, str, int]:
        names, start = self._first, 0
        if self.count:
            parted = self._parts.match(self._held)
            if parted is None:
                raise ValueError("no other call")
            names, start = self._names, parted.end()
        name = names[0]
        if len(names) > 1:
            found = name_at(self._held, start, self._spelled(names))
            if found is None:
                raise ValueError("no name")
            name, start = found
        schema = self._schemas[name]
        arguments, end = self._form.arguments.read_slots(self._held, start, schema)
        if not self._held.startswith(self._form.call_close, end):
            raise ValueError("the call is not closed")
        return name, arguments, end + len(self._form.call_close)

    def _spelled(self, names: Sequence[str]) -> dict[str, str]:
        return {name: name + self._form.before_arguments for name in names}

    def finish(self) -> Iterator[tuple[str, str]]:
        """The calls that are complete because the text is over."""
        return self.feed(_OVER)

    @property
    def full(self) -> bool:
        """Whether there are as many calls as there may be."""
        return self.count == self._most

    @property
    def complete(self) -> bool:
        """Whether the list was ended, once `finish` has been read."""
        ends = {self._form.calls_close, self._form.calls_close + self._form.calls_end}
        return self.count > 0 and self._held.removesuffix(_OVER) in ends
