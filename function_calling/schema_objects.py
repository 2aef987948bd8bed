"""Objects under a constraint: which properties they have, and how many."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from function_calling.schema_bounds import MOST_PROPERTIES, Schema
from function_calling.schema_keywords import refused


def close(result: Schema, schema: Mapping[str, Any], anything: Callable[[], Schema]) -> None:
    """Allow only declared properties, where any are; else a few of whatever is allowed.

    Args:
        result: The object's schema as far as it is rewritten.
        schema: The same as it was given.
        anything: Makes the schema of a property that may hold anything.
    """
    open_ended = isinstance(schema.get("additionalProperties"), Mapping)
    if "properties" in result and not open_ended:
        result["additionalProperties"] = False
    elif "patternProperties" not in result or open_ended:
        result.setdefault("additionalProperties", anything())
    else:
        result["additionalProperties"] = False
    # A required property that is not declared may hold anything, where others are allowed at all.
    if result["additionalProperties"] is False:
        closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
        for name in result.get("required", ()):
            other = {"enum": []} if closed else anything()
            result.setdefault("properties", {}).setdefault(name, other)


def bound_count(result: Schema) -> list[str]:
    """Bound the number of properties; the keywords to which a value may not be held.

    Engines can count them only where none is optional, and count a name twice that comes twice.
    """
    required = result.get("required", ())
    if result.get("properties", {}).keys() - set(required):
        counts = ("minProperties", "maxProperties")
        return [key for key in counts if result.pop(key, None) is not None]
    least = result.get("minProperties", 0)
    if result["additionalProperties"] is not False:
        result.setdefault("maxProperties", max(MOST_PROPERTIES, least))
    return ["minProperties"] if least > 1 + len(required) else []


def only_objects(result: Schema) -> Schema:
    """The schema without what is no object: arguments are nothing else.

    Raises:
        RequestError: Nothing is left of it.
    """
    branches = list(_objects(result.get("anyOf", [result])))
    if not branches:
        raise refused("they allow no object")
    return {**result, "anyOf": branches} if "anyOf" in result else branches[0]


def _objects(branches: list[Schema]) -> Iterator[Schema]:
    for branch in branches:
        if "anyOf" in branch:
            yield from _objects(branch["anyOf"])
        elif "object" in branch.get("type", ()):
            yield {**branch, "type": "object"}
