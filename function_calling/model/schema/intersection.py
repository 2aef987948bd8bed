"""What two schemas allow that hold for the same value, as the branches of an `allOf` do.

No engine takes `allOf` as it stands, so the two become one schema, keyword by keyword:

    {"minimum": 1, "required": ["a"]} and {"minimum": 5, "required": ["b"]}
    {"minimum": 5, "required": ["a", "b"]}

What is meant for one place inside both becomes an `allOf` there.
"""

import json
import math
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

from function_calling.model.schema.keywords import ANNOTATIONS, Budget, Schema, keywords

KEYWORDS_OF_A_SCHEMA = 8
"""So many that are compared count as one schema of the whole."""

_GREATEST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_LEAST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_CHOICES = ("$ref", "anyOf", "oneOf")
_BOUNDS = (*_GREATEST, *_LEAST, "required", "multipleOf", "pattern", "format", "propertyNames")
_VALUES = {"const", "enum"}
_ARRAY = {"items", "prefixItems"}
_OBJECT = {"properties", "patternProperties", "additionalProperties"}


def intersection(one: Any, other: Any, place: str, budget: Budget) -> tuple[Schema, list[str]]:
    """A schema of what both allow, and the keywords of which only the one's value holds.

    Annotations are the other's, where both have some.

    Raises:
        RequestError: A keyword's value is of the wrong kind, or there is too much to compare.
    """
    if one is False or other is False:
        return {"enum": []}, []
    one, other = (each if isinstance(each, Mapping) else {} for each in (one, other))
    if not one.keys() - ANNOTATIONS:
        return {**one, **other}, []
    budget.spend(1 + (len(one) + len(other)) // KEYWORDS_OF_A_SCHEMA)
    one, other = keywords(one, place), keywords(other, place)
    result, lost = {**one, **other}, []
    for key in _BOUNDS:
        if key in one and key in other and one[key] != other[key]:
            merged = _merged(key, one[key], other[key], budget)
            result[key] = one[key] if merged is None else merged
            if merged is None:
                lost.append(key)
    _intersect_choices(result, one, other)
    for merge, keys in _MERGES:
        if one.keys() & keys and other.keys() & keys:
            merge(result, one, other, budget)
    _intersect_types(result, one, other)
    return result, lost


def _intersect_choices(result: Schema, one: Schema, other: Schema) -> None:
    """Of two keywords that each name several schemas, or refer to one, both hold."""
    together = [*one.get("allOf", ()), *other.get("allOf", ())]
    for key in _CHOICES:
        if key in one and key in other:
            result[key] = one[key]
            together.append({key: other[key]})
    if together:
        result["allOf"] = together


def _merged(key: str, one: Any, other: Any, budget: Budget) -> Any:
    """The value of a keyword that says what both say; None where there is none."""
    if key in _GREATEST:
        return max(one, other)
    if key in _LEAST:
        return min(one, other)
    if key == "required":
        budget.spend(len(one) + len(other))
        return list(dict.fromkeys([*one, *other]))
    if key == "multipleOf" and isinstance(one, int) and isinstance(other, int):
        return math.lcm(one, other)
    return None


def _intersect_types(result: Schema, one: Schema, other: Schema) -> None:
    """What is left of `type` and `nullable`; no value where there is no common type."""
    if "type" in one and "type" in other:
        kinds = _common_types(one["type"], other["type"])
        result["type"] = kinds[0] if len(kinds) == 1 else kinds or one["type"]
        if not kinds:
            result["enum"] = []
    if one.get("nullable") or other.get("nullable"):
        result["nullable"] = all(
            each.get("nullable") or not each.keys() & {"type", *_VALUES} for each in (one, other)
        )


def _common_types(one: Any, other: Any) -> list[Any]:
    """The types that both have; an integer is a number."""
    ones, others = (told if isinstance(told, list) else [told] for told in (one, other))
    common = [each for each in ones if each in others]
    for some, rest in ((ones, others), (others, ones)):
        if "integer" in some and "number" in rest and "integer" not in common:
            common.append("integer")
    return common


def _intersect_values(result: Schema, one: Schema, other: Schema, budget: Budget) -> None:
    """The values that both list."""
    ones, others = ([each["const"]] if "const" in each else each["enum"] for each in (one, other))
    budget.spend(_count(ones) + _count(others))
    written = set(map(_written, others))
    result.pop("const", None)
    result["enum"] = [each for each in ones if _written(each) in written]


def _intersect_arrays(result: Schema, one: Schema, other: Schema, budget: Budget) -> None:
    """Each place is held to what both say of it."""
    (first, rest), (others, other_rest) = _places(one), _places(other)
    count = max(len(first), len(others))
    budget.spend(count)
    first += [rest] * (count - len(first))
    others += [other_rest] * (count - len(others))
    result["items"] = _both(rest, other_rest)
    if count:
        result["prefixItems"] = list(map(_both, first, others))


def _places(schema: Schema) -> tuple[list[Any], Any]:
    """The schemas of the first items, and that of all behind them."""
    return list(schema.get("prefixItems", ())), schema.get("items", True)


def _intersect_objects(result: Schema, one: Schema, other: Schema, budget: Budget) -> None:
    """Each property is held to what both say of it; where one is silent, to its word on others.

    Patterns are for the names that neither declares.
    """
    rest, other_rest = (each.get("additionalProperties", True) for each in (one, other))
    if "additionalProperties" in result:
        result["additionalProperties"] = _both(rest, other_rest)
    if names := {**one.get("properties", {}), **other.get("properties", {})}:
        result["properties"] = {
            name: _both(said_of(name, one, budget), said_of(name, other, budget)) for name in names
        }
    ones, others = (each.get("patternProperties", {}) for each in (one, other))
    patterns = {
        each: _both(ones.get(each, rest), others.get(each, other_rest)) for each in ones | others
    }
    budget.spend(len(names) + len(patterns))
    if result.get("additionalProperties") is False and apart(patterns, budget):
        patterns = {each: said for each, said in patterns.items() if said is not False}
    result.pop("patternProperties", None)
    if patterns:
        result["patternProperties"] = patterns


def apart(patterns: Iterable[str], budget: Budget) -> bool:
    """Whether engines know the patterns, and no two of them match the same name."""
    return budget.compiles({"patternProperties": dict.fromkeys(patterns, True)})


def said_of(name: str, schema: Mapping[str, Any], budget: Budget) -> Any:
    """What a schema says of a property: by its name, and by all patterns that this matches."""
    said = [schema["properties"][name]] if name in schema.get("properties", {}) else []
    for pattern, each in schema.get("patternProperties", {}).items():
        if budget.compiles({"type": "string", "const": name, "pattern": pattern}):
            said.append(each)
    return reduce(_both, said) if said else schema.get("additionalProperties", True)


def _both(one: Any, other: Any) -> Any:
    """What both of these schemas allow."""
    if one is False or other is False:
        return False
    if one is True:
        return other
    return one if other is True or one == other else {"allOf": [one, other]}


def _count(value: Any) -> int:
    """The values in a value, itself too."""
    if isinstance(value, Mapping):
        value = list(value.values())
    return 1 + sum(map(_count, value)) if isinstance(value, list) else 1


def _written(value: Any) -> str:
    """The value as JSON: `true` is no number, and 1.0 is 1."""
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return list(map(_plain, value))
        case dict():
            return {key: _plain(each) for key, each in value.items()}
    return value


_MERGES = (
    (_intersect_values, _VALUES),
    (_intersect_arrays, _ARRAY),
    (_intersect_objects, _OBJECT),
)
