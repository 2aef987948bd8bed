"""A JSON Schema as rules of a grammar: its objects, arrays and choices.

    object5: "{" begun4 "}"
    begun4: "\\"a\\"" ": " json0 behind3 | begun2

What stands in them, such as `json0`, is written by a subclass in its engine's syntax. No engine
writes the whole by itself: the LLGuidance that llama.cpp is built with takes no number below zero
for a multiple of anything, breaks where it counts many items of an array, and takes `"\\u0061"` for
another name than a declared `"a"`; XGrammar lets strings pass that are no JSON, and begins objects
that it can't end.
"""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, ClassVar

from function_calling.errors import schema_refused

Schema = Mapping[str, Any]

MOST_CHARACTERS = 1_000_000
"""Characters of a grammar at most."""
SEPARATORS = (", ", ": ")
LONGEST_NAME = 256
"""Characters of an undeclared property's name."""

_MOST_MORE = 16
"""Undeclared properties, where the schema sets no `maxProperties`."""

LOWER = ("minimum", "exclusiveMinimum")
UPPER = ("maximum", "exclusiveMaximum")
_OF_NUMBERS = {*LOWER, *UPPER, "multipleOf"}
_NUMBERS = {"number", "integer"}
_ENDS = {
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
    **dict.fromkeys(_NUMBERS, ("minimum", "maximum")),
}
"""Between which keywords' values there must be room."""


class JsonRules(ABC):
    """Rules in the syntax of one engine, for schemas as `enforceable` makes them."""

    between: ClassVar[str]
    """What stands between a rule's name and its body."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._definitions: dict[str, str] = {}
        self._defined: dict[str, str] = {}
        self._root: Schema = {}
        self._length = 0

    def json(self, root: Schema) -> str:
        """The name of the rule that writes a value of the schema."""
        self._root, self._defined = root, {}
        return self._value(root)

    def rules(self) -> list[str]:
        """All rules so far."""
        rules = [f"{name}{body}" for body, name in self._names.items()]
        return rules + [f"{name}{body}" for name, body in self._definitions.items()]

    def rule(self, kind: str, body: str, attributes: str = "") -> str:
        """The name of the rule that has this body."""
        text = self.counted(f"{attributes}{self.between}{body}")
        return self._names.setdefault(text, self._name(kind))

    def counted(self, text: str) -> str:
        """The text, which is of the grammar.

        Raises:
            RequestError: The grammar is too large with it.
        """
        self._length += len(text)
        if self._length > MOST_CHARACTERS:
            raise schema_refused(f"they come to more than {MOST_CHARACTERS} characters of grammar")
        return text

    @abstractmethod
    def leaf(self, schema: Schema) -> str:
        """The rule of listed values, or of values of one kind that hold no others."""

    @abstractmethod
    def undeclared(self, declared: Collection[str]) -> str:
        """The rule of a name that is not declared."""

    @abstractmethod
    def matching(self, pattern: str) -> str:
        """The rule of a name in which the pattern is found."""

    def any_of(self, rules: Iterable[str]) -> str:
        """The rule of what one of the rules writes."""
        return self.rule("any", " | ".join(rules))

    def _name(self, kind: str) -> str:
        return f"{kind}{len(self._names) + len(self._definitions)}"

    def _value(self, schema: Schema) -> str:
        if "$ref" in schema:
            return self._definition(schema["$ref"])
        if not possible(schema):
            return self.leaf(schema)  # which refuses what can't be
        if "anyOf" in schema:
            return self.any_of(map(self._value, _joined(schema["anyOf"])))
        match [each for kind in _kinds(schema) if possible(each := _of_kind(schema, kind))]:
            case [one]:
                write = {"object": self._object, "array": self._array}.get(one["type"], self.leaf)
                return write(one)
            case [_, *_] as several:
                return self.any_of(map(self._value, several))
        return self.leaf(schema)

    def _definition(self, reference: str) -> str:
        if reference not in self._defined:
            self._defined[reference] = name = self._name("definition")
            self._definitions[name] = ""  # what refers to itself must find it
            value = self._value(self._root["$defs"][reference.removeprefix("#/$defs/")])
            self._definitions[name] = self.counted(f"{self.between}{value}")
        return self._defined[reference]

    def _object(self, schema: Schema) -> str:
        """The declared properties in their order, then others."""
        declared, required = dict(schema.get("properties", {})), set(schema.get("required", ()))
        least = schema.get("minProperties", 0) - len(required)
        most = schema.get("maxProperties", len(required) + _MOST_MORE) - len(required)
        members = [
            (f"{literal(literal(name))} {_COLON} {self._value(each)}", name in required)
            for name, each in declared.items()
            if name in required or possible(each)
        ]
        others = " | ".join(self._others(schema))
        # The least number of others may be met by a member instead, where one is optional.
        one = least > 0 and not all(needed for _, needed in members)
        if most < 0 or (least > 0 and not others and not one):
            return self.leaf(schema)
        begun, behind = "" if one else '""', '""'
        if others and most:
            other, least = self.rule("other", others), max(least, 0)
            again = f"{_COMMA} {other}"
            behind = _times(again, 0 if one else least, most)
            begun = f"{other} {_times(again, max(least - 1, 0), most - 1)}"
            begun = begun if least else f"({begun})?"
        for member, needed in reversed(members):
            follows = self.rule("behind", behind)
            rest = begun and self.rule("begun", begun)
            begun = f"{member} {follows}" + ("" if needed or not rest else f" | {rest}")
            behind = f"{_COMMA} {member} {follows}"
            behind = behind if needed else f"({_COMMA} {member})? {follows}"
        return self.rule("object", f"{literal('{')} {self.rule('begun', begun)} {literal('}')}")

    def _others(self, schema: Schema) -> Iterator[str]:
        """Properties that are not declared; beside patterns none but theirs are written."""
        patterns, more = schema.get("patternProperties"), schema.get("additionalProperties", False)
        for pattern, each in (patterns or {}).items():
            if possible(each):
                yield f"{self.matching(pattern)} {_COLON} {self._value(each)}"
        if not patterns and more is not False and possible(more):
            name = self.undeclared(schema.get("properties", ()))
            yield f"{name} {_COLON} {self._value(more)}"

    def _array(self, schema: Schema) -> str:
        """Items with a place of their own, each only behind those before it, then others."""
        least, most = schema.get("minItems", 0), schema["maxItems"]
        items, other = schema.get("items", False), ""
        if items is not False and possible(items):
            other = self._value(items)
        first = [self._value(each) for each in schema.get("prefixItems", [])[:most]]
        if least > (most if other else len(first)):
            return self.leaf(schema)
        if other and most and not first:
            first = [other]
        times = max(least - len(first), 0), most - len(first)
        behind = _times(f"{_COMMA} {other}", *times) if other else '""'
        for place, each in reversed(list(enumerate(first))):
            behind = f"{_COMMA if place else ''} {each} {self.rule('behind', behind)}"
            behind = behind if place < least else f"({behind})?"
        return self.rule("array", f"{literal('[')} {behind} {literal(']')}")


def free_number(schema: Schema) -> bool:
    """Whether a number may have an exponent: nothing bounds it, but that it is not below zero.

    It has no end in any engine's own grammar, and between bounds 1e-12 would be no number.
    """
    lower = [schema[key] for key in LOWER if key in schema]
    bounded = schema.keys() & {*UPPER, "multipleOf"} or any(lower)
    return not bounded and "number" in _kinds(schema)


def number_pattern(schema: Schema) -> str:
    """The regular expression of a free number: 16 digits on each side of the point, an exponent."""
    digits, zero = "[1-9][0-9]{0,15}", r"0(\.[0-9]{1,16})?"
    if "exclusiveMinimum" in schema:
        zero = r"0\.0{0,15}[1-9][0-9]{0,15}"
    sign = "" if schema.keys() & set(LOWER) else "-?"
    return rf"{sign}({digits}(\.[0-9]{{1,16}})?|{zero})([eE][+-]?[0-9]{{1,2}})?"


def possible(schema: Schema) -> bool:
    """Whether any value obeys the schema, as far as is seen without following references."""
    if "anyOf" in schema:
        return any(map(possible, schema["anyOf"]))
    if "enum" in schema:
        return bool(schema["enum"])
    kinds = _kinds(schema)
    return not kinds or any(_has_room(schema, kind) for kind in kinds)


def _has_room(schema: Schema, kind: str) -> bool:
    """Whether values of one kind lie within the bounds, with whatever an object must hold."""
    least, most = _ENDS.get(kind, ("", ""))
    if schema.get(least, -math.inf) > schema.get(most, math.inf):
        return False
    declared = schema.get("properties", {}) if kind == "object" else {}
    return all(possible(declared.get(name, {})) for name in schema.get("required", ()))


def _joined(branches: Iterable[Schema]) -> list[Schema]:
    """The possible branches; those of listed values as one, since parsers bear only so many."""
    listed: list[Any] = []
    others: list[Schema] = []
    for each in filter(possible, branches):
        if each.keys() in ({"enum"}, {"enum", "type"}):
            listed += each["enum"]
        else:
            others.append(each)
    return [{"enum": listed}, *others] if listed else others


def _kinds(schema: Schema) -> list[str]:
    """The kinds of value that it allows; none are told where it lists the values."""
    told = [] if "enum" in schema else schema.get("type", [])
    return told if isinstance(told, list) else [told]


def _of_kind(schema: Schema, kind: str) -> Schema:
    """What the schema says of values of one kind."""
    foreign = set() if kind in _NUMBERS else _OF_NUMBERS
    return {key: value for key, value in schema.items() if key not in foreign} | {"type": kind}


def _times(what: str, least: int, most: int) -> str:
    return f"({what}){{{least},{most}}}" if most else '""'


def literal(text: str) -> str:
    """A text as a literal of a grammar."""
    return json.dumps(text, ensure_ascii=False)


_COMMA, _COLON = map(literal, SEPARATORS)
