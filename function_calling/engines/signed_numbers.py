"""Numbers below zero as their opposites, for a grammar that takes none for a multiple."""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

OF_NUMBERS = {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf"}
_NUMBERS = {"number", "integer"}
_LOWER = ("minimum", "exclusiveMinimum")
_UPPER = ("maximum", "exclusiveMaximum")
_OPPOSITES = dict(zip((*_LOWER, *_UPPER), (*_UPPER, *_LOWER), strict=True))


def below_zero(schema: Schema) -> bool:
    """Whether it allows multiples of something, and some of them below zero."""
    if "multipleOf" not in schema or "enum" in schema or "const" in schema:
        return False
    kinds = schema.get("type", ())
    numbers = _NUMBERS & ({kinds} if isinstance(kinds, str) else set(kinds))
    bounded = any(schema[key] >= 0 for key in _LOWER if key in schema)
    return bool(numbers) and not bounded


def from_zero(schema: Schema) -> Schema | None:
    """The numbers from zero on; None if there are none."""
    if schema.get("maximum", 0) < 0 or schema.get("exclusiveMaximum", 1) <= 0:
        return None
    return {key: value for key, value in schema.items() if key not in _LOWER} | {"minimum": 0}


def opposites(schema: Schema) -> Schema:
    """Those below zero, each without its sign."""
    rest = {key: value for key, value in schema.items() if key not in _OPPOSITES}
    bounds = {_OPPOSITES[key]: -schema[key] for key in _OPPOSITES if key in schema}
    upper = {key: bound for key, bound in bounds.items() if key in _UPPER}
    lower = {key: bound for key, bound in bounds.items() if key in _LOWER and bound >= 0}
    return {**rest, **upper, **(lower or {"minimum": 0})}
