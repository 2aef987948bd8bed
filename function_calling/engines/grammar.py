"""A constraint as an LLGuidance grammar, which llama.cpp enforces while it samples.

The syntax is Lark's with `%json` for a JSON Schema
(https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md). One alternative reads

    %llguidance {}
    start: " "? json0 "}\\n</tool_call>"
    json0: %json {…schema…}

where `json_rules` may need more rules for the schema. A slot and the literal behind it stand in one
grammar, and a space may come before a slot, because models merge those characters into one token: a
grammar that ended with the slot would forbid `}}`.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from llguidance import LLMatcher

from function_calling.engines.json_rules import json_rule
from function_calling.errors import RequestError, naming, schema_refused
from function_calling.model.words import Alternative, JsonSlot, OneOf, Part, Repeat, TextSlot

MOST_CHARACTERS = 1_000_000
"""Characters of a grammar at most."""
LONGEST_CHECK = 5.0
"""Seconds that a grammar may take to compile."""
LONGEST_PROBLEM = 300

_COMPILER = Path(__file__).with_name("compiler.py")
_MARKS = ("^", "<non-verbose/>")
_PLACE = re.compile(r"^at \d+\(\d+\): ")


def grammar(constraint: Sequence[Alternative]) -> str:
    """The grammar that allows the alternatives and nothing else; takes a moment if it is new.

    Raises:
        RequestError: It is too large or can't be compiled. llama.cpp would go on without any.
    """
    writer = _Writer()
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
    return _Writer().grammar(constraint)


class _Writer:
    """Writes the parts of a constraint; what is no literal becomes a rule, once.

    Attributes:
        slots: The slots of JSON that were written.
    """

    def __init__(self) -> None:
        self.slots: list[JsonSlot] = []
        self._written: dict[int, str] = {}
        self._names: dict[str, str] = {}
        self._opened: dict[str, str] = {}
        self._length = 0

    def grammar(self, constraint: Sequence[Alternative]) -> str:
        """The alternatives, and the rules that they name."""
        start = " | ".join(map(self._sequence, constraint))
        rules = [f"{name}{body}" for body, name in self._names.items()]
        opened = [f"{name}{body}" for name, body in self._opened.items()]
        return "\n".join(["%llguidance {}", f"start: {start}", *rules, *opened])

    def _sequence(self, parts: Alternative) -> str:
        return " ".join(self._part(part) for part in parts) or '""'

    def _part(self, part: Part) -> str:
        match part:
            case str():
                return self._counted(json.dumps(part, ensure_ascii=False))
            case OneOf():
                return "(" + " | ".join(map(self._sequence, part.alternatives)) + ")"
            case Repeat():
                again = self.rule("again", ": " + self._sequence(part.part))
                return f"{again}{{0,{part.most}}}"
        if id(part) not in self._written:  # it may stand in many places, and its schema be large
            self._written[id(part)] = self._slot(part)
        return self._counted(self._written[id(part)])

    def _slot(self, slot: JsonSlot | TextSlot) -> str:
        if isinstance(slot, JsonSlot):
            self.slots.append(slot)
            return '" "? ' + json_rule(slot.schema, self)
        end = json.dumps(slot.end, ensure_ascii=False)
        text = f"(?s:.{{{slot.shortest},{slot.longest}}})"
        return self.rule("text", f"[suffix={end}]: /{text}/")

    def rule(self, kind: str, body: str) -> str:
        """The name of the rule that has this body."""
        return self._names.setdefault(self._counted(body), self._name(kind))

    def open_rule(self, kind: str) -> str:
        """The name of a rule whose body follows."""
        name = self._name(kind)
        self._opened[name] = ""
        return name

    def close_rule(self, name: str, body: str) -> None:
        """Give the body."""
        self._opened[name] = self._counted(body)

    def _name(self, kind: str) -> str:
        return f"{kind}{len(self._names) + len(self._opened)}"

    def _counted(self, text: str) -> str:
        self._length += len(text)
        if self._length > MOST_CHARACTERS:
            raise schema_refused(f"they come to more than {MOST_CHARACTERS} characters of grammar")
        return text


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
