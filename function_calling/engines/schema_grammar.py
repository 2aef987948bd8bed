"""A JSON Schema as a grammar in XGrammar's EBNF (https://xgrammar.mlc.ai/docs/), with one space
behind commas and colons.

XGrammar writes the grammar of the schema's structure and numbers. Strings and constants are taken
out of the schema before, each replaced by a constant that marks its place, and ours are put there.

It knows no multiples between bounds, so where there are few of them, they are constants, too.
"""

import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import xgrammar

from function_calling.engines.json_rules import possible
from function_calling.engines.json_text_rules import CHARACTER, literal, pattern_rules

Schema = Mapping[str, Any]

MOST_MULTIPLES = 1000
"""Multiples that are listed."""

_MARK = "\ue000"
_MARKED = re.compile(r'"\\"\\ue000(\d+)\\ue000\\""')
_SEPARATORS = (", ", ": ")
_MAPS = ("properties", "patternProperties", "$defs", "definitions")
_LISTS = ("anyOf", "prefixItems")
_SINGLE = ("items", "additionalProperties")


def unenforced(schema: Schema) -> set[str]:
    """The keywords of one schema, with its bounds, to which this grammar can't hold a value."""
    found = {"minLength", "maxLength"} if schema.keys() & {"pattern", "format"} else set()
    return found if _multiples(schema) else found | {"multipleOf"}


def schema_grammar(schema: Schema) -> str:
    """The grammar of all values that the schema allows; its start is `root`.

    Raises:
        RuntimeError: XGrammar can't write it.
    """
    texts = _Texts()
    structure = json.dumps(texts.taken_out(schema), ensure_ascii=False)
    printed = str(
        xgrammar.Grammar.from_json_schema(structure, any_whitespace=False, separators=_SEPARATORS)
    )
    return "\n".join([_MARKED.sub(r"text_\1", printed), *texts.rules, f"character ::= {CHARACTER}"])


def _multiples(schema: Schema) -> list[str]:
    """All values of a number that must be a multiple; none where there are too many to list."""
    kind, step = schema.get("type"), Decimal(str(schema.get("multipleOf", 0)))
    if kind not in ("integer", "number") or step <= 0:
        return []
    lower, upper = (
        [Decimal(str(schema[key])) / step for key in keys if key in schema]
        for keys in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum"))
    )
    if not lower or not upper or min(upper) - max(lower) > MOST_MULTIPLES:
        return []
    least, most = math.ceil(max(lower)), math.floor(min(upper))
    excluded = {schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")}
    values = [step * count for count in range(least, most + 1)]
    return [
        f"{value.normalize() + 0:f}"
        for value in values
        if value not in excluded and (kind == "number" or value == int(value))
    ]


class _Texts:
    """The strings and constants of a schema, as rules."""

    def __init__(self) -> None:
        self.rules: list[str] = []

    def taken_out(self, schema: Any) -> Any:
        """The schema with marks where they stood."""
        if not isinstance(schema, Mapping):
            return schema
        if "const" in schema or "enum" in schema:
            values = [schema["const"]] if "const" in schema else schema["enum"]
            return self._marked(" | ".join(literal(_json(value)) for value in values))
        if multiples := _multiples(schema):
            return self._marked(" | ".join(map(literal, multiples)))
        kind = schema.get("type")
        if isinstance(kind, list) and "string" in kind:
            rest = [each for each in kind if each != "string"]
            kinds = ["string", rest] if rest else ["string"]
            return {"anyOf": [self.taken_out({**schema, "type": each}) for each in kinds]}
        if kind == "string":
            return self._text(schema)
        return self._inside(schema)

    def _inside(self, schema: Schema) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in schema.items():
            if key in _MAPS:
                value = {
                    name: self.taken_out(each)
                    for name, each in value.items()
                    if key != "properties" or not _never(name, each, schema)
                }
            elif key in _LISTS:
                value = [self.taken_out(each) for each in value]
            elif key in _SINGLE:
                value = self.taken_out(value)
            if key != "multipleOf":
                result[key] = value
        return result

    def _text(self, schema: Schema) -> Any:
        if "format" in schema:
            return {"type": "string", "format": schema["format"]}
        if "pattern" in schema:
            name = f"pattern_{len(self.rules)}"
            mark = self._marked(rf'"\"" {name} "\""')
            self.rules.append(pattern_rules(name, schema["pattern"]))
            return mark
        least, most = schema.get("minLength", 0), schema.get("maxLength", "")
        return self._marked(rf'"\"" character{{{least},{most}}} "\""')

    def _marked(self, rule: str) -> Any:
        number = len(self.rules)
        self.rules.append(f"text_{number} ::= {rule}")
        return {"const": f"{_MARK}{number}{_MARK}"}


def _never(name: str, value: Schema, schema: Schema) -> bool:
    """Whether an object is never written with this property: XGrammar would begin it."""
    closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
    return closed and name not in schema.get("required", ()) and not possible(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=_SEPARATORS)
