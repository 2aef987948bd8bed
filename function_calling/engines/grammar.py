"""A constraint as an LLGuidance grammar, which llama.cpp enforces while it samples.

The syntax is Lark's with `%json` for a JSON Schema
(https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md). One alternative reads

    %llguidance {}
    start: " "? object3 "}\\n</tool_call>"
    object3: …
    json0: %json {"type": "string", "maxLength": 9}

A slot and the literal behind it stand in one grammar, and a space may come before a slot, because
models merge those characters into one token: a grammar that ended with the slot would forbid `}}`.

A number that is a multiple of something, be it of the nine decimals without which it would have no
end (`-0.333…`), is a minus sign and its opposite where it may be below zero:

    any0: "-" json2 | json1
    json1: %json {"type": "number", "minimum": 0, "maximum": 5, "multipleOf": 0.5}
    json2: %json {"type": "number", "minimum": 0, "maximum": 9, "multipleOf": 0.5}
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from llguidance import LLMatcher

from function_calling.engines.json_rules import (
    LONGEST_NAME,
    SEPARATORS,
    JsonRules,
    Schema,
    free_number,
    literal,
    number_pattern,
)
from function_calling.errors import RequestError, naming, schema_refused
from function_calling.model.words import Alternative, JsonSlot, OneOf, Part, Repeat, TextSlot

LONGEST_CHECK = 5.0
"""Seconds that a grammar may take to compile."""
LONGEST_PROBLEM = 300

_SPACING = {
    "whitespace_flexible": False,
    **dict(zip(("item_separator", "key_separator"), SEPARATORS, strict=True)),
}
_COMPILER = Path(__file__).with_name("compiler.py")
_MARKS = ("^", "<non-verbose/>")
_PLACE = re.compile(r"^at \d+\(\d+\): ")


def grammar(constraint: Sequence[Alternative]) -> str:
    """The grammar that allows the alternatives and nothing else; takes a moment if it is new.

    Raises:
        RequestError: It is too large or can't be compiled. llama.cpp would go on without any.
    """
    writer = _Lark()
    text = writer.grammar(constraint)
    try:
        _check(text)
    except RequestError:
        _check_each(writer.slots)
        raise
    return text


def grammar_text(constraint: Sequence[Alternative]) -> str:
    """The grammar, not compiled yet.

    Raises:
        RequestError: It is too large.
    """
    return _Lark().grammar(constraint)


class _Lark(JsonRules):
    """Writes the parts of a constraint; what is no literal becomes a rule, once.

    Attributes:
        slots: The slots of JSON that were written.
    """

    between = ": "

    def __init__(self) -> None:
        super().__init__()
        self.slots: list[JsonSlot] = []
        self._written: dict[int, str] = {}

    def grammar(self, constraint: Sequence[Alternative]) -> str:
        """The alternatives, and the rules that they name."""
        start = " | ".join(map(self._sequence, constraint))
        return "\n".join(["%llguidance {}", f"start: {start}", *self.rules()])

    def _sequence(self, parts: Alternative) -> str:
        return " ".join(self._part(part) for part in parts) or '""'

    def _part(self, part: Part) -> str:
        match part:
            case str():
                return self.counted(literal(part))
            case OneOf():
                return "(" + " | ".join(map(self._sequence, part.alternatives)) + ")"
            case Repeat():
                again = self.rule("again", self._sequence(part.part))
                return f"{again}{{0,{part.most}}}"
        if id(part) not in self._written:  # it may stand in many places, and its schema be large
            self._written[id(part)] = self._slot(part)
        return self.counted(self._written[id(part)])

    def _slot(self, slot: JsonSlot | TextSlot) -> str:
        if isinstance(slot, JsonSlot):
            self.slots.append(slot)
            return '" "? ' + self.json(slot.schema)
        text = f"/(?s:.{{{slot.shortest},{slot.longest}}})/"
        return self.rule("text", text, attributes=f"[suffix={literal(slot.end)}]")

    def leaf(self, schema: Schema) -> str:
        """See `JsonRules.leaf`."""
        if free_number(schema):
            return self.rule("NUMBER", f"/{number_pattern(schema)}/")
        if not _below_zero(schema):
            return self._json(schema)
        low, high = schema["minimum"], schema["maximum"]
        below = {**schema, "minimum": max(-high, 0), "maximum": -low}
        signs = [f'"-" {self._json(below)}']
        if high >= 0:
            signs.append(self._json({**schema, "minimum": 0}))
        return self.any_of(signs)

    def undeclared(self, declared: Collection[str]) -> str:
        """See `JsonRules.undeclared`; beside declared ones, a name that needs escapes is none."""
        if not declared:
            return self._json({"type": "string", "maxLength": LONGEST_NAME})
        others = " | ".join(literal(literal(name)) for name in declared)
        name = rf'/"[^"\\\x00-\x1F\x7F]{{0,{LONGEST_NAME}}}"/'
        return self.rule("NAME", f"{name} & ~({others})")

    def matching(self, pattern: str) -> str:
        """See `JsonRules.matching`; not every pattern can be held to a length, too."""
        name = {"type": "string", "pattern": pattern}
        bounded = {**name, "maxLength": LONGEST_NAME}
        return self._json(bounded if compiles(json.dumps(bounded)) else name)

    def _json(self, schema: Schema) -> str:
        """What is left to LLGuidance."""
        told = {**schema, "x-guidance": _SPACING}
        return self.rule("json", f"%json {json.dumps(told, ensure_ascii=False)}")


def _below_zero(schema: Schema) -> bool:
    """Whether it allows multiples of something, and some of them below zero."""
    return "multipleOf" in schema and "enum" not in schema and schema["minimum"] < 0


@lru_cache(maxsize=256)
def compiles(schema: str) -> bool:
    """Whether LLGuidance can write values of a small schema; takes about a millisecond.

    Its regular expressions know no look-around, say, and not every pattern beside a length.
    """
    return not LLMatcher.validate_grammar(f"%llguidance {{}}\nstart: %json {schema}")


def _check_each(slots: Iterable[JsonSlot]) -> None:
    """Name whose schema it is for which a grammar was refused; looks for it, but not for long."""
    ends = time.monotonic() + LONGEST_CHECK
    for slot in slots:
        if time.monotonic() > ends:
            return
        if slot.thing:
            with naming(slot.thing, slot.thing):
                _check(grammar_text([(slot,)]))


@lru_cache(maxsize=64)
def _check(text: str) -> None:
    """Compile the grammar in a process of its own; what was found good is remembered."""
    try:
        compiler = subprocess.run(
            [sys.executable, "-I", str(_COMPILER)],
            input=text.encode(),
            capture_output=True,
            timeout=LONGEST_CHECK,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise schema_refused(
            f"to compile them takes longer than {LONGEST_CHECK:g} seconds"
        ) from None
    if compiler.returncode:
        raise schema_refused("the compiler fails on them")
    if problem := _one_line(compiler.stdout.decode()):
        raise schema_refused(problem)


def _one_line(problem: str) -> str:
    """LLGuidance's message without its excerpt of the grammar, and without places in that."""
    lines = [line.strip() for line in problem.splitlines() if line.strip()]
    told = " ".join(line for line in lines if not line[0].isdigit() and line not in _MARKS)
    told = _PLACE.sub("", told).removeprefix("failed to compile JSON schema: ")
    return told if len(told) <= LONGEST_PROBLEM else told[: LONGEST_PROBLEM - 1] + "…"
