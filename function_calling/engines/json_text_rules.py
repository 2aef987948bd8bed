"""Rules of XGrammar's EBNF for texts inside JSON: those of some length, and those of a pattern.

XGrammar's own let a tab stand in a string as it is, which is no JSON, and no quote or line break at
all; and what a pattern allows it does not escape.
"""

import json
import re
from collections.abc import Iterable, Iterator

import xgrammar

CHARACTER = (
    r"[\x20-\x21\x23-\x5b\x5d-\ud7ff\ue000-\U0010ffff]"
    r' | "\\" ([\"\\/bfnrt] | "u" ([0-9A-Ca-cE-Fe-f] [0-9A-Fa-f] | [Dd] [0-7])'
    " [0-9A-Fa-f] [0-9A-Fa-f])"
)
"""One character of a JSON string: as it is, or escaped; half surrogates are none."""
_PART = re.compile(r'"((?:[^"\\]|\\.)*)"|\[(\^?)((?:[^\]\\]|\\.)*)\]')
_CODE = r"(\\x..|\\u.{4}|\\U.{8}|\\?.)"
_SINGLE = re.compile(f"{_CODE}()", re.DOTALL)
_RANGE = re.compile(f"{_CODE}(?:-{_CODE})?", re.DOTALL)
_NAMED = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "b": "\b", "a": "\a"}
_ESCAPED = '"\\\b\f\n\r\t'
_UNSAFE = ((0, 0x1F), (0x22, 0x22), (0x5C, 0x5C), (0xD800, 0xDFFF))
_LAST = 0x10FFFF

Range = tuple[int, int]


def literal(text: str) -> str:
    """A text as a literal of the grammar."""
    return '"' + "".join(map(_written, text)) + '"'


def pattern_rules(name: str, pattern: str) -> str:
    """Rules by which `name` is a JSON string's inside that the pattern allows."""
    printed = str(xgrammar.Grammar.from_regex(pattern))
    named = re.sub(_PART.pattern + r"|\b(root\w*)", lambda found: _renamed(found, name), printed)
    return _PART.sub(_in_json, named)


def _renamed(found: re.Match[str], name: str) -> str:
    rule = found.group(4)
    return found.group() if rule is None else name + rule.removeprefix("root")


def _in_json(found: re.Match[str]) -> str:
    """A literal or a class of characters, as its characters stand in JSON."""
    if found.group(1) is not None:
        text = "".join(chr(each) for each, _ in _items(found.group(1), ranges=False))
        return literal(json.dumps(text, ensure_ascii=False)[1:-1])
    allowed = list(_items(found.group(3), ranges=True))
    if found.group(2):
        allowed = list(_without([(0, _LAST)], allowed))
    choices = [
        literal(json.dumps(each)[1:-1])
        for each in _ESCAPED
        if any(low <= ord(each) <= high for low, high in allowed)
    ]
    if safe := list(_without(allowed, _UNSAFE)):
        shown = (f"{_written(chr(low))}-{_written(chr(high))}" for low, high in safe)
        choices.insert(0, f"[{''.join(shown)}]")
    return f"({' | '.join(choices)})"


def _items(text: str, *, ranges: bool) -> Iterator[Range]:
    """The characters, or in a class the ranges of them, that the grammar's text stands for."""
    for first, last in (_RANGE if ranges else _SINGLE).findall(text):
        yield _code(first), _code(last or first)


def _code(item: str) -> int:
    if item[0] != "\\":
        return ord(item)
    if item[1] in "xuU":
        return int(item[2:], 16)
    return ord(_NAMED.get(item[1], item[1]))


def _without(ranges: Iterable[Range], removed: Iterable[Range]) -> Iterable[Range]:
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
