"""A JSON Schema as a grammar in XGrammar's EBNF (https://xgrammar.mlc.ai/docs/), with one space
behind commas and colons.

XGrammar writes the grammar of the schema's structure and numbers. Strings and constants are taken
out of the schema before, each replaced by a constant that marks its place, and ours are put there.

`UNENFORCED` and lengths beside a `pattern` or a `format` are what it can't hold a value to.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import xgrammar

from function_calling.engines.json_text_rules import CHARACTER, literal, pattern_rules

Schema = Mapping[str, Any]

UNENFORCED = frozenset({"multipleOf"})

_MARK = "\ue000"
_MARKED = re.compile(r'"\\"\\ue000(\d+)\\ue000\\""')
_SEPARATORS = (", ", ": ")
_MAPS = ("properties", "patternProperties", "$defs", "definitions")
_LISTS = ("anyOf", "prefixItems")
_SINGLE = ("items", "additionalProperties")


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
                value = {name: self.taken_out(each) for name, each in value.items()}
            elif key in _LISTS:
                value = [self.taken_out(each) for each in value]
            elif key in _SINGLE:
                value = self.taken_out(value)
            if key not in UNENFORCED:
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


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=_SEPARATORS)
