"""Arguments as in a call in Python, up to the bracket that closes it:

city="Oslo", days=2
"""

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from function_calling.formats.arguments import (
    Found,
    Schema,
    declared,
    name_at,
    properties_written,
)
from function_calling.formats.literals import first_json, past_space, read_value, to_json
from function_calling.messages import Alternative, JsonSlot, OneOf

_BETWEEN = ", "
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

    def read_slots(self, text: str, start: int, schema: Schema) -> tuple[str, int]:
        """See `Spelling.read_slots`."""
        values: dict[str, Any] = {}
        spelled = {name: f"{name}=" for name in declared(schema)}
        end = start
        while found := name_at(text, start, spelled):
            values[found[0]], end = first_json(text, found[1])
            if not text.startswith(_BETWEEN, end):
                break
            start = end + len(_BETWEEN)
        return to_json(values), end

    def read(self, text: str, start: int, schema: Schema) -> Found | None:
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


_Slots: TypeAlias = list[tuple[str, JsonSlot]]


def _keywords(required: dict[str, Schema], optional: dict[str, Schema]) -> Alternative:
    always, sometimes = _slots(required), _slots(optional)
    if always:
        behind = (part for each in always[1:] for part in _keyword(*each, _BETWEEN))
        return (*_keyword(*always[0]), *behind, *_each_or_not(sometimes))
    return (OneOf(((), _some(sometimes))),) if sometimes else ()


def _slots(properties: dict[str, Schema]) -> _Slots:
    return [(name, JsonSlot(dict(schema))) for name, schema in properties.items()]


def _some(optional: _Slots) -> Alternative:
    """One or more keywords: halves, so that what is written grows little faster than they do."""
    if len(optional) == 1:
        return _keyword(*optional[0])
    first, second = optional[: len(optional) // 2], optional[len(optional) // 2 :]
    return (OneOf(((*_some(first), *_each_or_not(second)), _some(second))),)


def _each_or_not(optional: _Slots) -> Iterator[OneOf]:
    for each in optional:
        yield OneOf(((), _keyword(*each, _BETWEEN)))


def _keyword(name: str, slot: JsonSlot, before: str = "") -> Alternative:
    return f"{before}{name}=", slot
