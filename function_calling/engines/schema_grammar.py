"""A JSON Schema as a grammar in XGrammar's EBNF (https://xgrammar.mlc.ai/docs/), with one space
behind commas and colons.

XGrammar writes the grammar of the schema's structure and numbers. Strings and constants are taken
out of the schema before, each replaced by a constant that marks its place, and ours are put there.

XGrammar's own strings let a tab stand as it is, which is no JSON, and no quote or line break at
all; and what a pattern allows it does not escape. Nor does it know multiples between bounds: where
there are few of them, they are constants, too.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import xgrammar

from function_calling.engines.grammar import compiles
from function_calling.engines.json_rules import (
    LISTS,
    MAPS,
    SINGLE,
    Schema,
    free_number,
    number_pattern,
    possible,
)

MOST_MULTIPLES = 1000
"""Multiples that are listed."""

_MARK = "\ue000"
_MARKED = re.compile(r'"\\"\\ue000(\d+)\\ue000\\""')
_SEPARATORS = (", ", ": ")
_CHARACTER = (
    r"[\x20-\x21\x23-\x5b\x5d-\ud7ff\ue000-\U0010ffff]"
    r' | "\\" ([\"\\/bfnrt] | "u" ([0-9A-Ca-cE-Fe-f] [0-9A-Fa-f] | [Dd] [0-7])'
    " [0-9A-Fa-f] [0-9A-Fa-f])"
)
"""One character of a JSON string: as it is, or escaped; half surrogates are none."""
_PART = re.compile(r'"((?:[^"\\]|\\.)*)"|\[(\^?)((?:[^\]\\]|\\.)*)\]|\b(root\w*)')
"""What a rule of XGrammar's is made of: literals, classes of characters and names of rules."""
_ITEM = re.compile(r"(\\x..|\\u.{4}|\\U.{8}|\\?.)", re.DOTALL)
_RANGE = re.compile(f"{_ITEM.pattern}(?:-{_ITEM.pattern})?", re.DOTALL)
_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL)
"""What a regular expression is made of."""
_NAMED = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "b": "\b", "a": "\a"}
_PLAIN = r'[^"\\\x00-\x1f]'
"""A character of a name that stands as it is; XGrammar escapes none in the names of patterns."""
_ESCAPED = '"\\\b\f\n\r\t'
_UNSAFE = ((0, 0x1F), (0x22, 0x22), (0x5C, 0x5C), (0xD800, 0xDFFF))
_LAST = 0x10FFFF

_Range = tuple[int, int]


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
    marked = json.dumps(texts.taken_out(schema), ensure_ascii=False)
    printed = str(
        xgrammar.Grammar.from_json_schema(marked, any_whitespace=False, separators=_SEPARATORS)
    )
    structure = _MARKED.sub(r"text_\1", printed)
    return "\n".join([structure, *texts.rules, f"character ::= {_CHARACTER}"])


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
            return self._marked(" | ".join(_literal(_json(value)) for value in values))
        if multiples := _multiples(schema):
            return self._marked(" | ".join(map(_literal, multiples)))
        kind = schema.get("type")
        ours = {"string", "number"} if free_number(schema) else {"string"}
        if isinstance(kind, list) and ours.intersection(kind):
            rest = [each for each in kind if each not in ours]
            kinds = [each for each in kind if each in ours] + ([rest] if rest else [])
            return {"anyOf": [self.taken_out({**schema, "type": each}) for each in kinds]}
        if kind == "string":
            return self._text(schema)
        if kind == "number" and "number" in ours:
            return self._pattern(number_pattern(schema), "")
        return self._inside(schema)

    def _inside(self, schema: Schema) -> dict[str, Any]:
        result: dict[str, Any] = {}
        schema = _apart(schema)
        for key, value in schema.items():
            if key in MAPS:
                value = {
                    name: self.taken_out(each)
                    for name, each in value.items()
                    if key != "properties" or not _never(name, each, schema)
                }
            elif key in LISTS:
                value = [self.taken_out(each) for each in value]
            elif key in SINGLE:
                value = self.taken_out(value)
            if key != "multipleOf":
                result[key] = value
        return result

    def _text(self, schema: Schema) -> Any:
        if "format" in schema:
            return {"type": "string", "format": schema["format"]}
        if "pattern" in schema:
            return self._pattern(_whole(schema["pattern"]), r'"\""')
        least, most = schema.get("minLength", 0), schema.get("maxLength", "")
        return self._marked(rf'"\"" character{{{least},{most}}} "\""')

    def _pattern(self, pattern: str, quote: str) -> Any:
        name = f"pattern_{len(self.rules)}"
        mark = self._marked(f"{quote} {name} {quote}")
        self.rules.append(_pattern_rules(name, pattern))
        return mark

    def _marked(self, rule: str) -> Any:
        number = len(self.rules)
        self.rules.append(f"text_{number} ::= {rule}")
        return {"const": f"{_MARK}{number}{_MARK}"}


def _apart(schema: Schema) -> Schema:
    """The schema; XGrammar keeps a pattern's names from no declared ones, nor others from both."""
    if "patternProperties" not in schema:
        return schema
    patterns = {
        _whole(pattern, _PLAIN, _PLAIN): each
        for pattern, each in schema["patternProperties"].items()
        if not any(
            compiles(json.dumps({"type": "string", "const": name, "pattern": pattern}))
            for name in schema.get("properties", ())
        )
    }
    return {**schema, "patternProperties": patterns, "additionalProperties": False}


def _never(name: str, value: Schema, schema: Schema) -> bool:
    """Whether an object is never written with this property: XGrammar would begin it."""
    closed = schema.get("additionalProperties") is False
    return closed and name not in schema.get("required", ()) and not possible(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=_SEPARATORS)


def _literal(text: str) -> str:
    """A text as a literal of the grammar."""
    return '"' + "".join(map(_written, text)) + '"'


def _pattern_rules(name: str, pattern: str) -> str:
    """Rules by which `name` is a JSON string's inside that the pattern allows."""

    def in_json(found: re.Match[str]) -> str:
        text, negated, characters, rule = found.groups()
        if rule is not None:
            return name + rule.removeprefix("root")
        return _class(characters, bool(negated)) if text is None else _text(text)

    return _PART.sub(in_json, str(xgrammar.Grammar.from_regex(pattern)))


def _whole(pattern: str, any_character: str = r"[\s\S]", dot: str = r"[^\n\r]") -> str:
    """The pattern of all texts in which it is found: XGrammar takes one for the whole text.

    One with an anchor in the middle stays so; XGrammar passes over anchors.
    """
    choices: list[list[str]] = [[]]
    depth = 0
    for token in _TOKEN.findall(pattern):
        depth += (token == "(") - (token == ")")
        if token == "|" and not depth:
            choices.append([])
        else:
            choices[-1].append(dot if token == "." else token)
    return "|".join(_found(each, f"{any_character}*") for each in choices)


def _found(tokens: list[str], others: str) -> str:
    """One choice of a pattern, between other characters where no anchor forbids them."""
    before = "" if tokens[:1] == ["^"] else others
    behind = "" if tokens[-1:] == ["$"] else others
    inner = tokens[not before : len(tokens) - (not behind)]
    text = "".join(inner)
    return text if {"^", "$"} & {*inner} else f"{before}{text}{behind}"


def _text(written: str) -> str:
    """A literal, as its characters stand in JSON."""
    text = "".join(chr(_code(item)) for item in _ITEM.findall(written))
    return _literal(json.dumps(text, ensure_ascii=False)[1:-1])


def _class(written: str, negated: bool) -> str:
    """A class of characters, as they stand in JSON."""
    allowed = [(_code(first), _code(last or first)) for first, last in _RANGE.findall(written)]
    if negated:
        allowed = _without([(0, _LAST)], allowed)
    choices = [
        _literal(json.dumps(each)[1:-1])
        for each in _ESCAPED
        if any(low <= ord(each) <= high for low, high in allowed)
    ]
    if safe := _without(allowed, _UNSAFE):
        shown = (f"{_written(chr(low))}-{_written(chr(high))}" for low, high in safe)
        choices.insert(0, f"[{''.join(shown)}]")
    return f"({' | '.join(choices)})"


def _code(item: str) -> int:
    if item[0] != "\\":
        return ord(item)
    if item[1] in "xuU":
        return int(item[2:], 16)
    return ord(_NAMED.get(item[1], item[1]))


def _without(ranges: list[_Range], removed: Iterable[_Range]) -> list[_Range]:
    """What is left of the ranges."""
    for low, high in removed:
        ranges = [
            part
            for first, last in ranges
            for part in ((first, min(last, low - 1)), (max(first, high + 1), last))
            if part[0] <= part[1]
        ]
    return ranges


def _written(character: str) -> str:
    """A character in a literal or a class."""
    if character.isascii() and character.isalnum():
        return character
    return f"\\U{ord(character):08x}"
