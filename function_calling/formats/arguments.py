"""How a call's arguments are spelled. Most families write an object of JSON:

    {"city": "Oslo", "days": 2}

A spelling writes arguments into a history, reads them from a text, and says which literals and
slots they are, so that an engine can be held to a schema in it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from function_calling.errors import RequestError
from function_calling.formats.literals import parse_value, past_space, read_value, to_json
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

    def read(self, text: str, start: int, schema: Schema, *, exact: bool) -> Found | None:
        """The arguments that begin at `start`; None while the text is too short to tell.

        Args:
            text: What a model wrote.
            start: Where the arguments begin.
            schema: Tells text from other values where the spelling doesn't.
            exact: Whether the text was written by way of `slots`, so that nothing is forgiven.

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

    def read(self, text: str, start: int, schema: Schema, *, exact: bool) -> Found | None:
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
    if "anyOf" in schema:
        branches = [{**branch, **definitions} for branch in schema["anyOf"]]
        return (OneOf(tuple(properties_written(branch, write) for branch in branches)),)
    if "$ref" in schema:
        return properties_written({**_target(schema), **definitions}, write)
    required = schema.get("required", ())
    other = schema.get("additionalProperties")
    declared = schema.get("properties", {})
    if schema.get("type") != "object" or schema.get("minProperties", 0) > len(required):
        raise RequestError(
            "A tool's parameters can't be written in this tool format: wanted an object with "
            "declared properties.",
            param="tools",
            code="invalid_function_parameters",
        )
    each = {
        name: {**property_, **definitions}
        for name, property_ in {**dict.fromkeys(required, other), **declared}.items()
    }
    return write(
        {name: each[name] for name in required},
        {name: schema for name, schema in each.items() if name not in required},
    )


def _target(schema: Schema) -> Schema:
    """What a reference into the schema itself (RFC 6901) points to."""
    target: Any = schema
    for step in schema["$ref"].removeprefix("#").split("/")[1:]:
        target = target[step.replace("~1", "/").replace("~0", "~")]
    if target is schema:
        raise RequestError("A tool's parameters refer to themselves.", param="tools")
    return dict(target)
