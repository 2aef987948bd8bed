"""How a call's arguments are spelled. Most families write an object of JSON:

    {"city": "Oslo", "days": 2}

A spelling writes arguments into a history, reads them from a text, and says which literals and
slots they are, so that an engine can be held to a schema in it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from function_calling.errors import SCHEMA_REFUSED, RequestError
from function_calling.formats.literals import (
    first_json,
    parse_value,
    past_space,
    read_value,
    to_json,
)
from function_calling.messages import Alternative, JsonSlot, OneOf

Schema: TypeAlias = Mapping[str, Any]
Found: TypeAlias = tuple[dict[str, Any], int]
"""Arguments, and where in the text they end."""


class Spelling(Protocol):
    """One way to write arguments."""

    def slots(self, schema: Schema) -> Alternative:
        """What a model writes, literals and slots; `schema` is one that engines can enforce.

        Raises:
            RequestError: The schema allows nothing that can be written in this way.
        """
        ...

    def write(self, arguments: dict[str, Any]) -> str:
        """Arguments as this spelling has them."""
        ...

    def read_slots(self, text: str, start: int, schema: Schema) -> tuple[str, int]:
        """The arguments, as JSON, that stand at `start`, and where they end.

        Args:
            text: It was written by way of `slots(schema)`, and may not be whole yet.
            start: Where the arguments begin.
            schema: The same.

        Raises:
            ValueError: They are not whole, or no such arguments.
        """
        ...

    def read(self, text: str, start: int, schema: Schema) -> Found | None:
        """The arguments that begin at `start`; None while the text is too short to tell.

        Args:
            text: What a model wrote freely.
            start: Where the arguments begin.
            schema: The tool's own; tells text from other values where the spelling doesn't.

        Raises:
            ValueError: There are no arguments here.
        """
        ...


class JsonArguments:
    """An object of JSON; a Python dictionary is read too, or a string that holds either."""

    def slots(self, schema: Schema) -> Alternative:
        """See `Spelling.slots`."""
        return (JsonSlot(dict(schema)),)

    def write(self, arguments: dict[str, Any]) -> str:
        """See `Spelling.write`."""
        return to_json(arguments)

    def read_slots(self, text: str, start: int, schema: Schema) -> tuple[str, int]:
        """See `Spelling.read_slots`."""
        start = past_space(text, start)
        arguments, end = first_json(text, start)
        if not isinstance(arguments, dict):
            raise ValueError("arguments are an object")
        return text[start:end], end

    def read(self, text: str, start: int, schema: Schema) -> Found | None:
        """See `Spelling.read`."""
        found = read_value(text, past_space(text, start))
        if found is None:
            return None
        value = parse_value(found[0]) if isinstance(found[0], str) else found[0]
        if not isinstance(value, dict):
            raise ValueError("arguments are an object")
        return value, found[1]


def properties_written(
    schema: Schema, write: Callable[[dict[str, Schema], dict[str, Schema]], Alternative]
) -> Alternative:
    """What `write` makes of an object's required and optional properties.

    A schema with branches becomes one alternative for each; properties that aren't declared are
    left out.

    Args:
        schema: Of the arguments.
        write: Is given each property's schema with the definitions that it may refer to.

    Raises:
        RequestError: The schema is none of an object's properties.
    """
    definitions = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    written = []
    for branch in _branches(schema):
        required = dict.fromkeys(branch.get("required", ()))
        each = {
            name: {**it, **definitions} if '"$ref"' in to_json(it) else it
            for name, it in _properties(branch).items()
        }
        optional = {name: it for name, it in each.items() if name not in required}
        written.append(write({name: each[name] for name in required}, optional))
    return written[0] if len(written) == 1 else (OneOf(tuple(written)),)


def declared(schema: Schema) -> dict[str, list[Schema]]:
    """The properties of the arguments, each with its schema in every branch that has it."""
    found: dict[str, list[Schema]] = {}
    for branch in _branches(schema):
        for name, property_ in _properties(branch).items():
            found.setdefault(name, []).append(property_)
    return found


def name_at(text: str, start: int, spelled: Mapping[str, str]) -> tuple[str, int] | None:
    """The name whose spelling stands at `start`, and where that ends; the longest, of several.

    None where there is none.

    Raises:
        ValueError: The text ends within what may become a name.
    """
    rest = text[start:]
    if any(len(rest) < len(each) and each.startswith(rest) for each in spelled.values()):
        raise ValueError(f"half a name: {rest!r}")
    found = [name for name, spelling in spelled.items() if text.startswith(spelling, start)]
    if not found:
        return None
    name = max(found, key=len)
    return name, start + len(spelled[name])


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
    count = len(schema.get("required", ()))
    least, most = schema.get("minProperties", 0), schema.get("maxProperties", count)
    if whole or not least <= count <= most:
        raise RequestError(
            "A tool's parameters can't be written in this tool format: wanted an object with "
            "declared properties.",
            param="tools",
            code=SCHEMA_REFUSED,
        )
    return [schema]
