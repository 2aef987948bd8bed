"""Is an answer right? Decided from its numbers, whatever its language.

Each pair of currencies has a rate of its own, so the value of a conversion tells amount, pair and
direction. Every conversion that was asked for must be told, and no other number may be stated but
the question's own. Numbers are read apart from the service's own check of its answers, and by no
code of it: a judge that reads as the judged one does would forgive its mistakes.

Not covered: numbers in words, and scales behind digits ("2 million" is read as 2).
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from itertools import accumulate, permutations

from benchmarks.exchange_cases import Case, Conversion, load_cases
from benchmarks.exchange_rates import pair_rate
from function_calling.agent.events import (
    ChatEvent,
    DoneEvent,
    ErrorEvent,
    TextEvent,
    ToolResultEvent,
)

# What looks like a number and states none: the standard's name, and the numbers of a list.
NO_NUMBER = re.compile(r"\bISO[ -]?4217\b|^\s*\d{1,2}[.)]\s", re.IGNORECASE | re.MULTILINE)
LEAKS = re.compile(r"</?tool_call>|<tool_response>|\"arguments\"\s*:|\"name\"\s*:\s*\"convert_")
NUMBER = re.compile(r"(?<![\w.])\.\d+|\d+(?:[.,']\d+| \d{3}(?!\d))*")
GROUPED = re.compile(r"\d+|[1-9]\d{0,2}([.,' ])\d{3}(\1\d{3})*|[1-9]\d?(,\d\d)+,\d{3}")
WITH_FRACTION = re.compile(r"(.*)([.,])(\d+)")
# Full-width, Arabic and typographic separators; spaces of other widths; invisible marks.
PLAIN = {
    **dict(zip(map(ord, "\uff0e\uff0c\u066b\u066c\u2019\uff07"), ".,.,''", strict=True)),
    **dict.fromkeys(map(ord, "\u00a0\u2007\u2009\u202f"), " "),
    **dict.fromkeys(map(ord, "\u200b\u200e\u200f\u2060\u2066\u2067\u2068\u2069")),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with an answer.

    Attributes:
        problems: What it lacks or should not be.
        not_asked: Numbers of conversions that were made or told and not asked for: of another
            amount, to another currency, in the other direction.
        invented: Numbers that no tool returned and the person did not write.
    """

    problems: tuple[str, ...] = ()
    not_asked: tuple[str, ...] = ()
    invented: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.problems or self.not_asked or self.invented)


def answer_of(events: Iterable[ChatEvent]) -> str:
    """What a person reads: all texts, and the error that came in place of the end."""
    texts = [event.text for event in events if isinstance(event, TextEvent)]
    errors = [event.error.message for event in events if isinstance(event, ErrorEvent)]
    return " ".join(["".join(texts), *errors]).strip()


def judge(case: Case, events: Sequence[ChatEvent]) -> Verdict:
    """Compare what happened with what `case` expects.

    What was shown counts even where an error came after it, or where it stood for a moment only.
    """
    texts = [event.text for event in events if isinstance(event, TextEvent)]
    results = [event for event in events if isinstance(event, ToolResultEvent) and event.ok]
    calculated = [event.content for event in results if event.name == "calculate"]
    converted = [event.content for event in results if event.name != "calculate"]
    allowed = _allowed(case) | _values(calculated)
    made = _strangers(converted, allowed)
    # A text ends where white space follows, which the next one brings.
    stated = _strangers((f"{shown} " for shown in accumulate(texts)), allowed)
    known = _values([*converted, *(event.summary or "" for event in results)])
    if stated and not results:
        known = _explained(case, _values([*texts, case.query]))
    invented = [token for token in stated if not _readings(token) & known]
    return Verdict(
        tuple(_problems(case, events)),
        tuple(dict.fromkeys(each for each in (*made, *stated) if each not in invented)),
        tuple(invented),
    )


def _problems(case: Case, events: Sequence[ChatEvent]) -> Iterator[str]:
    """What the answer lacks or should not be, apart from numbers too many."""
    answer = answer_of(events)
    yield from _ending(case, events)
    if not answer:
        yield "empty answer"
    if LEAKS.search(answer):
        yield "shows the spelling of a tool call"
    for pattern in case.mentions:
        if not re.search(pattern, answer, re.IGNORECASE):
            yield f"does not mention {pattern}"
    told = _values([answer])
    for conversion in case.conversions:
        if conversion.value not in told:
            yield f"does not tell {conversion}"


def _ending(case: Case, events: Sequence[ChatEvent]) -> Iterator[str]:
    ends = [event for event in events if isinstance(event, DoneEvent | ErrorEvent)]
    if len(ends) != 1 or events[-1] is not ends[0]:
        kinds = ", ".join(event.type for event in events)
        yield f"does not end with one done or error: {kinds or 'no event'}"
        return
    (end,) = ends
    error = end.error.type if isinstance(end, ErrorEvent) else ""
    if error != ("invalid_request_error" if case.refused else ""):
        yield f"ends with {error or 'an answer'}"


def _allowed(case: Case) -> frozenset[Decimal]:
    """The numbers that may be told: the question's, and those of the conversions asked for."""
    values = {Decimal(1), *case.also, *_values([case.query])}
    for each in case.conversions:
        values |= {each.amount, each.rate, each.value}
    return frozenset(values)


def _explained(case: Case, stated: frozenset[Decimal]) -> frozenset[Decimal]:
    """The numbers among `stated` that a conversion of one of them explains.

    Of the conversions behind an answer at `/exchange` nothing else is known. A number may come
    from a pair by chance, so where currencies are expected one of the pair must be one of them.
    """
    own = {code for each in case.conversions for code in each.pair}
    found: set[Decimal] = set()
    for source, target in permutations(_currencies() | own, 2):
        if own and not {source, target} & own:
            continue
        for amount in stated:
            conversion = Conversion(source, target, amount)
            if conversion.value in stated and conversion.value != amount:
                found |= {amount, conversion.value, pair_rate(source, target)}
    return frozenset(found)


@cache
def _currencies() -> frozenset[str]:
    """All that any question is about."""
    asked = [conversion for case in load_cases() for conversion in case.conversions]
    return frozenset(code for each in asked for code in each.pair)


def _strangers(texts: Iterable[str], allowed: frozenset[Decimal]) -> list[str]:
    """The numbers in the texts that state nothing allowed, each once."""
    tokens = (token for text in texts for token in NUMBER.findall(_plain(text)))
    return list(dict.fromkeys(each for token in tokens for each in _wrong(token, allowed)))


def _wrong(token: str, allowed: frozenset[Decimal]) -> list[str]:
    """The parts of `token` that state nothing allowed."""
    if _readings(token) & allowed:
        return []
    if pieces := _pieces(token):
        return [each for piece in pieces for each in _wrong(piece, allowed)]
    return [token]


def _values(texts: Iterable[str]) -> frozenset[Decimal]:
    """Every number that the texts may state."""
    found = [token for text in texts for token in NUMBER.findall(_plain(text))]
    # The list grows while it is read.
    for token in found:
        found += _pieces(token)
    return frozenset(value for token in found for value in _readings(token))


def _pieces(token: str) -> list[str]:
    """The numbers that `token` may be instead of one: "214 250" may be two, "3.5.2026" must be."""
    if " " in token:
        return token.split(" ")
    return [] if _readings(token) else re.split("[.,']", token)


def _readings(token: str) -> frozenset[Decimal]:
    """What `token` may mean as one number: "1.234" is 1234 in Rome and 1.234 in London."""
    values = set()
    if GROUPED.fullmatch(token):
        values.add(Decimal(re.sub(r"\D", "", token)))
    parts = WITH_FRACTION.fullmatch(token)
    if parts and (not parts[1] or GROUPED.fullmatch(parts[1])) and parts[2] not in parts[1]:
        values.add(Decimal(re.sub(r"\D", "", parts[1]) + "." + parts[3]))
    return frozenset(values)


def _plain(text: str) -> str:
    """`text` with ASCII digits, separators and spaces, without what states no number."""
    text = NO_NUMBER.sub(" ", text.translate(PLAIN))
    return "".join(
        character if (digit := unicodedata.decimal(character, None)) is None else str(digit)
        for character in text
    )
