"""The keywords of JSON Schema, the kinds of their values, and how much of them there may be.

https://json-schema.org/draft/2020-12/json-schema-validation. Which of them the pinned engines
compile was tried.
"""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any

from function_calling.engines.grammar import compiles
from function_calling.errors import schema_refused, shown

Schema = dict[str, Any]

MOST_SCHEMAS = 5000
"""Schemas in one, with all that branches and references repeat of it."""
MOST_LEVELS = 32
"""Schemas in each other."""
CHARACTERS_OF_A_SCHEMA = 30
"""To compile so many characters takes about as long as to rewrite a schema."""
KEPT = {
    "const", "enum", "exclusiveMaximum", "exclusiveMinimum", "maxItems", "maxLength",
    "maxProperties", "maximum", "minItems", "minLength", "minProperties", "minimum", "multipleOf",
    "pattern", "required", "type",
}  # fmt: skip
"""Keywords that are enforced as they stand."""
ANNOTATIONS = {
    "$anchor", "$comment", "$defs", "$id", "$schema", "default", "definitions", "deprecated",
    "description", "discriminator", "example", "example_value", "examples", "id", "nullable",
    "optional", "readOnly", "strict", "title", "writeOnly",
}  # fmt: skip
"""Keywords that allow and forbid nothing where they stand."""
_FORMATS = ("date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid")
KEPT_FORMATS = [("format", name) for name in _FORMATS]
KEYWORDS_OF = {
    "object": (
        "properties", "additionalProperties", "patternProperties", "required", "minProperties",
        "maxProperties",
    ),
    "array": ("items", "prefixItems", "minItems", "maxItems"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}  # fmt: skip
"""The keywords from which a missing `type` is told."""
OF_SCALARS = {*KEYWORDS_OF["string"], *KEYWORDS_OF["number"]}
_UNWRITTEN = {
    "$dynamicRef", "$recursiveRef", "$ref", "allOf", "anyOf", "contains", "dependencies",
    "dependentRequired", "dependentSchemas", "else", "if", "maxContains", "minContains", "not",
    "oneOf", "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties", "uniqueItems",
}  # fmt: skip
"""Keywords of which grammars hold nothing, or not always."""
_BINDING = {*KEPT, *_UNWRITTEN, *chain.from_iterable(KEYWORDS_OF.values())}
_SHAPES: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("properties", "patternProperties"), (Mapping,)),
    **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems", "required", "enum"), (list,)),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), (int,)),
    **dict.fromkeys(("minProperties", "maxProperties"), (int,)),
    **dict.fromkeys(KEYWORDS_OF["number"], (int, float)),
    "pattern": (str,),
}
_VALUES_OF: Mapping[str, Any] = {
    "array": list,
    "boolean": bool,
    "integer": (int, float),
    "null": type(None),
    "number": (int, float),
    "object": dict,
    "string": str,
}
LARGEST_EXACT = 2**53
"""Of larger constants the engines write another number, or crash."""


def keywords(schema: Mapping[str, Any], place: str) -> Schema:
    """The keywords of a schema; what may be said in several ways, in one.

    Raises:
        RequestError: The value of one is of the wrong kind.
    """
    told = {key: _shaped(key, value, place) for key, value in schema.items()}
    for key, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(told.get(key), bool) and told.pop(key) and bound in told:
            told[key] = told.pop(bound)
    if isinstance(told.get("type"), list):
        kinds = dict.fromkeys(told["type"])
        if "number" in kinds:
            kinds.pop("integer", None)
        told["type"] = next(iter(kinds)) if len(kinds) == 1 else [*kinds]
    others = told.pop("additionalItems", True)
    if isinstance(told.get("items"), list):
        told |= {"prefixItems": told["items"], "items": others}
    if "const" in told:
        value = [told.pop("const")]
        told["enum"] = common_values(value, told.get("enum", value))
    if told.pop("nullable", False) is True:
        return {"anyOf": [told, {"type": "null"}]}
    return told


def binds(place: str) -> bool:
    """Whether the keyword at a place ("unit: not") is JSON Schema's: any other demands nothing."""
    return place.rpartition(": ")[2] in _BINDING


def common_values(one: list[Any], other: list[Any]) -> list[Any]:
    """The values that both list; `true` is no number."""
    written = {json.dumps(each, sort_keys=True) for each in other}
    return [each for each in one if json.dumps(each, sort_keys=True) in written]


def _shaped(key: str, value: Any, place: str) -> Any:
    """`value`, if it is of the kind that the keyword `key` takes."""
    told = f"{place}: {key}={shown(value)}"
    wanted = _SHAPES.get(key, (object,))
    if wanted == (Mapping,) and value == []:  # how PHP writes an empty object
        return {}
    names = value if key == "required" and isinstance(value, list) else ()
    endless = isinstance(value, float) and not math.isfinite(value)
    if endless or not isinstance(value, wanted) or not all(isinstance(it, str) for it in names):
        raise schema_refused(f"they are no JSON Schema: {told}")
    if key == "type" and not set(map(str, listed(value) or [""])) <= _VALUES_OF.keys():
        kinds = ", ".join(sorted(_VALUES_OF))
        raise schema_refused(f"they are no JSON Schema: {told}; wanted {kinds}, or a list of these")
    if key in {"const", "enum"} and not _exact(value):
        raise schema_refused(f"{told}: engines write no number beyond 2**53 exactly")
    return value


def number(text: str) -> float:
    """A number as JSON Schema takes it: 1.0 is an integer, and the same as 1."""
    value = float(text)
    return int(value) if value.is_integer() and abs(value) <= LARGEST_EXACT else value


def listed(value: Any) -> list[Any]:
    """The values of a keyword that takes one or a list."""
    return value if isinstance(value, list) else [value]


def _exact(value: Any) -> bool:
    """Whether the value's numbers are written as they are."""
    match value:
        case int() | float():
            return abs(value) <= LARGEST_EXACT
        case list():
            return all(map(_exact, value))
        case dict():
            return all(map(_exact, value.values()))
    return True


def is_of(value: Any, kind: str) -> bool:
    """Whether a value has a type; `true` is no number, and 1.0 is an integer."""
    if kind == "integer":
        return is_of(value, "number") and value == int(value)
    return isinstance(value, _VALUES_OF[kind]) and isinstance(value, bool) == (kind == "boolean")


class Budget:
    """What a schema, or all those of a request, may come to.

    Attributes:
        spent: Schemas so far.
    """

    def __init__(self) -> None:
        self.spent = 0
        self._level = 0

    def compiles(self, schema: Schema) -> bool:
        """Whether LLGuidance can write values of a small schema, which counts by its length.

        Raises:
            RequestError: There are too many.
        """
        text = json.dumps(schema)
        self.spend(len(text) // CHARACTERS_OF_A_SCHEMA)
        return compiles(text)

    def spend(self, schemas: int) -> None:
        """Count schemas.

        Raises:
            RequestError: There are too many.
        """
        self.spent += schemas
        if self.spent > MOST_SCHEMAS:
            raise schema_refused(
                f"they are too large or branch too often: they come to over {MOST_SCHEMAS} schemas"
            )

    @contextmanager
    def level(self) -> Iterator[None]:
        """Count a schema, and what is written meanwhile as inside it.

        Raises:
            RequestError: There are too many, or too many in each other.
        """
        self.spend(1)
        if self._level == MOST_LEVELS:
            raise schema_refused(f"they hold more than {MOST_LEVELS} schemas in each other")
        self._level += 1
        yield
        self._level -= 1
