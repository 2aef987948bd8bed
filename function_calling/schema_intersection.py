"""What two schemas allow that hold for the same value, as the branches of an `allOf` do.

No engine takes `allOf` as it stands, so the two become one schema, keyword by keyword:

    {"minimum": 1, "required": ["a"]} and {"minimum": 5, "required": ["b"]}
    {"minimum": 5, "required": ["a", "b"]}

What is meant for one place inside both becomes an `allOf` there.
"""

import json
import math
from collections.abc import Iterable
from typing import Any

from function_calling.schema_bounds import Schema
from function_calling.schema_keywords import ANNOTATIONS, DEFINITIONS, shaped

_GREATEST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_LEAST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_CHOICES = ("$ref", "anyOf", "oneOf")
_ARRAY = {"items", "prefixItems"}
_OBJECT = {"properties", "patternProperties", "additionalProperties"}
_ELSEWHERE = {"type", "enum", "const", "allOf", *_ARRAY, *_OBJECT, *DEFINITIONS}
"""Keywords that are not looked at by themselves."""


def intersection(one: Schema, other: Schema, place: str) -> tuple[Schema, list[str]]:
    """A schema of what both allow, and the keywords of which it holds only the one's value.

    Annotations are the other's, where both have some.

    Raises:
        RequestError: A keyword's value is of the wrong kind; names the place.
    """
    one = {key: shaped(key, value, place) for key, value in one.items()}
    other = {key: shaped(key, value, place) for key, value in other.items()}
    result, lost = {**one, **other}, []
    together = [*one.get("allOf", ()), *other.get("allOf", ())]
    for key in sorted(one.keys() & other.keys() - ANNOTATIONS - _ELSEWHERE):
        if _written(one[key]) == _written(other[key]):
            continue
        result[key] = one[key]
        if key in _CHOICES:
            together.append({key: other[key]})
        elif (merged := _merged(key, one[key], other[key])) is not None:
            result[key] = merged
        else:
            lost.append(key)
    if together:
        result["allOf"] = together
    _intersect_values(result, one, other)
    if one.keys() & _ARRAY and other.keys() & _ARRAY:
        _intersect_arrays(result, one, other)
    _intersect_objects(result, one, other)
    return result, lost


def _merged(key: str, one: Any, other: Any) -> Any:
    """The value of a keyword that says what both say; None where there is none."""
    if isinstance(one, bool) or isinstance(other, bool):  # an exclusive bound of older drafts
        return None
    if key in _GREATEST:
        return max(one, other)
    if key in _LEAST:
        return min(one, other)
    if key == "required":
        return list(dict.fromkeys([*one, *other]))
    if key == "multipleOf" and isinstance(one, int) and isinstance(other, int):
        return math.lcm(one, other)
    return None


def _intersect_values(result: Schema, one: Schema, other: Schema) -> None:
    """What is left of `type`, `enum`, `const` and `nullable`; no value where they contradict."""
    if "type" in one and "type" in other:
        kinds = _common_types(one["type"], other["type"])
        result["type"] = kinds[0] if len(kinds) == 1 else kinds or one["type"]
        if not kinds:
            result["enum"] = []
    values = [_values(each) for each in (one, other) if each.keys() & {"const", "enum"}]
    if len(values) == 2:
        result.pop("const", None)
        others = set(map(_written, values[1]))
        result["enum"] = [each for each in values[0] if _written(each) in others]
    if one.get("nullable") or other.get("nullable"):
        result["nullable"] = all(
            each.get("nullable") or not each.keys() & {"type", "enum", "const"}
            for each in (one, other)
        )


def _common_types(one: Any, other: Any) -> list[Any]:
    """The types that both have; an integer is a number."""
    ones, others = (told if isinstance(told, list) else [told] for told in (one, other))
    common = [each for each in ones if each in others]
    if "integer" not in common and "integer" in ones + others and "number" in ones + others:
        common.append("integer")
    return common


def _values(schema: Schema) -> list[Any]:
    return [schema["const"]] if "const" in schema else list(schema["enum"])


def _intersect_arrays(result: Schema, one: Schema, other: Schema) -> None:
    """Each place is held to what both say of it."""
    (first, rest), (others, other_rest) = _places(one), _places(other)
    count = max(len(first), len(others))
    first += [rest] * (count - len(first))
    others += [other_rest] * (count - len(others))
    result["items"] = _all((rest, other_rest))
    if count:
        result["prefixItems"] = [_all(pair) for pair in zip(first, others, strict=True)]


def _places(schema: Schema) -> tuple[list[Any], Any]:
    """The schemas of the first items, and that of all behind them."""
    items = schema.get("items", True)
    if isinstance(items, list):  # as in older drafts
        return list(items), True
    return list(schema.get("prefixItems", ())), items


def _intersect_objects(result: Schema, one: Schema, other: Schema) -> None:
    """Each property is held to what both say of it; where one is silent, to its word on others."""
    rest, other_rest = (each.get("additionalProperties", True) for each in (one, other))
    for key in ("properties", "patternProperties"):
        ones, others = one.get(key, {}), other.get(key, {})
        if names := [*ones, *(name for name in others if name not in ones)]:
            result[key] = {
                name: _all((ones.get(name, rest), others.get(name, other_rest))) for name in names
            }
    if "additionalProperties" in result:
        result["additionalProperties"] = _all((rest, other_rest))


def _all(schemas: Iterable[Any]) -> Any:
    """What all of these schemas allow."""
    told = [each for each in schemas if each is not True]
    if any(each is False for each in told):
        return False
    if len(told) == 2 and told[0] != told[1]:
        return {"allOf": told}
    return told[0] if told else True


def _written(value: Any) -> str:
    """The value as JSON: `true` is no number, and 1.0 is 1."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True)
