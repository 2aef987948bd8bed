"""How a call's arguments are spelled: as an object of JSON, as keywords, or in tags.

A spelling writes arguments into a history, and says which literals and slots they are, so that an
engine can be held to a schema in it; what the engine then writes, it reads as JSON.
"""

import ast
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeAlias

from function_calling.errors import SCHEMA_REFUSED, RequestError
from function_calling.formats.growing_text import (
    GrowingText,
    Reader,
    json_value,
    literal,
    one_of,
    text_until,
)
from function_calling.model.words import Alternative, JsonSlot, OneOf, TextSlot

Schema: TypeAlias = Mapping[str, Any]


class Spelling(Protocol):
    """One way to write arguments."""

    def slots(self, schema: Schema) -> Alternative:
        """What a model writes, literals and slots; `schema` is one that engines can enforce.

        Raises:
            RequestError: The schema allows nothing that can be written in this way.
        """
        ...

    def write(self, arguments: str) -> str:
        """Arguments, told as JSON, as this spelling has them.

        A history may hold some that are no object; the model is then shown their text.
        """
        ...

    def read(self, text: GrowingText, schema: Schema) -> Reader[None]:
        """The arguments as an object of JSON, taken from a text that `slots(schema)` led to.

        Raises:
            ValueError: The text is not of such arguments.
        """
        ...


class JsonArguments:
    """An object of JSON, as most families write it: `{"city": "Oslo", "days": 2}`."""

    def slots(self, schema: Schema) -> Alternative:
        """See `Spelling.slots`."""
        return (JsonSlot(dict(schema)),)

    def write(self, arguments: str) -> str:
        """See `Spelling.write`."""
        return arguments

    def read(self, text: GrowingText, schema: Schema) -> Reader[None]:
        """See `Spelling.read`."""
        yield from json_value(text)


_COMMA = ", "


class KeywordArguments:
    """As in a call in Python, with values of JSON: `city="Oslo", days=2`."""

    def slots(self, schema: Schema) -> Alternative:
        """See `Spelling.slots`: required keywords first, each other one or not."""
        return _properties_written(schema, _keywords)

    def write(self, arguments: str) -> str:
        """See `Spelling.write`."""
        values = _object(arguments)
        if values is None:
            return arguments
        return _COMMA.join(f"{name}={_to_json(value)}" for name, value in values.items())

    def read(self, text: GrowingText, schema: Schema) -> Reader[None]:
        """See `Spelling.read`."""
        spelled = {name: f"{name}=" for name in _declared(schema)}
        before = ""
        yield "{"
        while (name := (yield from one_of(text, spelled))) is not None:
            yield f"{before}{_to_json(name)}: "
            yield from json_value(text)
            before = _COMMA
            spelled = {it: f"{before}{it}=" for it in spelled if it != name}
        yield "}"


_Argument: TypeAlias = tuple[Alternative, Alternative]
"""How an argument is written where it is the first, and how behind another."""


def _keywords(required: Schema, optional: Schema, least: int) -> Alternative:
    always, sometimes = _keyword_each(required), _keyword_each(optional)
    if always:
        behind = (part for _, each in always[1:] for part in each)
        return (*always[0][0], *behind, *_each_or_not(sometimes))
    if least:
        return _some(sometimes)
    return (OneOf(((), _some(sometimes))),) if sometimes else ()


def _keyword_each(properties: Schema) -> list[_Argument]:
    slots = [(f"{name}=", JsonSlot(dict(schema))) for name, schema in properties.items()]
    return [((name, slot), (_COMMA + name, slot)) for name, slot in slots]


def _some(optional: Sequence[_Argument]) -> Alternative:
    """One or more arguments: halves, so that what is written grows little faster than they do."""
    if len(optional) == 1:
        return optional[0][0]
    first, second = optional[: len(optional) // 2], optional[len(optional) // 2 :]
    return (OneOf(((*_some(first), *_each_or_not(second)), _some(second))),)


def _each_or_not(optional: Sequence[_Argument]) -> Iterator[OneOf]:
    for _, behind in optional:
        yield OneOf(((), behind))


_TAG_CLOSE = "\n</parameter>\n"


class TaggedArguments:
    """One tag for each argument, up to the tag that closes the function:

        <parameter=city>
        Oslo
        </parameter>
        <parameter=days>
        2
        </parameter>

    Text stands there as it is; every other value is JSON.
    """

    def slots(self, schema: Schema) -> Alternative:
        """See `Spelling.slots`: required tags first, each other one or not."""
        return _properties_written(schema, partial(_tags, _texts(schema)))

    def write(self, arguments: str) -> str:
        """See `Spelling.write`."""
        values = _object(arguments)
        if values is None:
            return arguments
        return "".join(
            _tag_open(name) + (it if isinstance(it, str) else _to_json(it)) + _TAG_CLOSE
            for name, it in values.items()
        )

    def read(self, text: GrowingText, schema: Schema) -> Reader[None]:
        """See `Spelling.read`."""
        texts, before = _texts(schema), ""
        spelled = {name: _tag_open(name) for name in _declared(schema)}
        yield "{"
        while (name := (yield from one_of(text, spelled))) is not None:
            yield f"{before}{_to_json(name)}: "
            if name in texts:
                yield from text_until(text, _TAG_CLOSE, texts[name].get("minLength", 0))
            else:
                yield from json_value(text)
                yield from literal(text, _TAG_CLOSE)
            del spelled[name]
            before = _COMMA
        yield "}"


def _texts(schema: Schema) -> dict[str, Schema]:
    """The properties whose value stands as text, not as JSON, whichever branch is written."""
    return {
        name: schemas[0]
        for name, schemas in _declared(schema).items()
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
        and f"{choice}{_TAG_CLOSE}".index(_TAG_CLOSE) == len(choice)
    )


def _choices(schema: Schema) -> list[Any]:
    """What the value is one of; nothing if it is any text."""
    return [schema["const"]] if "const" in schema else list(schema.get("enum", ()))


def _tag_open(name: str) -> str:
    return f"<parameter={name}>\n"


def _tags(texts: Collection[str], required: Schema, optional: Schema, least: int) -> Alternative:
    always = (part for name, each in required.items() for part in _tag(name, each, name in texts))
    tags = (_tag(name, each, name in texts) for name, each in optional.items())
    sometimes = [(tag, tag) for tag in tags]
    return (*always, *(_some(sometimes) if least else _each_or_not(sometimes)))


def _tag(name: str, schema: Schema, is_text: bool) -> Alternative:
    if not is_text:
        return _tag_open(name), JsonSlot(dict(schema)), _TAG_CLOSE
    if choices := _choices(schema):
        return _tag_open(name), OneOf(tuple((text + _TAG_CLOSE,) for text in choices))
    return _tag_open(name), TextSlot(_TAG_CLOSE, schema.get("minLength", 0), schema["maxLength"])


def _properties_written(
    schema: Schema, write: Callable[[Schema, Schema, int], Alternative]
) -> Alternative:
    """What `write` makes of an object's required and optional properties.

    A schema with branches becomes one alternative for each; properties that aren't declared are
    left out.

    Args:
        schema: Of the arguments.
        write: Is given each property's schema with the definitions that it may refer to, and how
            many of the optional ones must be there: 0 or 1.

    Raises:
        RequestError: The schema is none of an object's properties.
    """
    definitions = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    written = []
    for branch in _branches(schema):
        required = dict.fromkeys(branch.get("required", ()))
        each = {
            name: {**it, **definitions} if '"$ref"' in _to_json(it) else it
            for name, it in _properties(branch).items()
        }
        optional = {name: it for name, it in each.items() if name not in required}
        least = max(branch.get("minProperties", 0) - len(required), 0)
        written.append(write({name: each[name] for name in required}, optional, least))
    return written[0] if len(written) == 1 else (OneOf(tuple(written)),)


def _declared(schema: Schema) -> dict[str, list[Schema]]:
    """The properties of the arguments, each with its schema in every branch that has it."""
    found: dict[str, list[Schema]] = {}
    for branch in _branches(schema):
        for name, property_ in _properties(branch).items():
            found.setdefault(name, []).append(property_)
    return found


def _properties(branch: Schema) -> dict[str, Schema]:
    """Those that are declared, and those that are only required."""
    other = branch.get("additionalProperties")
    return {**dict.fromkeys(branch.get("required", ()), other), **branch.get("properties", {})}


def _branches(schema: Schema) -> list[Schema]:
    """The objects that the schema allows, one or several to choose from.

    Raises:
        RequestError: One can't be written property by property, or not with its required ones.
    """
    if "anyOf" in schema:
        return [found for branch in schema["anyOf"] for found in _branches(branch)]
    whole = schema.keys() & {"const", "enum"} or schema.get("type") != "object"
    count, declared = len(schema.get("required", ())), schema.get("properties", {})
    least, most = schema.get("minProperties", 0), schema.get("maxProperties", count)
    # Where a property is optional, `minProperties` is 1 if it is there at all.
    if whole or not least <= max(count, min(len(declared), 1)) <= max(most, 1):
        raise RequestError(
            "A tool's parameters can't be written in this tool format: wanted an object with "
            "declared properties.",
            param="tools",
            code=SCHEMA_REFUSED,
        )
    return [schema]


def _object(text: str) -> dict[str, Any] | None:
    """The object in a history's text: JSON, or Python as some models write it; None if neither."""
    try:
        value = _value(text)
        # Half a surrogate pair is no text, and an infinite number is no JSON.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
    return value if isinstance(value, dict) else None


def _value(text: str) -> Any:
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return ast.literal_eval(text.strip())


def _to_json(value: Any) -> str:
    """The value as JSON, with its characters as they are."""
    return json.dumps(value, ensure_ascii=False)
