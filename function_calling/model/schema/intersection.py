"""What two schemas allow that hold for the same value, as the branches of an `allOf` do.

No engine takes `allOf` as it stands, so the two become one schema, keyword by keyword:

    {"minimum": 1, "required": ["a"]} and {"minimum": 5, "required": ["b"]}
    {"minimum": 5, "required": ["a", "b"]}

What is meant for one place inside both becomes an `allOf` there.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from function_calling.model.schema.keywords import (
    ANNOTATIONS,
    Budget,
    Schema,
    common_values,
    keywords,
    listed,
)

CHARACTERS_OF_A_SCHEMA = 1000
"""To intersect so many characters takes about as long as to rewrite a schema."""

_CHOICES = ("$ref", "anyOf", "oneOf")
_ARRAY = {"items", "prefixItems"}
_OBJECT = {"properties", "additionalProperties"}
_OTHERS = {"patternProperties", "additionalProperties"}
_FIRST_HOLDS = ("format", "multipleOf", "pattern", "propertyNames")


def intersection(one: Any, other: Any, place: str, budget: Budget) -> tuple[Schema, list[str]]:
    """A schema of what both allow, and the keywords of which only the one's value holds.

    Raises:
        RequestError: A keyword's value is of the wrong kind, or there is too much to compare.
    """
    if one is False or other is False:
        return {"enum": []}, []
    told = (each if isinstance(each, Mapping) else {} for each in (one, other))
    one, other = (keywords(each, place) for each in told)
    budget.spend(1 + len(json.dumps([one, other])) // CHARACTERS_OF_A_SCHEMA)
    if not one.keys() - ANNOTATIONS:
        return {**one, **other}, []
    result = {**other, **one}
    for key in one.keys() & other.keys() & _MERGES.keys():
        result[key] = _MERGES[key](one[key], other[key])
    if result.get("type") == []:
        return {"enum": []}, []
    if together := list(_together(one, other)):
        result["allOf"] = together
    if one.keys() & _ARRAY and other.keys() & _ARRAY:
        _intersect_arrays(result, one, other)
    if one.keys() & _OBJECT and other.keys() & _OBJECT:
        _intersect_objects(result, one, other)
    return result, list(_lost(one, other))


def _lost(one: Schema, other: Schema) -> Iterator[str]:
    """The keywords of which two can't become one."""
    for key in _FIRST_HOLDS:
        if key in one and key in other and one[key] != other[key]:
            yield key
    if one.keys() & _OTHERS and other.keys() & _OTHERS and "patternProperties" in {*one, *other}:
        yield "patternProperties"


def _together(one: Schema, other: Schema) -> Iterator[Any]:
    """What must hold beside the rest: of two keywords that each name several schemas, both do."""
    yield from one.get("allOf", ())
    yield from other.get("allOf", ())
    for key in _CHOICES:
        if key in one and key in other and one[key] != other[key]:
            yield {key: other[key]}


def _common_types(one: Any, other: Any) -> Any:
    """The types that both have; an integer is a number."""
    ones, others = listed(one), listed(other)
    common = [each for each in ones if each in others]
    for some, rest in ((ones, others), (others, ones)):
        if "integer" in some and "number" in rest and "integer" not in common:
            common.append("integer")
    return common[0] if len(common) == 1 else common


def _intersect_arrays(result: Schema, one: Schema, other: Schema) -> None:
    """Each place is held to what both say of it."""
    rests = [each.get("items", True) for each in (one, other)]
    places = [list(each.get("prefixItems", ())) for each in (one, other)]
    result["items"] = _both(*rests)
    if count := max(map(len, places)):
        for each, rest in zip(places, rests, strict=True):
            each += [rest] * (count - len(each))
        result["prefixItems"] = list(map(_both, *places))


def _intersect_objects(result: Schema, one: Schema, other: Schema) -> None:
    """Each property is held to what both say of it; where one is silent, to its word on others."""
    rests = [each.get("additionalProperties", True) for each in (one, other)]
    declared = [each.get("properties", {}) for each in (one, other)]
    if "additionalProperties" in result:
        result["additionalProperties"] = _both(*rests)
    if names := {**declared[0], **declared[1]}:
        result["properties"] = {
            name: _both(*(each.get(name, rest) for each, rest in zip(declared, rests, strict=True)))
            for name in names
        }


def _both(one: Any, other: Any) -> Any:
    """What both of these schemas allow."""
    if one is False or other is False:
        return False
    if one is True:
        return other
    return one if other is True or one == other else {"allOf": [one, other]}


_MERGES: dict[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(("minimum", "exclusiveMinimum"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum"), min),
    **dict.fromkeys(("minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maxLength", "maxItems", "maxProperties"), min),
    "required": lambda one, other: list(dict.fromkeys([*one, *other])),
    "enum": common_values,
    "type": _common_types,
}
