"""Bounds for values whose schema sets none: a small model writes them without end."""

import math
from typing import Any

Schema = dict[str, Any]

LARGEST_NUMBER = 10**15
FARTHEST_NUMBER = 10**18
"""The engines can't count up to bounds of 64 bits."""
SMALLEST_STEP = 1e-9
MOST_ITEMS = 32
MOST_PROPERTIES = 16
SCALARS = ("string", "number", "boolean", "null")


def scalar(longest_string: int) -> Schema:
    """Any text, number, truth value or null."""
    result: Schema = {"type": list(SCALARS), "maxLength": longest_string}
    bound_number(result)
    return result


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
    """Set the bounds that a number lacks, and narrow those that no engine can count up to."""
    if "number" in result["type"]:
        result.setdefault("multipleOf", SMALLEST_STEP)
        _include(result, *_LOWER, math.inf)
        _include(result, *_UPPER, -math.inf)
    least, most = -_reach(result, _UPPER), _reach(result, _LOWER)
    for key in _LOWER:
        if result.get(key, least) < least:
            del result[key]
    for key in _UPPER:
        if result.get(key, most) > most:
            del result[key]
    if not result.keys() & set(_LOWER):
        result["minimum"] = least
    if not result.keys() & set(_UPPER):
        result["maximum"] = most


_LOWER = ("minimum", "exclusiveMinimum")
_UPPER = ("maximum", "exclusiveMaximum")


def _reach(result: Schema, ends: tuple[str, ...]) -> int:
    """How far from zero the other end may lie."""
    told = [1000 * abs(result[key]) for key in ends if key in result]
    return int(min(max([LARGEST_NUMBER, *told]), FARTHEST_NUMBER))


def _include(result: Schema, key: str, excluded: str, inward: float) -> None:
    """Move an excluded bound inward and include it: engines let some excluded ones be written."""
    if abs(result.get(excluded, math.inf)) > FARTHEST_NUMBER:
        return
    bound = result.pop(excluded)
    farther = max if inward > 0 else min
    moved = farther(bound + math.copysign(SMALLEST_STEP, inward), math.nextafter(bound, inward))
    result[key] = farther(moved, result.get(key, moved))
