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

# The beginning of a tool call that a model wrote as its answer.
_CALL = re.compile(r'\s*(?:```\w*\s*)?(?:<tool_call>|\[?\s*\{\s*"name"\s*:)')

# What a model has read of the loop and repeats, or tells of a call.
_FOR_MODELS = re.compile(
    r"</?tool_(?:call|response)>|\bTh(?:at|e) answer is not right\b|\bAnswer my question again\b|"
    r"\barguments \{"
)
_QUOTED = 40  # characters of a failure that an answer has in common with it, if it quotes it

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
        """The result as a sentence, whose numbers must be told; for people, if it failed."""


def check(answer: str, query: str, results: Sequence[Result], given: str = "") -> list[str]:
    """What is wrong with `answer`, as sentences for the model to read; empty where it is grounded.

    Args:
        answer: What the model wants to say.
        query: What was asked; its numbers may be repeated.
        results: Every result that the model has read.
        given: The arguments of the calls: a number that a tool was given is no finding of it,
            so it need not be told. That also spares the steps on the way of a chained question.
    """
    problems = invented(answer, query, results)
    problems += (
        f"The answer leaves out {number} of this tool result: {result.summary}"
        for result, number in left_out(answer, query, results, given)
    )
    return list(dict.fromkeys(problems))


def invented(answer: str, known_text: str, results: Sequence[Result]) -> list[str]:
    """The numbers that neither a result nor `known_text` contains, as sentences for the model.

    An answer that is a tool call written out is none, nor is one that was told to the model: a
    failure for which people read something else.
    """
    if _CALL.match(answer):
        return ["The answer is a tool call, which the user can't read: write a sentence."]
    quotes = (each.content[:_QUOTED] in answer for each in results if not each.ok and each.summary)
    if _FOR_MODELS.search(answer) or any(quotes):
        return ["The answer repeats what I told you: say what the tools returned."]
    known = _values(known_text).union(*(_returned(result.content) for result in results))
    return [
        f"The answer says {number.text}, which {_missing_from(results)}."
        for number in numbers(_NAME.sub("", _MARKER.sub("", answer)))
        if not number.within(known)
    ]


def left_out(
    answer: str, query: str, results: Sequence[Result], given: str = ""
) -> list[tuple[Result, str]]:
    """Each number that a result's sentence has and `answer` doesn't, beside that result."""
    # "2 January 2024" tells the 1 of 2024-01-02.
    months = {Decimal(day.month) for each in days(answer) for day in each}
    told, not_findings = _values(answer) | months, _values(query) | _values(given)
    return [
        (result, number.text)
        for result in results
        for number in numbers(_NAME.sub("", (result.ok and result.summary) or ""))
        if not number.within(not_findings) and not number.within(told)
    ]


def tells(answer: str, finding: str, query: str) -> bool:
    """Whether `answer` has the finding's numbers, or where it adds none to `query`, its words."""
    told, asked = _values(answer), _values(query)
    found = [each for each in numbers(_NAME.sub("", finding)) if not each.within(asked)]
    return all(each.within(told | asked) for each in found) if found else finding in answer


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
