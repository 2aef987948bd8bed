"""Whether two schemas exclude each other, as the branches of a `oneOf` must.

A grammar can't count how many branches a value matches, so `oneOf` is enforced as `anyOf`. That is
the same where no value that is written for one branch matches another. LLGuidance has such a proof,
too, but it follows no reference, as the branches of pydantic's tagged unions are, and reads no
`enum`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from itertools import permutations
from typing import Any

from function_calling.errors import RequestError
from function_calling.model.schema.intersection import intersection
from function_calling.model.schema.keywords import ANNOTATIONS, Budget, Schema, keywords, kind_of
from function_calling.model.schema.references import References

MOST_COMPARISONS = 50_000
"""Keywords, values and names to look at; what takes more is not seen."""
COMPARISONS_OF_A_SCHEMA = 100
"""So many count as one schema of the whole."""
MOST_LEVELS = 16
"""Schemas in each other that are looked into."""

_CHOICES = ("$ref", "anyOf", "oneOf", "allOf")
_OPEN = {*_CHOICES, "patternProperties", "nullable"}
_KINDS = ("array", "boolean", "null", "number", "object", "string")
_ENDS = {
    "array": ("minItems", "maxItems"),
    "number": ("minimum", "maximum"),
    "object": ("minProperties", "maxProperties"),
    "string": ("minLength", "maxLength"),
}
"""The keywords between whose values there must be room."""


def disjoint(branches: Sequence[Any], references: References, place: str, budget: Budget) -> bool:
    """Whether no value that is written for one of the branches matches another.

    False also where that is not seen, or not soon enough.

    Raises:
        RequestError: The budget of the whole schema ends.
    """
    search = _Search(references, place)
    try:
        written = [search.closed(each, MOST_LEVELS) for each in branches]
        pairs = permutations(range(len(branches)), 2)
        both = ({"allOf": [written[one], branches[other]]} for one, other in pairs)
        return not any(search.any_value(each, MOST_LEVELS) for each in both)
    except RequestError:
        return False
    finally:
        budget.spend(search.budget.spent // COMPARISONS_OF_A_SCHEMA)


class _Search:
    """Looks for what keeps all values from a schema; what isn't looked into keeps none."""

    def __init__(self, references: References, place: str) -> None:
        self._references = references
        self._place = place
        self.budget = Budget(MOST_COMPARISONS)

    def closed(self, schema: Any, levels: int) -> Any:
        """The schema of what is written for one: of an object, the named properties alone."""
        if not isinstance(schema, Mapping) or not levels:
            return schema
        told = keywords(schema, "")
        match {key: value for key, value in told.items() if key not in ANNOTATIONS}:
            case {"$ref": reference, **beside} if not beside:
                return self.closed(self._target(reference), levels - 1)
            case {"anyOf": list(each), **beside} | {"oneOf": list(each), **beside} if not beside:
                return {"anyOf": [self.closed(branch, levels - 1) for branch in each]}
            case {"properties": Mapping() as declared, **beside}:
                others = beside.get("additionalProperties")
                free = isinstance(others, Mapping) or (others is True and not declared)
                if not free and not beside.keys() & _OPEN:
                    # What is required is written, also where it is not declared.
                    written = {**dict.fromkeys(beside.get("required", ()), True), **declared}
                    return {**schema, "properties": written, "additionalProperties": False}
        return schema

    def any_value(self, schema: Any, levels: int) -> bool:
        """Whether some value may obey the schema."""
        self.budget.spend(1)
        if not isinstance(schema, Mapping) or not levels:
            return schema is not False
        told = keywords(schema, "")
        if told.get("nullable") is True:
            return True
        if key := next((key for key in _CHOICES if key in told), None):
            choices = self._choices(key, told.pop(key), told)
            return any(self.any_value(each, levels - 1) for each in choices)
        kinds = told.get("type", _KINDS)
        kinds = [kinds] if isinstance(kinds, str) else kinds
        kinds = {"number" if kind == "integer" else kind for kind in kinds}
        if "const" in told or "enum" in told:
            values = [told["const"]] if "const" in told else told["enum"]
            return not {kind_of(value) for value in values}.isdisjoint(kinds)
        return any(self._any_of_kind(kind, told, levels - 1) for kind in kinds)

    def _choices(self, key: str, value: Any, beside: Schema) -> Iterable[Any]:
        """The schemas of which a value must obey one."""
        if key == "$ref":
            return [self._both(beside, self._target(value))]
        if key == "allOf":
            return [reduce(self._both, value, beside)]
        return (self._both(beside, each) for each in value)

    def _target(self, reference: Any) -> Any:
        """What is referred to; anything, where that is not in this schema."""
        if not self._references.local("$ref", reference):
            return True
        return self._references.target(reference, self._place)

    def _both(self, one: Any, other: Any) -> Schema:
        return intersection(_nullable(one), _nullable(other), "", self.budget)[0]

    def _any_of_kind(self, kind: str, schema: Schema, levels: int) -> bool:
        needed: list[Any] = []
        match kind:
            case "array":
                places = [*schema.get("prefixItems", ()), schema.get("items", True)]
                needed = places[: schema.get("minItems", 0)]
            case "object" if "patternProperties" not in schema:
                declared, others = schema.get("properties", {}), schema.get("additionalProperties")
                needed = [declared.get(name, others) for name in schema.get("required", ())]
        least, most = _ENDS.get(kind, ("", ""))
        room = bool(schema.get(least, -math.inf) <= schema.get(most, math.inf))
        return room and all(self.any_value(each, levels) for each in needed)


def _nullable(schema: Any) -> Any:
    """The schema with `nullable` as a choice, which an intersection keeps."""
    if not isinstance(schema, Mapping) or schema.get("nullable") is not True:
        return schema
    told = {key: value for key, value in schema.items() if key != "nullable"}
    return {"anyOf": [told, {"type": "null"}]}
