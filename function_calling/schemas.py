"""JSON Schema as a constraint: what an engine can enforce, with every value bounded.

A grammar engine refuses a keyword that it does not know, and a value without a bound lets a small
model write digits or letters until its tokens run out. `enforceable` therefore rewrites a tool's
schema into one that allows a subset of the same values, holds only keywords that the engines
compile, and bounds numbers, strings, arrays and open objects.
"""

from collections.abc import Mapping
from typing import Any

from function_calling.schema_keywords import (
    ANNOTATIONS,
    DEFINITIONS,
    KEPT,
    KEPT_FORMATS,
    TYPES,
    local,
    refused,
    shaped,
)

Schema = dict[str, Any]

LARGEST_NUMBER = 10**15
SMALLEST_STEP = 1e-9
MOST_ITEMS = 32
MOST_PROPERTIES = 16
MOST_SCHEMAS = 5000


def enforceable(schema: Mapping[str, Any], longest_string: int) -> tuple[Schema, list[str]]:
    """A tool's `parameters` as a constraint on its arguments.

    Args:
        schema: JSON Schema of an object; a missing type or missing properties mean "no arguments".
        longest_string: Characters of a string whose schema sets no `maxLength`.

    Returns:
        The schema to enforce, and the places whose keyword it leaves out ("unit: not").

    Raises:
        RequestError: A keyword's value is of the wrong kind, or there are too many branches.
    """
    ignored: list[str] = []
    rewriter = _Rewriter(longest_string, ignored)
    root = {"properties": {}, **schema, "type": "object"}
    return rewriter.schema(root, "arguments"), ignored


def enforceable_value(schema: Mapping[str, Any], longest_string: int) -> tuple[Schema, list[str]]:
    """Like `enforceable`, for a value of any kind; `{"type": "object"}` alone is any object."""
    ignored: list[str] = []
    rewriter = _Rewriter(longest_string, ignored)
    if schema.keys() - ANNOTATIONS == {"type"} and schema["type"] == "object":
        return rewriter.any_object(), ignored
    return rewriter.schema(schema, "response_format"), ignored


class _Rewriter:
    def __init__(self, longest_string: int, ignored: list[str]) -> None:
        self._longest_string = longest_string
        self._ignored = ignored
        self._written = 0

    def schema(self, schema: Any, place: str) -> Schema:
        """One schema and all below it."""
        self._written += 1
        if self._written > MOST_SCHEMAS:  # branches multiply what stands beside them
            raise refused("they branch too often")
        if schema is False:
            return {"enum": []}
        if not isinstance(schema, Mapping) or not schema.keys() - ANNOTATIONS:
            return self._anything()
        if schema.get("nullable") is True:
            return {"anyOf": [self.schema(_without(schema, "nullable"), place), {"type": "null"}]}
        for key in ("anyOf", "oneOf", "allOf"):
            # oneOf compiles only where the branches exclude each other at sight.
            if key in schema and (key != "allOf" or len(shaped(key, schema[key], place)) == 1):
                return self._branches(key, schema, place)
        result: Schema = {}
        for key, value in schema.items():
            self._keyword(result, key, value, place)
        self._bound(result, schema, place)
        return result

    def _branches(self, key: str, schema: Mapping[str, Any], place: str) -> Schema:
        """Each branch with the keywords that stand beside all of them; references stay good."""
        beside = _without(schema, key, *DEFINITIONS)
        branches = [
            self.schema(self._both(beside, branch, place), place)
            for branch in shaped(key, schema[key], place)
            if branch is not False
        ]
        result: Schema = branches[0] if len(branches) == 1 else {"anyOf": branches}
        for name in DEFINITIONS:
            if name in schema:
                self._keyword(result, name, schema[name], place)
        return result

    def _both(self, beside: Schema, branch: Any, place: str) -> Schema:
        """What both allow; of two keywords that differ the branch's holds."""
        result = dict(beside)
        for key, value in branch.items() if isinstance(branch, Mapping) else ():
            if key == "required" and isinstance(beside.get(key), list):
                value = list(dict.fromkeys([*beside[key], *shaped(key, value, place)]))
            elif key == "properties" and isinstance(beside.get(key), Mapping):
                value = self._both(beside[key], value, place)
            elif key not in ANNOTATIONS and beside.get(key, value) != value:
                self._ignored.append(f"{place}: {key}")
            result[key] = value
        return result

    def _keyword(self, result: Schema, key: str, value: Any, place: str) -> None:
        value = shaped(key, value, place)
        if key.startswith("exclusive") and isinstance(value, bool):  # as in older drafts
            self._ignored.append(f"{place}: {key}")
        elif key in KEPT or (key, value) in KEPT_FORMATS or local(key, value):
            result[key] = value
        elif key in {"properties", "patternProperties", *DEFINITIONS}:
            result[key] = {name: self.schema(each, name) for name, each in value.items()}
        elif key == "prefixItems" or (key == "items" and isinstance(value, list)):
            result["prefixItems"] = [self.schema(each, place) for each in value]
        elif key in {"items", "additionalProperties"}:
            result[key] = value if value is False else self.schema(value, place)
        elif key not in ANNOTATIONS and not key.startswith("x-"):
            self._ignored.append(f"{place}: {key}")

    def _bound(self, result: Schema, schema: Mapping[str, Any], place: str) -> None:
        if "$ref" in result or "enum" in result or "const" in result:
            return
        if "type" not in result:
            told = (kind for kind, keys in TYPES.items() if result.keys() & set(keys))
            result["type"] = next(told, list(_SCALARS))
        kinds = result["type"] if isinstance(result["type"], list) else [result["type"]]
        if "string" in kinds:
            result.setdefault("maxLength", max(self._longest_string, result.get("minLength", 0)))
        if "number" in kinds:
            result.setdefault("multipleOf", SMALLEST_STEP)
        if "number" in kinds or "integer" in kinds:
            _bound_number(result)
        if "array" in kinds:
            result.setdefault("items", self._anything())
            result.setdefault("maxItems", max(MOST_ITEMS, result.get("minItems", 0)))
        if "object" in kinds:
            self._close(result, schema)
            self._count_properties(result, place)

    def _close(self, result: Schema, schema: Mapping[str, Any]) -> None:
        """Only declared properties, where any are; else a few of whatever is allowed."""
        open_ended = isinstance(schema.get("additionalProperties"), Mapping)
        if "properties" in result and not open_ended:
            result["additionalProperties"] = False
        elif "patternProperties" not in result or open_ended:
            result.setdefault("additionalProperties", self._anything())
        else:
            result["additionalProperties"] = False
        # A required property that is not declared may hold anything.
        if result["additionalProperties"] is False:
            for name in result.get("required", ()):
                result.setdefault("properties", {}).setdefault(name, self._anything())

    def _count_properties(self, result: Schema, place: str) -> None:
        """Engines can count an object's properties only where none is optional."""
        if result.get("properties", {}).keys() - set(result.get("required", ())):
            for key in ("minProperties", "maxProperties"):
                if result.pop(key, None) is not None:
                    self._ignored.append(f"{place}: {key}")
        elif result["additionalProperties"] is not False:
            most = max(MOST_PROPERTIES, result.get("minProperties", 0))
            result.setdefault("maxProperties", most)

    def _anything(self) -> Schema:
        """Any scalar, or one flat level of them: deeper free JSON has no bound."""
        scalar = self._scalar()
        return {
            "anyOf": [
                scalar,
                {"type": "array", "items": scalar, "maxItems": MOST_ITEMS},
                {
                    "type": "object",
                    "additionalProperties": scalar,
                    "maxProperties": MOST_PROPERTIES,
                },
            ]
        }

    def any_object(self) -> Schema:
        """Objects and arrays in each other, as deep as a model likes."""
        value = {"$ref": "#/$defs/value"}
        array = {"type": "array", "items": value, "maxItems": MOST_ITEMS}
        inner = {
            "type": "object",
            "additionalProperties": value,
            "maxProperties": MOST_PROPERTIES,
        }
        return {**inner, "$defs": {"value": {"anyOf": [self._scalar(), array, inner]}}}

    def _scalar(self) -> Schema:
        result: Schema = {"type": list(_SCALARS)}
        self._bound(result, {}, "")
        return result


_SCALARS = ("string", "number", "boolean", "null")


def _without(schema: Mapping[str, Any], *keys: str) -> Schema:
    return {key: value for key, value in schema.items() if key not in keys}


def _bound_number(result: Schema) -> None:
    lowest = result.get("minimum", result.get("exclusiveMinimum"))
    highest = result.get("maximum", result.get("exclusiveMaximum"))
    if lowest is None:
        result["minimum"] = -max(LARGEST_NUMBER, 1000 * abs(highest or 0))
    if highest is None:
        result["maximum"] = max(LARGEST_NUMBER, 1000 * abs(lowest or 0))
