"""Whether two schemas exclude each other, as the branches of a `oneOf` must.

A grammar can't count how many branches a value matches, so `oneOf` is enforced as `anyOf`. That is
the same where no value that is written for one branch matches another. Seen is what generators
write: branches of other types or other listed values, and objects that a tag, or a property of
their own, tells apart. LLGuidance follows no reference there, as pydantic's tagged unions have.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from typing import Any

from function_calling.errors import RequestError
from function_calling.model.schema.keywords import (
    ANNOTATIONS,
    Budget,
    Schema,
    common_values,
    keywords,
    kind_of,
)

MOST_COMPARISONS = 50_000
"""Keywords, values and names to look at; what takes more is not seen."""
COMPARISONS_OF_A_SCHEMA = 100
"""So many count as one schema of the whole."""
MOST_LEVELS = 16
"""Schemas in each other that are looked into."""

_OPEN = {"$ref", "anyOf", "oneOf", "allOf", "patternProperties"}
_KINDS = ("array", "boolean", "null", "number", "object", "string")


def disjoint(branches: Sequence[Any], resolved: Callable[[Any], Any], budget: Budget) -> bool:
    """Whether no value that is written for one of the branches matches another.

    False also where that is not seen, or not soon enough.

    Args:
        branches: Their schemas.
        resolved: Gives the schema that a reference alone stands for.
        budget: What the whole schema may come to.

    Raises:
        RequestError: The budget ends.
    """
    search = _Search(resolved)
    try:
        pairs = permutations(branches, 2)
        return all(search.excluded(one, other, MOST_LEVELS) for one, other in pairs)
    except RequestError:
        return False
    finally:
        budget.spend(search.budget.spent // COMPARISONS_OF_A_SCHEMA)


class _Search:
    def __init__(self, resolved: Callable[[Any], Any]) -> None:
        self._resolved = resolved
        self.budget = Budget(MOST_COMPARISONS)

    def excluded(self, one: Any, other: Any, levels: int) -> bool:
        """Whether no value that is written for the one matches the other.

        Keywords that aren't looked at could but exclude more.
        """
        if one is False or other is False:
            return True
        one, other = self._told(one), self._told(other)
        if levels and (branches := _branches(one)):
            return all(self.excluded(each, other, levels - 1) for each in branches)
        if levels and (branches := _branches(other)):
            return all(self.excluded(one, each, levels - 1) for each in branches)
        if "enum" in one and "enum" in other:
            return not common_values(one["enum"], other["enum"])
        kinds = _kinds(one) & _kinds(other)
        return not kinds or (kinds == {"object"} and self._objects(one, other, levels))

    def _told(self, schema: Any) -> Schema:
        schema = self._resolved(schema)
        told = keywords(schema, "") if isinstance(schema, Mapping) else {}
        lists = (value for value in told.values() if isinstance(value, list | dict))
        self.budget.spend(1 + sum(map(len, lists)))
        return {key: value for key, value in told.items() if key not in ANNOTATIONS}

    def _objects(self, one: Schema, other: Schema, levels: int) -> bool:
        """Whether they differ on a property that one always has, or that the other needs."""
        needed = {*one.get("required", ()), *other.get("required", ())}
        return levels > 0 and any(
            self.excluded(_written(name, one), _said(name, other), levels - 1) for name in needed
        )


def _branches(schema: Schema) -> list[Any]:
    """The schemas of which a value must obey one, where that is all that is said."""
    (key, value), *others = schema.items() or [("", [])]
    return value if key in ("anyOf", "oneOf") and not others else []


def _kinds(schema: Schema) -> set[str]:
    """The types that a value may have."""
    if "enum" in schema:
        return set(map(kind_of, schema["enum"]))
    kinds = schema.get("type", _KINDS)
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return {"number" if kind == "integer" else kind for kind in kinds}


def _said(name: str, schema: Schema) -> Any:
    """What an object's schema says of a property."""
    others = True if "patternProperties" in schema else schema.get("additionalProperties", True)
    return schema.get("properties", {}).get(name, others)


def _written(name: str, schema: Schema) -> Any:
    """The same of an object that is written: what is neither declared nor required is not."""
    others = schema.get("additionalProperties")
    open_ended = isinstance(others, Mapping) or (others is True and not schema.get("properties"))
    unknown = open_ended or schema.keys() & _OPEN or name in schema.get("required", ())
    if unknown or name in schema.get("properties", {name: ()}):
        return _said(name, schema)
    return False
