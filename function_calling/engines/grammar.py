"""A constraint as an LLGuidance grammar, which llama.cpp enforces while it samples.

The syntax is Lark's with `%json` for a JSON Schema
(https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md). One alternative reads

    %llguidance {}
    start: " "? %json {…schema…} "}\\n</tool_call>"

A slot and the literal behind it stand in one grammar, and a space may come before a slot, because
models merge those characters into one token: a grammar that ended with the slot would forbid `}}`.
"""

import json
from collections.abc import Sequence

from llguidance import LLMatcher

from function_calling.errors import RequestError
from function_calling.messages import Alternative, JsonSlot, OneOf, TextSlot

_SPACING = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


def grammar(constraint: Sequence[Alternative]) -> str:
    """The grammar that allows the alternatives and nothing else.

    Raises:
        RequestError: A schema can't be compiled. llama.cpp would go on without any constraint.
    """
    rules: list[str] = []
    start = " | ".join(_sequence(alternative, rules) for alternative in constraint)
    text = "\n".join(["%llguidance {}", f"start: {start}", *rules])
    problem = LLMatcher.validate_grammar(text)
    if problem:
        raise RequestError(
            f"The JSON Schema can't be enforced: {_first_line(problem)}",
            param="tools",
            code="invalid_function_parameters",
        )
    return text


def _sequence(parts: Alternative, rules: list[str]) -> str:
    return " ".join(_part(part, rules) for part in parts) or '""'


def _part(part: str | JsonSlot | TextSlot | OneOf, rules: list[str]) -> str:
    match part:
        case str():
            return json.dumps(part, ensure_ascii=False)
        case JsonSlot():
            schema = {**part.schema, "x-guidance": _SPACING}
            return '" "? %json ' + json.dumps(schema, ensure_ascii=False)
        case TextSlot():
            name = f"text{len(rules)}"
            end = json.dumps(part.end, ensure_ascii=False)
            rules.append(f"{name}[suffix={end}]: /(?s:.{{{part.shortest},{part.longest}}})/")
            return name
        case OneOf():
            return "(" + " | ".join(_sequence(each, rules) for each in part.alternatives) + ")"


def _first_line(problem: str) -> str:
    """LLGuidance's message without its excerpt of the grammar."""
    lines = [line.strip() for line in problem.splitlines() if line.strip()]
    return " ".join(line for line in lines if not line[0].isdigit() and line != "^")
