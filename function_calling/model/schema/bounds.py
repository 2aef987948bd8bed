"""Bounds for values whose schema sets none: a small model writes them without end."""

import math
from collections.abc import Callable, Mapping
from itertools import takewhile
from typing import Any

from function_calling.engines.json_rules import LOWER, UPPER, possible
from function_calling.model.schema.keywords import OF_SCALARS, Schema, is_of, listed

LARGEST_NUMBER = 10**15
FARTHEST_NUMBER = 10**18
"""The engines can't count up to bounds of 64 bits."""
SMALLEST_STEP = 1e-9
MOST_ITEMS = 32
MOST_PROPERTIES = 16
SCALARS = ("string", "number", "boolean", "null")


def scalar(longest_string: int) -> Schema:
    """Any text, number, truth value or null."""
    return {"type": list(SCALARS), "maxLength": longest_string}


def anything(longest_string: int) -> Schema:
    """Any scalar, or one flat level of them: deeper free JSON has no bound."""
    return {"anyOf": [scalar(longest_string), *_filled(scalar(longest_string))]}


def any_object(longest_string: int) -> Schema:
    """Objects and arrays in each other, as deep as a model likes."""
    array, inner = _filled({"$ref": "#/$defs/value"})
    return {**inner, "$defs": {"value": {"anyOf": [scalar(longest_string), array, inner]}}}


def _filled(value: Schema) -> tuple[Schema, Schema]:
    """A short array and a small object of such values."""
    array = {"type": "array", "items": value, "maxItems": MOST_ITEMS}
    return array, {
        "type": "object",
        "additionalProperties": value,
        "maxProperties": MOST_PROPERTIES,
    }


def bound_number(result: Schema) -> None:
    """Set the bounds that a bounded number lacks; narrow those that no engine can count up to.

    Bounds that exclude move inward: engines let some excluded numbers be written.
    """
    whole = "number" not in result["type"]
    for (key, excluded), inward in ((LOWER, 1), (UPPER, -1)):
        # What is below a number is above its opposite.
        ends = [inward * result.pop(key)] if key in result else []
        if excluded in result:
            ends.append(_next(inward * result.pop(excluded), whole=whole))
        if ends:
            result[key] = inward * max(map(math.ceil, ends) if whole else ends)
    if "minimum" in result and result["minimum"] == result.get("maximum"):
        return
    if not whole:
        result.setdefault("multipleOf", SMALLEST_STEP)
    least, most = -_reach(result, "maximum"), _reach(result, "minimum")
    if result.get("minimum", -math.inf) < least:
        result["minimum"] = least
    if result.get("maximum", math.inf) > most:
        result["maximum"] = most


def _next(bound: float, *, whole: bool) -> float:
    """The first number behind the bound that engines can tell from it."""
    if abs(bound) > FARTHEST_NUMBER:
        return bound
    if whole:
        return math.floor(bound) + 1
    return max(bound + SMALLEST_STEP, math.nextafter(bound, math.inf))


def _reach(result: Schema, end: str) -> int:
    """How far from zero the other end may lie."""
    told = [1000 * abs(result[end])] if end in result else []
    return int(min(max([LARGEST_NUMBER, *told]), FARTHEST_NUMBER))


def bound_items(result: Schema, anything: Callable[[], Schema]) -> None:
    """End an array, at the latest before the first place that no value can take."""
    places = result.pop("prefixItems", [])
    if first := list(takewhile(possible, places))[: result.get("maxItems")]:
        result["prefixItems"] = first
    if len(first) < len(places):
        result |= {"items": False, "maxItems": min(len(first), result.get("maxItems", len(first)))}
    result.setdefault("items", anything())
    result.setdefault("maxItems", max(MOST_ITEMS, result.get("minItems", 0)))


def close(result: Schema, schema: Mapping[str, Any], anything: Callable[[], Schema]) -> None:
    """Allow only declared properties, where any may be; else a few of whatever is allowed.

    Args:
        result: The object's schema as far as it is rewritten.
        schema: The same as it was given.
        anything: Makes the schema of a property that may hold anything.
    """
    declared = [result[key] for key in ("properties", "patternProperties") if key in result]
    told = schema.get("additionalProperties")
    open_ended = isinstance(told, Mapping) or (told is True and not any(declared))
    if open_ended or not declared:
        result.setdefault("additionalProperties", anything())
    else:
        result["additionalProperties"] = False
    # A required property that is not declared may hold anything, where others are allowed at all.
    more = {"enum": []} if told is False else result["additionalProperties"] or anything()
    for name in result.get("required", ()):
        result.setdefault("properties", {}).setdefault(name, more)
    if "properties" in result and result["additionalProperties"] is False:
        result["properties"] = {
            name: each
            for name, each in result["properties"].items()
            if name in result.get("required", ()) or possible(each)
        }


def bound_count(result: Schema) -> list[str]:
    """Bound the number of properties; the keywords to which a value may not be held.

    Where some are optional, grammars can hold a value to one property at least, and count no
    further. They count a name twice that comes twice.
    """
    required, declared = set(result.get("required", ())), result.get("properties", {}).keys()
    least, most = result.get("minProperties", 0), result.get("maxProperties", 0)
    closed = not result["additionalProperties"] and not result.get("patternProperties")
    if least <= len(required):
        result.pop("minProperties", None)
    if closed and most >= len(declared):
        result.pop("maxProperties", None)
    if declared <= required:
        if not closed:
            result.setdefault("maxProperties", max(MOST_PROPERTIES, least))
        return ["minProperties"] if least > 1 + len(required) else []
    counts = ("maxProperties",) if least == 1 else ("minProperties", "maxProperties")
    return [key for key in counts if result.pop(key, None) is not None]


def keep_allowed(result: Schema, compiles: Callable[[Schema], bool]) -> None:
    """Of values that are listed, keep those that the type and what bounds a scalar allow.

    Engines may look at the list alone. `compiles` tells whether a value of a schema can be written,
    which takes so long that ranges are looked at here: a list may have thousands of values.
    """
    if "enum" not in result:
        return
    if "type" in result:
        kinds = listed(result["type"])
        result["enum"] = [it for it in result["enum"] if any(is_of(it, kind) for kind in kinds)]
    bounds = {key: result.pop(key) for key in OF_SCALARS & result.keys()}
    result["enum"] = [it for it in result["enum"] if _in_range(it, bounds)]
    others = {key: bounds[key] for key in bounds.keys() & {"pattern", "format", "multipleOf"}}
    if others:
        result["enum"] = [it for it in result["enum"] if compiles({**others, "enum": [it]})]


def _in_range(value: Any, bounds: Schema) -> bool:
    """Whether a number, or a string by its length, lies between the bounds."""
    inside = True
    if isinstance(value, str):
        inside = bounds.get("minLength", 0) <= len(value) <= bounds.get("maxLength", math.inf)
    elif is_of(value, "number"):
        inside = (
            bounds.get("minimum", value) <= value <= bounds.get("maximum", value)
            and value < bounds.get("exclusiveMaximum", math.inf)
            and value > bounds.get("exclusiveMinimum", -math.inf)
        )
    return inside
