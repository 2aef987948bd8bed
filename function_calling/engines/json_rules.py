"""A JSON Schema as rules of LLGuidance's Lark, where its `%json` can't hold a value to it.

The release that llama.cpp is built with takes no number below zero for a multiple of anything:
under `multipleOf` none could be written, and nothing at all between two bounds below zero. Without
`multipleOf` decimals have no end there (`-0.333…`). Here such a number is a minus sign and its
opposite:

    any0: json1 | "-" json2
    json1: %json {"type": "number", "minimum": 0, "maximum": 5, "multipleOf": 0.5}
    json2: %json {"type": "number", "minimum": 0, "maximum": 9, "multipleOf": 0.5}

A number that nothing bounds has no end there either. Between bounds of ours it would have no
exponent, and 1e-12 become 1. So it is a rule: 16 digits on each side of the point, and an exponent.

Also, it counts the items of an array in a way that breaks with many, and no properties where some
are optional and others may come; and `"\\u0061"` is to it another name than a declared `"a"`. What
such a value stands in becomes rules with it; all else is left to `%json`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

Schema = Mapping[str, Any]

_SPACING = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
_COMMA, _COLON = '", "', '": "'
_NAME = r'/"[^"\\\x00-\x1F\x7F]{0,64}"/'
"""An undeclared property's name; one that would need escapes is none."""
_MOST_MORE = 16
"""Undeclared properties, where the schema sets no `maxProperties`."""
_MOST_ITEMS = 1000
"""Items that LLGuidance counts well; with 100,000 it breaks."""
MAPS = ("properties", "patternProperties", "$defs")
LISTS = ("anyOf", "prefixItems")
SINGLE = ("items", "additionalProperties")
"""The keywords with schemas in them: by name, in a list, and one."""

LOWER = ("minimum", "exclusiveMinimum")
UPPER = ("maximum", "exclusiveMaximum")
_OF_NUMBERS = {*LOWER, *UPPER, "multipleOf"}
_NUMBERS = {"number", "integer"}
_OPPOSITES = dict(zip((*LOWER, *UPPER), (*UPPER, *LOWER), strict=True))


class Rules(Protocol):
    """The rules of a grammar."""

    def rule(self, kind: str, body: str) -> str:
        """The name of the rule that has this body."""

    def open_rule(self, kind: str) -> str:
        """The name of a rule whose body follows."""

    def close_rule(self, name: str, body: str) -> None:
        """Give the body."""


def json_rule(schema: Schema, rules: Rules) -> str:
    """The name of the rule that writes a value of the schema, which is as `enforceable` made it."""
    return _Values(schema, rules).value(schema)


class _Values:
    def __init__(self, root: Schema, rules: Rules) -> None:
        self._root = root
        self._rules = rules
        self._definitions: dict[str, str] = {}
        self._whole = not any(map(_beyond, _all(root)))

    def value(self, schema: Schema) -> str:
        """The rule of a value."""
        if self._whole or not any(_beyond(each) or "$ref" in each for each in _all(schema)):
            return self._json(schema)
        if "$ref" in schema:
            return self._definition(schema["$ref"])
        if "anyOf" in schema:
            return self._any(map(self.value, schema["anyOf"]))
        match _kinds(schema):
            case ["object"] if "patternProperties" not in schema:
                return self._object(schema)
            case ["array"]:
                return self._array(schema)
            case ["number" | "integer"] if _beyond_number(schema):
                return self._number(schema)
            case [_, _, *_] as kinds:
                return self._any(self.value(_of_kind(schema, kind)) for kind in kinds)
        return self._json(schema)

    def _any(self, rules: Iterable[str]) -> str:
        return self._rules.rule("any", ": " + " | ".join(rules))

    def _json(self, schema: Schema) -> str:
        """What is left to LLGuidance."""
        told = {**schema, "x-guidance": _SPACING}
        if not self._whole and any("$ref" in each for each in _all(schema)):
            told["$defs"] = self._root["$defs"]
        return self._rules.rule("json", f": %json {json.dumps(told, ensure_ascii=False)}")

    def _number(self, schema: Schema) -> str:
        if free_number(schema):
            return self._rules.rule("NUMBER", f": /{number_pattern(schema)}/")
        signs = [f'"-" {self._json(_opposites(schema))}']
        if (positive := _from_zero(schema)) is not None:
            signs.insert(0, self._json(positive))
        return self._any(signs)

    def _definition(self, reference: str) -> str:
        if reference not in self._definitions:
            self._definitions[reference] = name = self._rules.open_rule("definition")
            schema = self._root["$defs"][reference.removeprefix("#/$defs/")]
            self._rules.close_rule(name, ": " + self.value(schema))
        return self._definitions[reference]

    def _object(self, schema: Schema) -> str:
        """The declared properties in their order, then others."""
        declared, required = dict(schema.get("properties", {})), schema.get("required", ())
        more = schema.get("additionalProperties", False)
        least = schema.get("minProperties", 0) - len(required)
        most = schema.get("maxProperties", len(required) + _MOST_MORE) - len(required)
        members = [
            (f"{_literal(_literal(name))} {_COLON} {self.value(each)}", name in required)
            for name, each in declared.items()
            if name in required or possible(each)
        ]
        other = ""
        if more is not False and possible(more):
            other = f"{self._name(declared)} {_COLON} {self.value(more)}"
        one = least > 0 and any(not needed for _, needed in members)
        if most < 0 or (least > 0 and not other and not one):
            return self._json(schema)  # which refuses what can't be
        return self._listed("{", members, (other, least, most), "}", one=one)

    def _name(self, declared: Iterable[str]) -> str:
        """The rule of a name that is not declared."""
        others = " | ".join(_literal(_literal(name)) for name in declared)
        return self._rules.rule("NAME", f": {_NAME}" + (f" & ~({others})" if others else ""))

    def _array(self, schema: Schema) -> str:
        """Items with a place of their own, each only behind those before it, then others."""
        least, most = schema.get("minItems", 0), schema["maxItems"]
        first = schema.get("prefixItems", [])[:most]
        items, other = schema.get("items", False), ""
        if items is not False and possible(items):
            other = self.value(items)
        if least > (most if other else len(first)):
            return self._json(schema)  # which refuses what can't be
        if not first:
            return self._listed("[", [], (other, least, most), "]")
        times = max(least - len(first), 0), most - len(first)
        behind = _times(f"{_COMMA} {other}", *times) if other else '""'
        for place, each in reversed(list(enumerate(first))):
            follows = self._rules.rule("behind", f": {behind}")
            behind = f"{_COMMA if place else ''} {self.value(each)} {follows}"
            behind = behind if place < least else f"({behind})?"
        return self._rules.rule("list", f": {_literal('[')} {behind} {_literal(']')}")

    def _listed(
        self,
        opening: str,
        members: list[tuple[str, bool]],
        others: tuple[str, int, int],
        end: str,
        *,
        one: bool = False,
    ) -> str:
        """Members, each with whether it must be there, and between two numbers of others.

        With `one`, the least number of others may be met by a member instead.
        """
        other, least, most = others
        least, most = max(least, 0), max(most, 0) if other else 0
        begun, behind = "" if one else '""', '""'
        if most:
            again = f"{_COMMA} {other}"
            behind = _times(again, 0 if one else least, most)
            begun = f"{other} {_times(again, max(least - 1, 0), most - 1)}"
            begun = begun if least else f"({begun})?"
        for member, needed in reversed(members):
            follows = self._rules.rule("behind", f": {behind}")
            rest = begun and self._rules.rule("begun", f": {begun}")
            begun = f"{member} {follows}" + ("" if needed or not rest else f" | {rest}")
            behind = f"{_COMMA} {member} {follows}"
            behind = behind if needed else f"({_COMMA} {member})? {follows}"
        rest = self._rules.rule("begun", f": {begun}")
        return self._rules.rule("list", f": {_literal(opening)} {rest} {_literal(end)}")


def free_number(schema: Schema) -> bool:
    """Whether a number may have an exponent: nothing bounds it, but that it is not below zero."""
    lower = [schema[key] for key in LOWER if key in schema]
    bounded = schema.keys() & {*UPPER, "multipleOf"} or any(lower)
    return not bounded and "number" in (kinds := _kinds(schema)) and "integer" not in kinds


def number_pattern(schema: Schema) -> str:
    """The regular expression of a free number."""
    digits, zero = "[1-9][0-9]{0,15}", r"0(\.[0-9]{1,16})?"
    if "exclusiveMinimum" in schema:
        zero = r"0\.0{0,15}[1-9][0-9]{0,15}"
    sign = "" if schema.keys() & set(LOWER) else "-?"
    return rf"{sign}({digits}(\.[0-9]{{1,16}})?|{zero})([eE][+-]?[0-9]{{1,2}})?"


def possible(schema: Schema) -> bool:
    """Whether any value obeys the schema, as far as is seen without following references."""
    if "anyOf" in schema:
        return any(map(possible, schema["anyOf"]))
    if schema.get("enum") == []:
        return False
    declared = schema.get("properties", {}) if schema.get("type") == "object" else {}
    return all(possible(declared[name]) for name in schema.get("required", ()) if name in declared)


def _all(schema: Any) -> Iterator[Schema]:
    """A schema and all in it."""
    if not isinstance(schema, Mapping):
        return
    yield schema
    for key in SINGLE:
        yield from _all(schema.get(key))
    for key in LISTS:
        for each in schema.get(key, ()):
            yield from _all(each)
    for key in MAPS:
        for each in schema.get(key, {}).values():
            yield from _all(each)


def _beyond(schema: Schema) -> bool:
    """Whether LLGuidance's own grammar would hold a value to something else, or break."""
    others = schema.get("properties") and schema.get("additionalProperties", False) is not False
    return bool(others) or _beyond_number(schema) or schema.get("maxItems", 0) > _MOST_ITEMS


def _beyond_number(schema: Schema) -> bool:
    return free_number(schema) or _below_zero(schema)


def _kinds(schema: Schema) -> list[str]:
    """The kinds of value that it allows; none are told where it lists the values."""
    told = [] if "enum" in schema or "const" in schema else schema.get("type", [])
    return list(dict.fromkeys(told)) if isinstance(told, list) else [told]


def _of_kind(schema: Schema, kind: str) -> Schema:
    """What the schema says of values of one kind."""
    foreign = set() if kind in _NUMBERS else _OF_NUMBERS
    return {key: value for key, value in schema.items() if key not in foreign} | {"type": kind}


def _below_zero(schema: Schema) -> bool:
    """Whether it allows multiples of something, and some of them below zero."""
    bounded = any(schema[key] >= 0 for key in LOWER if key in schema)
    return "multipleOf" in schema and not bounded and not _NUMBERS.isdisjoint(_kinds(schema))


def _from_zero(schema: Schema) -> Schema | None:
    """The numbers from zero on; None if there are none."""
    if schema.get("maximum", 0) < 0 or schema.get("exclusiveMaximum", 1) <= 0:
        return None
    return {key: value for key, value in schema.items() if key not in LOWER} | {"minimum": 0}


def _opposites(schema: Schema) -> Schema:
    """Those below zero, each without its sign."""
    rest = {key: value for key, value in schema.items() if key not in _OPPOSITES}
    bounds = {_OPPOSITES[key]: -schema[key] for key in _OPPOSITES if key in schema}
    upper = {key: bound for key, bound in bounds.items() if key in UPPER}
    lower = {key: bound for key, bound in bounds.items() if key in LOWER and bound >= 0}
    return {**rest, **upper, **(lower or {"minimum": 0})}


def _times(what: str, least: int, most: int) -> str:
    return f"({what}){{{least},{most}}}" if most else '""'


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
