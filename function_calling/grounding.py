"""Does an answer say what the tools returned, and nothing else?

A money answer that a model retyped wrongly is worse than no answer. So each number in an answer
must be one that a tool returned or the question contained, and what each tool found must be
told. Numbers are compared by value, whatever their separators; words are not judged.
"""

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Protocol

from function_calling.dates import days
from function_calling.numerals import numbers

# Digits that are part of a name, and the markers of a numbered list: neither states an amount.
_NAME = re.compile(r"\bISO[ -]?\d+", re.IGNORECASE)
_MARKER = re.compile(r"^\s*\d{1,2}[.)]\s", re.MULTILINE)

# A number that a program wrote into JSON as text: its point is a point.
_EXACT = re.compile(r"\d+(\.\d+)?")


class Result(Protocol):
    """What a tool call gave: the text that the model read, and perhaps a sentence for people."""

    @property
    def content(self) -> str:
        """The result as the model read it, or what went wrong."""

    @property
    def ok(self) -> bool:
        """Whether the tool did what it was asked."""

    @property
    def summary(self) -> str | None:
        """The result as a sentence; its numbers are what must be told."""


def check(answer: str, query: str, results: Sequence[Result], given: str = "") -> list[str]:
    """What is wrong with `answer`, as sentences for the model to read; empty where it is grounded.

    Args:
        answer: What the model wants to say.
        query: What was asked; its numbers may be repeated.
        results: Every result that the model has read.
        given: The arguments of the calls: a number that a tool was given is no finding of it,
            so it need not be told. That also spares the steps on the way of a chained question.
    """
    asked = _values(query)
    known = asked.union(*(_returned(result.content) for result in results))
    problems = [
        f"The answer says {number.text}, which {_missing_from(results)}."
        for number in numbers(_NAME.sub("", _MARKER.sub("", answer)))
        if not number.within(known)
    ]
    # "2 January 2024" tells the 1 of 2024-01-02.
    months = {Decimal(day.month) for each in days(answer) for day in each}
    told, not_findings = _values(answer) | months, asked | _values(given)
    for result in results:
        summary = (result.ok and result.summary) or ""
        problems += (
            f"The answer leaves out {number.text} of this tool result: {summary}"
            for number in numbers(_NAME.sub("", summary))
            if not number.within(not_findings) and not number.within(told)
        )
    return list(dict.fromkeys(problems))


def _missing_from(results: Sequence[Result]) -> str:
    if results:
        return "neither a tool result nor the question contains"
    return "the question does not contain, and no tool was called"


def _values(text: str) -> frozenset[Decimal]:
    return frozenset().union(*(number.values for number in numbers(text)))


def _returned(content: str) -> frozenset[Decimal]:
    """The values in a result; JSON numbers are exact, so "1.234" there is never 1234."""
    try:
        parsed = json.loads(content, parse_float=Decimal)
    except (ValueError, RecursionError):
        return _values(content)
    return _inside(parsed)


def _inside(value: Any) -> frozenset[Decimal]:
    """The values in parsed JSON; the length of a list counts, as "you have 3 tasks" tells it."""
    if isinstance(value, str):
        return frozenset({Decimal(value)}) if _EXACT.fullmatch(value) else _values(value)
    if isinstance(value, list):
        return frozenset({Decimal(len(value))}).union(*map(_inside, value))
    if isinstance(value, dict):
        return frozenset().union(*map(_inside, [*value.keys(), *value.values()]))
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return frozenset({Decimal(value).copy_abs()})
    return frozenset()
