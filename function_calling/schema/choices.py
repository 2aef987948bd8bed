"""Whether the branches of a `oneOf` exclude each other.

A grammar can't count how many branches a value matches, so `oneOf` is enforced as `anyOf`. That is
the same where no value that is written for one branch matches another, as with pydantic's tagged
unions. What is not seen to be so counts as if it were not.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import permutations
from typing import Any

from function_calling.schema.keywords import ANNOTATIONS, DEFINITIONS
from function_calling.schema.references import local

MOST_COMPARISONS = 20_000
"""Of schemas, values and names; beyond these, branches count as if they excluded nothing."""
MOST_LEVELS = 8
"""Schemas in each other that are looked into."""

_KINDS = {"object", "array", "string", "number", "boolean", "null"}
_PLAIN = ("type", "const", "enum")
_ELSEWHERE = ("$ref", "anyOf", "oneOf", "allOf")

Target = Callable[[str], Any]
"""The schema that a reference names."""


def exclusive(branches: Iterable[Any], target: Target) -> bool:
    """Whether no value that is written for one of the branches matches another."""
    comparison = _Comparison(target)
    return all(comparison.apart(*pair, MOST_LEVELS) for pair in permutations(branches, 2))


class _Comparison:
    def __init__(self, target: Target) -> None:
        self._target = target
        self._left = MOST_COMPARISONS

    def apart(self, written: Any, other: Any, levels: int) -> bool:
        """Whether no value that is written for the one schema matches the other."""
        if not levels or not self._spend(1):
            return False
        ones, others = self._alternatives(written), self._alternatives(other)
        if ones != [written] or others != [other]:
            return all(self.apart(a, b, levels - 1) for a in ones for b in others)
        if not isinstance(written, Mapping) or not isinstance(other, Mapping):
            return False
        ours, theirs = _values(written), _values(other)
        if not self._spend(max(len(ours or ()), 1) * max(len(theirs or ()), 1)):
            return False
        both = _kinds(written) & _kinds(other)
        if not both:
            return True
        if ours is not None and theirs is not None:
            return not any(each in theirs for each in ours)
        return both == {"object"} and self._objects_apart(written, other, levels)

    def _spend(self, comparisons: int) -> bool:
        """Whether so many may be made."""
        self._left -= comparisons
        return self._left >= 0

    def _alternatives(self, schema: Any) -> list[Any]:
        """The schemas of which a value matches one; a simpler one where several hold at once."""
        if schema is False:
            return []
        if not isinstance(schema, Mapping):
            return [schema]
        if schema.get("nullable") is True:
            return [{**schema, "nullable": False}, {"type": "null"}]
        match {key: schema[key] for key in schema if key not in {*ANNOTATIONS, *DEFINITIONS}}:
            case {"$ref": reference, **beside} if local("$ref", reference) and not beside:
                return [self._target(reference)]
            case {"anyOf": list(each), **beside} | {"oneOf": list(each), **beside} if not beside:
                return each
            case told if any(key in told for key in _ELSEWHERE):
                return [{key: told[key] for key in _PLAIN if key in told}]
        return [schema]

    def _objects_apart(
        self, written: Mapping[str, Any], other: Mapping[str, Any], levels: int
    ) -> bool:
        """Whether a property tells the objects of the one from those of the other."""
        ours, theirs = properties(written), properties(other)
        needed, wanted = required(written), required(other)
        if not self._spend(len(ours) + len(theirs) + len(needed) + len(wanted)):
            return False
        if _closed(written) and wanted - ours.keys() - needed:
            return True
        forbids = other.get("additionalProperties") is False and "patternProperties" not in other
        if forbids and needed - theirs.keys():
            return True
        told = (needed | wanted) & ours.keys() & theirs.keys()
        return any(self.apart(ours[name], theirs[name], levels - 1) for name in sorted(told))


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    """The kinds of value that may match."""
    told = schema.get("type", list(_KINDS))
    listed = told if isinstance(told, list) else [told]
    kinds = {"number" if kind == "integer" else str(kind) for kind in listed}
    values = _values(schema)
    return kinds if values is None else kinds & {_kind(value) for value in values}


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
    return "array" if isinstance(value, list) else "object"


def _values(schema: Mapping[str, Any]) -> list[Any] | None:
    """The values that may match, if they are told."""
    if "const" in schema:
        return [schema["const"]]
    values = schema.get("enum")
    return values if isinstance(values, list) else None


def _closed(written: Mapping[str, Any]) -> bool:
    """Whether objects are written with the declared properties alone."""
    open_ended = isinstance(written.get("additionalProperties"), Mapping)
    return "properties" in written and "patternProperties" not in written and not open_ended


def properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The declared properties; none where the keyword's value is no map."""
    declared = schema.get("properties")
    return declared if isinstance(declared, Mapping) else {}


def required(schema: Mapping[str, Any]) -> set[str]:
    """The names of required properties; none where the keyword's value is no list."""
    names = schema.get("required")
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()
