"""Whether schemas exclude each other, as the branches of a `oneOf` must.

A grammar can't count how many branches a value matches, so `oneOf` is enforced as `anyOf`, which is
the same where no value matches two. LLGuidance sees that where types, listed values or a tag tell
branches apart. It follows no reference, as pydantic's tagged unions have, and takes no keyword that
it does not know, so it is shown as much of the branches as its proof needs.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from function_calling.model.schema.keywords import Budget, Schema, keywords

MOST_LEVELS = 4
"""Choices in each other that are looked into."""

Resolve = Callable[[Any, str], Any]
"""Gives the schema that a reference alone stands for, at a place."""


def disjoint(branches: Sequence[Any], place: str, resolve: Resolve, budget: Budget) -> bool:
    """Whether no value matches two of the branches, as far as that is seen.

    Raises:
        RequestError: The budget ends, or a keyword's value is of the wrong kind.
    """
    outlines = [_Outlines(resolve, budget).outline(each, place, MOST_LEVELS) for each in branches]
    some = [each for each in outlines if each not in (False, {"enum": []})]
    if all(isinstance(each, dict) and "enum" in each for each in some):
        values = [json.dumps(value, sort_keys=True) for each in some for value in each["enum"]]
        return len(values) == len({*values})
    return len(some) < 2 or budget.compiles({"oneOf": some})


class _Outlines:
    """Schemas that allow whatever the whole ones do, and more."""

    def __init__(self, resolve: Resolve, budget: Budget) -> None:
        self._resolve = resolve
        self._budget = budget

    def outline(self, schema: Any, place: str, levels: int) -> Any:
        """The types, listed values and tags of a schema."""
        told = self._told(schema, place)
        if not isinstance(told, dict) or not levels:
            return told is not False
        if "enum" in told:
            return {"enum": told["enum"]}
        result: Schema = {key: told[key] for key in ("type", "required") if key in told}
        if told.get("additionalProperties") is False and "patternProperties" not in told:
            result["additionalProperties"] = False
        properties = told.get("properties", {})
        result["properties"] = {name: self._tag(properties[name], name) for name in properties}
        for key in told.keys() & {"anyOf", "oneOf"}:
            result["anyOf"] = [self.outline(each, place, levels - 1) for each in told[key]]
        return result

    def _tag(self, schema: Any, name: str) -> Any:
        """The listed values of a property, as text: LLGuidance compares no other."""
        told = self._told(schema, name)
        listed = isinstance(told, dict) and "enum" in told
        return {"enum": list(map(json.dumps, told["enum"]))} if listed else True

    def _told(self, schema: Any, place: str) -> Any:
        self._budget.spend(1)
        schema = self._resolve(schema, place)
        return keywords(schema, place) if isinstance(schema, Mapping) else schema
