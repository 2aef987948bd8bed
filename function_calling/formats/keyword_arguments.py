"""Arguments as in a call in Python, up to the bracket that closes it:

city="Oslo", days=2
"""

import re
from collections.abc import Iterator
from typing import Any

from function_calling.formats.arguments import Found, Schema, properties_written
from function_calling.formats.literals import past_space, read_value, to_json
from function_calling.messages import Alternative, JsonSlot, OneOf

_KEYWORD = re.compile(r"([^\s=(),]+)\s*=\s*(?=\S)")
_BEGINNING = re.compile(r"[^\s=(),]*\s*(=\s*)?")


class KeywordArguments:
    """Keywords with values of JSON; those of Python are read too."""

    def slots(self, schema: Schema) -> Alternative:
        """See `Spelling.slots`: required keywords first, each other one or not."""
        return properties_written(schema, _keywords)

    def write(self, arguments: dict[str, Any]) -> str:
        """See `Spelling.write`."""
        return ", ".join(f"{name}={to_json(value)}" for name, value in arguments.items())

    def read(self, text: str, start: int, schema: Schema, *, exact: bool) -> Found | None:
        """See `Spelling.read`."""
        found: dict[str, Any] = {}
        while True:
            start = past_space(text, start)
            if text.startswith(")", start):
                return found, start
            keyword = _KEYWORD.match(text, start)
            if keyword is None:
                if _BEGINNING.fullmatch(text, start):
                    return None
                raise ValueError(f"no keyword: {text[start : start + 80]!r}")
            value = read_value(text, keyword.end())
            if value is None:
                return None
            found[keyword[1]] = value[0]
            start = past_space(text, value[1])
            if text.startswith(",", start):
                start += 1
            elif start < len(text) and text[start] != ")":
                raise ValueError(f"no comma: {text[start : start + 80]!r}")


def _keywords(required: dict[str, Schema], optional: dict[str, Schema]) -> Alternative:
    if required:
        first, *others = required.items()
        behind = (part for each in others for part in _keyword(*each, ", "))
        return (*_keyword(*first), *behind, *_each_or_not(optional))
    names = list(optional)
    starts = (
        (
            *_keyword(name, optional[name]),
            *_each_or_not({later: optional[later] for later in names[index + 1 :]}),
        )
        for index, name in enumerate(names)
    )
    return (OneOf(((), *starts)),)


def _each_or_not(optional: dict[str, Schema]) -> Iterator[OneOf]:
    for name, schema in optional.items():
        yield OneOf(((), _keyword(name, schema, ", ")))


def _keyword(name: str, schema: Schema, before: str = "") -> Alternative:
    return f"{before}{name}=", JsonSlot(dict(schema))
