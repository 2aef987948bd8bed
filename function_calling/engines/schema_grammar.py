"""A JSON Schema as a grammar in XGrammar's EBNF (https://xgrammar.mlc.ai/docs/), with one space
behind commas and colons.

    root ::= object3
    object3 ::= "{" begun2 "}"
    text0 ::= "\\"" character{0,9} "\\""

XGrammar writes the rules of numbers, formats and patterns; what a pattern allows is escaped here.
Its own strings let a tab stand as it is, which is no JSON, and no quote or line break at all. Nor
does it know multiples between bounds: where there are few of them, they are constants.
"""

import json
import math
import re
from collections.abc import Collection, Iterable
from decimal import Decimal
from functools import lru_cache

import xgrammar

from function_calling.engines.json_rules import (
    LONGEST_NAME,
    SEPARATORS,
    JsonRules,
    Schema,
    free_number,
    literal,
    number_pattern,
)

MOST_MULTIPLES = 1000
"""Multiples that are listed."""

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
_PASSED_OVER = {"multipleOf", "minLength", "maxLength"}
"""What XGrammar holds no number and no format to."""
_OTHERS = r"[\s\S]*"
_MARK = "\ufdd0"
"""In place of `root`, with which XGrammar begins the names of its rules."""
_NAMED = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "b": "\b", "a": "\a"}
_ESCAPED = '"\\\b\f\n\r\t'
_UNSAFE = ((0, 0x1F), (0x22, 0x22), (0x5C, 0x5C), (0xD800, 0xDFFF))
_LAST = 0x10FFFF

_Range = tuple[int, int]


def unenforced(schema: Schema) -> set[str]:
    """The keywords of one schema, with its bounds, to which this grammar can't hold a value."""
    found = set() if _multiples(schema) else {"multipleOf"}
    if not all(map(_knows, schema.get("patternProperties", ()))):
        found.add("patternProperties")
    if "pattern" in schema and not _knows(schema["pattern"]):
        return found | {"pattern"}
    return found | {"minLength", "maxLength"} if schema.keys() & {"pattern", "format"} else found


@lru_cache(maxsize=256)
def _knows(pattern: str) -> bool:
    """Whether XGrammar can write the texts of this pattern."""
    try:
        xgrammar.Grammar.from_regex(_whole(pattern))
    except RuntimeError:
        return False
    return True


def schema_grammar(schema: Schema) -> str:
    """The grammar of all values that the schema allows; its start is `root`.

    Raises:
        RequestError: It is too large.
        RuntimeError: XGrammar can't write it.
    """
    writer = _Ebnf()
    start = writer.json(schema)
    return "\n".join([f"root ::= {start}", *writer.rules(), f"character ::= {_CHARACTER}"])


def _multiples(schema: Schema) -> list[str]:
    """All values of a number that must be a multiple; none where there are too many to list."""
    kind, step = schema.get("type"), Decimal(str(schema.get("multipleOf", 0)))
    if kind not in ("integer", "number") or step <= 0:
        return []
    lower = Decimal(str(schema.get("minimum", -math.inf))) / step
    upper = Decimal(str(schema.get("maximum", math.inf))) / step
    if upper - lower > MOST_MULTIPLES:
        return []
    values = (step * count for count in range(math.ceil(lower), math.floor(upper) + 1))
    return [
        f"{value.normalize() + 0:f}" for value in values if kind == "number" or value == int(value)
    ]


class _Ebnf(JsonRules):
    between = " ::= "

    def __init__(self) -> None:
        super().__init__()
        self._printed: dict[str, str] = {}

    def rules(self) -> list[str]:
        """See `JsonRules.rules`."""
        printed = (rules.replace(_MARK, name) for rules, name in self._printed.items())
        return [*super().rules(), *printed]

    def leaf(self, schema: Schema) -> str:
        """See `JsonRules.leaf`."""
        if "enum" in schema:
            return self.any_of(
                literal(json.dumps(value, ensure_ascii=False, separators=SEPARATORS))
                for value in schema["enum"]
            )
        if multiples := _multiples(schema):
            return self.any_of(map(literal, multiples))
        if free_number(schema):
            return self._pattern(number_pattern(schema))
        match schema["type"]:
            case "null":
                return literal("null")
            case "boolean":
                return self.any_of(map(literal, ("true", "false")))
            case "string" if "format" not in schema:
                return self._text(schema)
        told = json.dumps({key: each for key, each in schema.items() if key not in _PASSED_OVER})
        printed = str(xgrammar.Grammar.from_json_schema(told))
        return self._named(re.sub(r"\broot", _MARK, printed))

    def undeclared(self, declared: Collection[str]) -> str:
        """See `JsonRules.undeclared`; here it may be a declared one, too."""
        return self._text({"maxLength": LONGEST_NAME})

    def matching(self, pattern: str) -> str:
        """See `JsonRules.matching`."""
        return self._text({"pattern": pattern})

    def _text(self, schema: Schema) -> str:
        if "pattern" in schema:
            inside = self._pattern(_whole(schema["pattern"]))
        else:
            inside = f"character{{{schema.get('minLength', 0)},{schema.get('maxLength', '')}}}"
        return self.rule("text", rf'"\"" {inside} "\""')

    def _pattern(self, pattern: str) -> str:
        """The rule of what stands in a JSON string that is such a text."""
        return self._named(_PART.sub(_in_json, str(xgrammar.Grammar.from_regex(pattern))))

    def _named(self, printed: str) -> str:
        """The name of the first of the marked rules; those of which it is made begin with it."""
        rules = "\n".join(rule for rule in printed.splitlines() if rule.startswith(_MARK))
        return self._printed.setdefault(rules, f"printed{len(self._printed)}")


def _in_json(found: re.Match[str]) -> str:
    """A part of a rule of XGrammar's, as its text stands in a JSON string."""
    text, negated, characters, rule = found.groups()
    if rule is not None:
        return _MARK + rule.removeprefix("root")
    return _class(characters, bool(negated)) if text is None else _text(text)


def _whole(pattern: str) -> str:
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
            choices[-1].append(r"[^\n\r]" if token == "." else token)
    return "|".join(map(_found, choices))


def _found(tokens: list[str]) -> str:
    """One choice of a pattern, between other characters where no anchor forbids them."""
    before = "" if tokens[:1] == ["^"] else _OTHERS
    behind = "" if tokens[-1:] == ["$"] else _OTHERS
    inner = tokens[not before : len(tokens) - (not behind)]
    text = "".join(inner)
    return text if {"^", "$"} & {*inner} else f"{before}{text}{behind}"


def _text(written: str) -> str:
    """A literal, as its characters stand in JSON."""
    text = "".join(chr(_code(item)) for item in _ITEM.findall(written))
    return literal(json.dumps(text, ensure_ascii=False)[1:-1])


def _class(written: str, negated: bool) -> str:
    """A class of characters, as they stand in JSON."""
    allowed = [(_code(first), _code(last or first)) for first, last in _RANGE.findall(written)]
    if negated:
        allowed = _without([(0, _LAST)], allowed)
    choices = [
        literal(json.dumps(each)[1:-1])
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
