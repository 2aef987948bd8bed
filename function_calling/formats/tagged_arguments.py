"""Arguments in tags, up to the tag that closes the function:

    <parameter=city>
    Oslo
    </parameter>
    <parameter=days>
    2
    </parameter>

Text stands there as it is; every other value is JSON.
"""

import re
from collections.abc import Collection
from functools import partial
from typing import Any

from function_calling.formats.arguments import (
    Found,
    Schema,
    declared,
    name_at,
    properties_written,
)
from function_calling.formats.literals import first_json, parse_value, past_space, to_json
from function_calling.messages import Alternative, JsonSlot, OneOf, TextSlot

_OPEN = re.compile(r"<parameter=([^>\n]+)>")
_CLOSE = "\n</parameter>\n"
_END = "</function>"
# A value ends at the first of these, where models are forgiven a tag that they left out.
_FORGIVEN = re.compile(r"\n?</parameter>|\n(?=<parameter=[^>\n]+>)|\n?(?=</function>)")


class TaggedArguments:
    """One tag for each argument."""

    def slots(self, schema: Schema) -> Alternative:
        """See `Spelling.slots`: required tags first, each other one or not."""
        return properties_written(schema, partial(_tags, _texts(schema)))

    def write(self, arguments: dict[str, Any]) -> str:
        """See `Spelling.write`."""
        return "".join(
            f"<parameter={name}>\n{value if isinstance(value, str) else to_json(value)}{_CLOSE}"
            for name, value in arguments.items()
        )

    def read_slots(self, text: str, start: int, schema: Schema) -> tuple[str, int]:
        """See `Spelling.read_slots`."""
        values: dict[str, Any] = {}
        texts = _texts(schema)
        spelled = {name: _opened(name) for name in declared(schema)}
        while found := name_at(text, start, spelled):
            name, start = found
            if name in texts:
                end = text.index(_CLOSE, start + texts[name].get("minLength", 0))
                values[name] = text[start:end]
            else:
                values[name], end = first_json(text, start)
            if not text.startswith(_CLOSE, end):
                raise ValueError("half a parameter")
            start = end + len(_CLOSE)
        return to_json(values), start

    def read(self, text: str, start: int, schema: Schema) -> Found | None:
        """See `Spelling.read`."""
        found: dict[str, Any] = {}
        properties = schema.get("properties") or {}
        while True:
            start = past_space(text, start)
            if text.startswith(_END, start):
                return found, start
            opened = _OPEN.match(text, start)
            if opened is None:
                if _OPEN_BEGINNING.fullmatch(text, start) or _END.startswith(text[start:]):
                    return None
                raise ValueError(f"no parameter: {text[start : start + 80]!r}")
            close = _FORGIVEN.search(text, opened.end())
            if close is None:
                return None
            value = text[opened.end() : close.start()].removeprefix("\n")
            found[opened[1]] = _value(value, properties.get(opened[1], {}))
            start = close.end()


_OPEN_BEGINNING = re.compile(r"<(p(a(r(a(m(e(t(e(r(=[^>\n]*)?)?)?)?)?)?)?)?)?)?")


def _value(text: str, schema: Any) -> Any:
    if _is_text(schema):
        return text
    try:
        return parse_value(text)
    except ValueError:
        return text


def _texts(schema: Schema) -> dict[str, Schema]:
    """The properties whose value stands as text, not as JSON, whichever branch is written."""
    return {
        name: schemas[0]
        for name, schemas in declared(schema).items()
        if _is_text(schemas[0]) and all(each == schemas[0] for each in schemas)
    }


def _is_text(schema: Any) -> bool:
    """Whether a value of this schema can stand as text."""
    if not isinstance(schema, dict) or schema.get("type") != "string":
        return False
    if schema.keys() & {"pattern", "format", "nullable"}:
        return False
    return all(_fits(each, schema) for each in _choices(schema))


def _fits(choice: Any, schema: Schema) -> bool:
    """Whether it is a text of the right length, in which the closing tag can't be seen."""
    return (
        isinstance(choice, str)
        and schema.get("minLength", 0) <= len(choice) <= schema.get("maxLength", len(choice))
        and f"{choice}{_CLOSE}".index(_CLOSE) == len(choice)
    )


def _choices(schema: Schema) -> list[Any]:
    """What the value is one of; nothing if it is any text."""
    return [schema["const"]] if "const" in schema else list(schema.get("enum", ()))


def _opened(name: str) -> str:
    return f"<parameter={name}>\n"


def _tags(
    texts: Collection[str], required: dict[str, Schema], optional: dict[str, Schema]
) -> Alternative:
    always = (part for name, each in required.items() for part in _tag(name, each, name in texts))
    sometimes = (_tag(name, each, name in texts) for name, each in optional.items())
    return (*always, *(OneOf(((), each)) for each in sometimes))


def _tag(name: str, schema: Schema, is_text: bool) -> Alternative:
    if not is_text:
        return _opened(name), JsonSlot(dict(schema)), _CLOSE
    if choices := _choices(schema):
        return _opened(name), OneOf(tuple((text + _CLOSE,) for text in choices))
    return _opened(name), TextSlot(_CLOSE, schema.get("minLength", 0), schema["maxLength"])
