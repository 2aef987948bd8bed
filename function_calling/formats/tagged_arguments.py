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
from typing import Any

from function_calling.formats.arguments import Found, Schema, properties_written
from function_calling.formats.literals import parse_value, past_space, to_json
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
        return properties_written(schema, _tags)

    def write(self, arguments: dict[str, Any]) -> str:
        """See `Spelling.write`."""
        return "".join(
            f"<parameter={name}>\n{value if isinstance(value, str) else to_json(value)}{_CLOSE}"
            for name, value in arguments.items()
        )

    def read(self, text: str, start: int, schema: Schema, *, exact: bool) -> Found | None:
        """See `Spelling.read`."""
        found: dict[str, Any] = {}
        properties = schema.get("properties", {})
        while True:
            start = past_space(text, start)
            if text.startswith(_END, start):
                return found, start
            opened = _OPEN.match(text, start)
            if opened is None:
                if _OPEN_BEGINNING.fullmatch(text, start) or _END.startswith(text[start:]):
                    return None
                raise ValueError(f"no parameter: {text[start : start + 80]!r}")
            end = _value_end(text, opened.end(), exact=exact)
            if end is None:
                return None
            value = text[opened.end() : end[0]].removeprefix("\n")
            found[opened[1]] = _value(value, properties.get(opened[1], {}))
            start = end[1]


_OPEN_BEGINNING = re.compile(r"<(p(a(r(a(m(e(t(e(r(=[^>\n]*)?)?)?)?)?)?)?)?)?)?")


def _value_end(text: str, start: int, *, exact: bool) -> tuple[int, int] | None:
    """Where a value ends, and where its closing tag does."""
    if exact:
        end = text.index(_CLOSE, start)
        return end, end + len(_CLOSE)
    close = _FORGIVEN.search(text, start)
    return close.span() if close else None


def _value(text: str, schema: Any) -> Any:
    if _is_text(schema):
        return text
    try:
        return parse_value(text)
    except ValueError:
        return text


def _is_text(schema: Any) -> bool:
    """Whether a value of this schema stands as text, not as JSON."""
    if not isinstance(schema, dict) or schema.get("type") != "string":
        return False
    return not schema.keys() & {"pattern", "format", "nullable"}


def _tags(required: dict[str, Schema], optional: dict[str, Schema]) -> Alternative:
    always = (part for each in required.items() for part in _tag(*each))
    return (*always, *(OneOf(((), _tag(*each))) for each in optional.items()))


def _tag(name: str, schema: Schema) -> Alternative:
    opened = f"<parameter={name}>\n"
    if not _is_text(schema):
        return opened, JsonSlot(dict(schema)), _CLOSE
    if "const" in schema or "enum" in schema:
        texts = [schema["const"]] if "const" in schema else schema["enum"]
        return opened, OneOf(tuple((text + _CLOSE,) for text in texts if isinstance(text, str)))
    return opened, TextSlot(_CLOSE, schema.get("minLength", 0), schema["maxLength"])
