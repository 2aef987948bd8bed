"""A constraint as a structural tag, which LMDeploy's engines enforce while they sample.

The format is XGrammar's (https://xgrammar.mlc.ai/docs/tutorials/structural_tag.html), as far as
version 0.2.1 knows it, which TurboMind is built with. One alternative reads

    {"type": "sequence", "elements": [
        {"type": "optional", "content": {"type": "const_string", "value": " "}},
        {"type": "grammar", "grammar": "…"},
        {"type": "const_string", "value": "}\\n</tool_call>"}]}

A slot and the literal behind it stand in one tag, and a space may come before a slot, for the same
reason as in `grammar`. The length of a `TextSlot` is not enforced: there is no such word.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from function_calling.engines.schema_grammar import schema_grammar
from function_calling.model.words import Alternative, JsonSlot, OneOf, Part, Repeat, TextSlot

Format = dict[str, Any]


def structural_tag(constraint: Sequence[Alternative]) -> Format:
    """The tag that allows the alternatives and nothing else.

    Raises:
        RuntimeError: XGrammar can't write a schema's grammar.
    """
    return {"type": "structural_tag", "format": _one_of(constraint)}


def _one_of(alternatives: Sequence[Alternative]) -> Format:
    """One of the alternatives; an empty one makes the others optional."""
    told = [_sequence(each) for each in alternatives if each]
    if not told:
        return _literal("")
    some = told[0] if len(told) == 1 else {"type": "or", "elements": told}
    return some if len(told) == len(alternatives) else _optional(some)


def _sequence(parts: Alternative) -> Format:
    elements = [element for part in parts for element in _part(part)]
    return elements[0] if len(elements) == 1 else {"type": "sequence", "elements": elements}


def _part(part: Part) -> Iterator[Format]:
    match part:
        case str():
            yield _literal(part)
        case OneOf():
            yield _one_of(part.alternatives)
        case Repeat():
            yield {"type": "repeat", "min": 0, "max": part.most, "content": _sequence(part.part)}
        case JsonSlot():
            yield _optional(_literal(" "))
            yield {"type": "grammar", "grammar": schema_grammar(part.schema)}
        case TextSlot():
            yield {"type": "any_text", "excludes": [part.end]}
            yield _literal(part.end)


def _optional(content: Format) -> Format:
    return {"type": "optional", "content": content}


def _literal(text: str) -> Format:
    return {"type": "const_string", "value": text}
