"""Is an answer right? Decided from its numbers alone, whatever its language.

Written apart from the service's own check of its answers, and sharing no code with it: a judge
that reads numbers as the judged one does would forgive its mistakes.

Which currencies were taken can't be told from a number, as the fixed rate gives each pair the same
value. The calls tell it, which `/chat` shows; of those behind `/exchange` nothing is known.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from babel import Locale
from babel.numbers import get_currency_name

from benchmarks.exchange_cases import RATE, Case, Conversion
from benchmarks.exchange_routes import Reply
from benchmarks.number_reading import Number, numbers, plain_digits
from function_calling.chat_events import ToolResultEvent

UNAVOIDABLE = re.compile(r"\bISO[ -]?4217\b|^\s*\d{1,2}[.)]\s", re.IGNORECASE | re.MULTILINE)
# A clarifying question may show what a query looks like.
EXAMPLE = re.compile(
    r"(?:for example|for instance|such as|e\.g\.|zum Beispiel|z\. ?B\.|例如|比如)[^?\n]*",
    re.IGNORECASE,
)
CURRENCY = (
    r"(?:[$€£¥₹₩₺₽₪₴฿]|美元|欧元|日元|人民币|英镑|(?<![a-z])"
    r"(?:USD|EUR|GBP|JPY|CHF|CAD|AUD|CNY|INR|dollars?|euros?|pounds?|yen|yuan|francs?|rupees?)"
    r"(?![a-z]))"
)
MONEY = re.compile(rf"{CURRENCY}\s*\d[\d.,]*|\d[\d.,]*\s*{CURRENCY}", re.IGNORECASE)
MADE = re.compile(
    r"The converted amount of (?P<amount>[\d.]+) (?P<source>\D+) to (?P<target>\D+) is "
)
LEAKS = re.compile(r"</?tool_call>|<tool_response>|\"arguments\"\s*:|\"name\"\s*:\s*\"convert_")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with an answer, and which wrong numbers it states."""

    problems: tuple[str, ...] = ()
    wrong_numbers: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems and not self.wrong_numbers


def allowed_values(case: Case) -> frozenset[Decimal]:
    """The numbers that an answer may state: the results, the query's own, and the rate."""
    values = {RATE, Decimal(1), *case.also}
    for conversion in case.conversions:
        values |= {conversion.amount, conversion.value}
    for number in numbers(case.query):
        values |= number.values
    return frozenset(values)


def stated_numbers(case: Case, answer: str) -> list[Number]:
    """The numbers that count as stated in `answer`."""
    answer = UNAVOIDABLE.sub(" ", plain_digits(answer))
    if not case.conversions:
        answer = EXAMPLE.sub(" ", answer)
    if case.free_numbers:
        answer = "\n".join(MONEY.findall(answer))
    return numbers(answer)


def judge(case: Case, status: int, answer: str) -> Verdict:
    """Compare what came back with what `case` expects."""
    problems = []
    if not case.status[0] <= status <= case.status[1]:
        problems.append(f"HTTP {status}")
    if not answer.strip():
        problems.append("empty answer")
    if LEAKS.search(answer):
        problems.append("shows the spelling of a tool call")
    problems += [
        f"does not mention {pattern}"
        for pattern in case.mentions
        if not re.search(pattern, answer, re.IGNORECASE)
    ]
    # An error's text speaks of limits and fields, not of money.
    stated = stated_numbers(case, answer) if status == 200 else []
    values = {value for number in stated for value in number.values}
    problems += [
        f"does not state {conversion.value}"
        for conversion in case.conversions
        if conversion.value not in values
    ]
    wrong = wrong_numbers(case, answer) if status == 200 else ()
    return Verdict(tuple(problems), wrong)


def wrong_numbers(case: Case, text: str) -> tuple[str, ...]:
    """The numbers that `text` states and should not."""
    allowed = allowed_values(case)
    stated = stated_numbers(case, text)
    return tuple(number.text for number in stated if not number.grounded_in(allowed))


def judge_reply(case: Case, reply: Reply) -> Verdict:
    """As `judge`; besides, a chat converts what is expected, ends once, and shows no wrong number.

    What was shown before an error counts, too, and so does what stood there for a moment only.
    """
    verdict = judge(case, reply.status, reply.answer)
    made = conversions_made(reply)
    unmade = tuple(
        f"does not convert {conversion}"
        for conversion in case.conversions
        if reply.events and conversion not in made
    )
    # A text ends where white space follows, which the next one brings.
    shown = (number for text in reply.shown for number in wrong_numbers(case, f"{text} "))
    return Verdict(
        (*reply.problems, *verdict.problems, *unmade),
        tuple(dict.fromkeys((*verdict.wrong_numbers, *shown))),
    )


def conversions_made(reply: Reply) -> set[Conversion]:
    """The conversions that a chat's calls made, by the sentences that tell them."""
    results = (event for _, event in reply.events if isinstance(event, ToolResultEvent))
    told = (MADE.match(event.summary) for event in results if event.ok and event.summary)
    codes = codes_by_name()
    return {
        Conversion(codes[made["source"]], codes[made["target"]], Decimal(made["amount"]))
        for made in told
        if made
    }


@cache
def codes_by_name() -> dict[str, str]:
    """Each currency's ISO 4217 code by its English names, as for one and for two of it."""
    codes: Iterable[str] = Locale("en").currencies
    return {get_currency_name(code, n, locale="en"): code for code in codes for n in (1, 2)}
