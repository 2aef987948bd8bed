"""JSON Schema as a constraint: what an engine can enforce, with every value bounded.

A grammar engine refuses a keyword that it does not know, and a value without a bound lets a small
model write digits or letters until its tokens run out. `enforceable` therefore rewrites a tool's
schema into one that allows a subset of the same values, holds only keywords that the engines
compile, and bounds numbers, strings, arrays and open objects.

Keywords: https://json-schema.org/draft/2020-12/json-schema-validation. Which of them compile was
tried on the pinned engines.
"""

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

LARGEST_NUMBER = 10**15
SMALLEST_STEP = 1e-9
MOST_ITEMS = 32
MOST_PROPERTIES = 16

_KEPT = {
    "const", "enum", "exclusiveMaximum", "exclusiveMinimum", "maxItems", "maxLength",
    "maxProperties", "maximum", "minItems", "minLength", "minProperties", "minimum", "multipleOf",
    "pattern", "required", "type",
}  # fmt: skip
_ANNOTATIONS = {
    "$comment", "$id", "$schema", "default", "deprecated", "description", "example",
    "example_value", "examples", "optional", "readOnly", "strict", "title", "writeOnly",
}  # fmt: skip
_FORMATS = ("date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid")
_KEPT_FORMATS = [("format", name) for name in _FORMATS]
_TYPES = {
    "properties": "object",
    "additionalProperties": "object",
    "items": "array",
    "prefixItems": "array",
    "minLength": "string",
    "maxLength": "string",
    "pattern": "string",
    "format": "string",
    "minimum": "number",
    "maximum": "number",
}


def enforceable(schema: Mapping[str, Any], longest_string: int) -> tuple[Schema, list[str]]:
    """A tool's `parameters` as a constraint on its arguments.

    Args:
        schema: JSON Schema of an object; a missing type or missing properties mean "no arguments".
        longest_string: Characters of a string whose schema sets no `maxLength`.

    Returns:
        The schema to enforce, and the places whose keyword it leaves out ("unit: not").
    """
    ignored: list[str] = []
    rewriter = _Rewriter(longest_string, ignored)
    root = {"properties": {}, **schema, "type": "object"}
    return rewriter.schema(root, "arguments"), ignored


class _Rewriter:
    def __init__(self, longest_string: int, ignored: list[str]) -> None:
        self._longest_string = longest_string
        self._ignored = ignored

    def schema(self, schema: Any, place: str) -> Schema:
        """One schema and all below it."""
        if not isinstance(schema, Mapping) or not schema.keys() - _ANNOTATIONS:
            return self._anything()
        if schema.get("nullable") is True:
            rest = {key: value for key, value in schema.items() if key != "nullable"}
            return {"anyOf": [self.schema(rest, place), {"type": "null"}]}
        result: Schema = {}
        for key, value in schema.items():
            self._keyword(result, key, value, place)
        self._bound(result, schema)
        return result

    def _keyword(self, result: Schema, key: str, value: Any, place: str) -> None:
        if key in _KEPT or (key, value) in _KEPT_FORMATS or _local(key, value):
            result[key] = value
        elif key in {"properties", "patternProperties", "$defs", "definitions"}:
            result[key] = {name: self.schema(each, name) for name, each in value.items()}
        elif key in {"anyOf", "oneOf"}:
            # oneOf compiles only where the branches exclude each other at sight.
            result["anyOf"] = [self.schema(each, place) for each in value]
        elif key == "prefixItems":
            result[key] = [self.schema(each, place) for each in value]
        elif key in {"items", "additionalProperties"}:
            result[key] = value if value is False else self.schema(value, place)
        elif key == "allOf" and len(value) == 1:
            result |= self.schema(value[0], place)
        elif key not in _ANNOTATIONS and not key.startswith("x-"):
            self._ignored.append(f"{place}: {key}")

    def _bound(self, result: Schema, schema: Mapping[str, Any]) -> None:
        if "$ref" in result or "enum" in result or "const" in result or "anyOf" in result:
            return
        if "type" not in result:
            result["type"] = next(
                (kind for key, kind in _TYPES.items() if key in result), list(_SCALARS)
            )
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

    def _close(self, result: Schema, schema: Mapping[str, Any]) -> None:
        """Only declared properties, where any are; else a few of whatever is allowed."""
        open_ended = isinstance(schema.get("additionalProperties"), Mapping)
        if "properties" in result and not open_ended:
            result["additionalProperties"] = False
        elif "patternProperties" not in result or open_ended:
            result.setdefault("additionalProperties", self._anything())
            most = max(MOST_PROPERTIES, result.get("minProperties", 0))
            result.setdefault("maxProperties", most)
        else:
            result["additionalProperties"] = False
        # A required property that is not declared may hold anything.
        if result["additionalProperties"] is False:
            for name in result.get("required", ()):
                result.setdefault("properties", {}).setdefault(name, self._anything())

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

    def _scalar(self) -> Schema:
        result: Schema = {"type": list(_SCALARS)}
        self._bound(result, {})
        return result


_SCALARS = ("string", "number", "boolean", "null")


def _local(key: str, value: Any) -> bool:
    """Whether this is a reference into the schema itself."""
    return key == "$ref" and isinstance(value, str) and value.startswith("#")


def _bound_number(result: Schema) -> None:
    lowest = result.get("minimum", result.get("exclusiveMinimum"))
    highest = result.get("maximum", result.get("exclusiveMaximum"))
    if lowest is None:
        result["minimum"] = -max(LARGEST_NUMBER, 1000 * abs(highest or 0))
    if highest is None:
        result["maximum"] = max(LARGEST_NUMBER, 1000 * abs(lowest or 0))
