"""Which conversions a question orders, one by one, where its words stand in a plain order.

    5 GBP to yen and 6 CHF to euros          how many yen and won are 80 euros?
    20 euros and 30 francs in dollars        in dollars: 20 euros, 30 francs. in yen: 5 pounds
    19 pounds in euros? and 29? and 39?      usd to gbp, 64

Beside an amount stands its currency. What it becomes is named behind it and before the next one,
or where the question begins with it, before it. An amount that is joined to another by "and" or
a comma shares what that one has. Of other amounts it can't be told whether they are to be
converted at all: "the museum costs 18 euros; what are 40 dollars in pounds?"
"""

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import Any

from function_calling.currencies import Currency
from function_calling.enumerations import is_joined, shared_units
from function_calling.named_currencies import (
    Codes,
    chief,
    is_settled,
    multiplies,
    named,
    unit,
    without_ordinary_words,
)
from function_calling.stated import Amount, either, placed_amounts, plain_text
from function_calling.words import split_words

# "C$", "Rs." or "EUR" right before a number, and a word or a sign right behind one.
_BEFORE = re.compile(r"([A-Za-z]{0,3}[^\w\s,;:.!?'\"()-]|[A-Za-z]{2,})[.\s]*$")
_BEHIND = re.compile(r"[\s-]?(?:[^\W\d_]|[^\w\s,;:.!?'\"()<>=/|→-])")
_TO = re.compile(r"\b(?:into|to|in)\b|[-=]?>|→", re.IGNORECASE)
_PAIRED = re.compile(r"(?:\b(?:into|to|in)|[-=]?>|[→/=])\s*$", re.IGNORECASE)
_GLUED = re.compile(r"[A-Za-z]{2}")
# Where every other run of letters inside a word is the name of some currency.
_UNREAD = re.compile(r"[\u0590-\u06ff]")


@dataclass(frozen=True, slots=True)
class Order:
    """One conversion.

    Attributes:
        amount: What is converted.
        source: The currency beside it.
        target: What it becomes.
        exact: Whether the digits tell all of the amount, and no word beside them multiplies it.
    """

    amount: Amount
    source: Codes
    target: Codes
    exact: bool

    @property
    def leaves_no_choice(self) -> bool:
        """Whether there is one amount and one pair of currencies that it can mean."""
        return self.exact and is_settled(self.source) and is_settled(self.target)

    def is_met(self, source: str, target: str, amount: Decimal) -> bool:
        """Whether the conversion, its currencies as ISO 4217 codes, is the one that is ordered."""
        return source in self.source and target in self.target and self.amount.may_be(amount)

    def arguments(self) -> dict[str, Any]:
        """The order as `convert_currency` takes it."""
        return {
            "from_currency": chief(self.source),
            "to_currency": chief(self.target),
            "amount": min(self.amount.values),
        }

    def told(self) -> str:
        """The order in words: "80 euros to British pounds (EUR to GBP)"."""
        source, target = Currency(chief(self.source)), Currency(chief(self.target))
        amount = either(self.amount.values)
        units = source.units(min(self.amount.values))
        return f"{amount} {units} to {target.units()} ({source.code} to {target.code})"


@dataclass(frozen=True, slots=True)
class Orders:
    """The conversions that a question surely asks for; `complete` if it asks for no other."""

    each: tuple[Order, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class _Placed:
    """An amount in a text, and the currency beside it, which may stand before it.

    Attributes:
        begins: Where the amount begins, with its currency if that stands before it.
        start: Where its digits begin.
        end: Where they end.
        amount: The amount.
        unit: The currency; empty where none stands beside it.
        exact: Whether the digits tell all of the amount.
    """

    begins: int
    start: int
    end: int
    amount: Amount
    unit: Codes
    exact: bool

    def others(self, names: list[Codes]) -> list[Codes]:
        """The currencies but its own."""
        return [codes for codes in names if not codes & self.unit]


@lru_cache
def orders(question: str) -> Orders:
    """Read a question."""
    text, placed = _placed_in(question)
    if len(placed) == 1 and (alone := _between(text, placed[0])):
        return Orders((alone,), True)
    joined = [is_joined(text, each.begins) for each in placed]
    becomes = _targets(_names(text, placed), placed, joined)
    found = [
        Order(each.amount, each.unit, target, each.exact)
        for each, targets in zip(placed, becomes, strict=True)
        for target in targets
        if each.unit
    ]
    complete = bool(placed) and all(each.unit for each in placed) and all(becomes)
    return Orders(tuple(dict.fromkeys(found)), complete)


@lru_cache
def unit_of(question: str, amount: Decimal) -> Codes:
    """The currencies that stand beside an amount of the question; empty where it isn't sure."""
    _, placed = _placed_in(question)
    same = [each for each in placed if amount in each.amount.values]
    units = [each.unit for each in same or placed if each.amount.may_be(amount)]
    return Codes().union(*units) if all(units) else Codes()


def _placed_in(question: str) -> tuple[str, list[_Placed]]:
    """The text as it is read, and its amounts; none where their currencies can't be told."""
    text = without_ordinary_words(plain_text(question))
    placed = [_placed(text, *found) for found in placed_amounts(text)]
    for first in placed[:1]:
        before = text[: first.begins] if first.begins < first.start else ""
        # "EUR to USD 100": of which is it the amount?
        if _UNREAD.search(text) or (_PAIRED.search(before) and any(named(split_words(before)))):
            return text, []
    places = [(each.begins, each.end) for each in placed]
    units = shared_units(text, places, [each.unit for each in placed])
    return text, [replace(each, unit=unit) for each, unit in zip(placed, units, strict=True)]


def _placed(text: str, start: int, end: int, amount: Amount) -> _Placed:
    behind, leading = Codes(), Codes()
    if _BEHIND.match(text, end):
        behind = unit(split_words(text[end:]), near=True)
    if word := _BEFORE.search(text[:start]):
        leading = next(named(split_words(word[1])), Codes())
    if _GLUED.search(text[start - 1 : start] + text[end : end + 1]):
        return _Placed(start, start, end, amount, Codes(), False)  # the 2 of "USD2CAD"
    exact = len(amount.values) == 1 and not multiplies(text[end:])
    if leading and word and not (behind and word[1].isalpha()):
        return _Placed(word.start(), start, end, amount, leading, exact)
    return _Placed(start, start, end, amount, behind, exact)


def _between(text: str, alone: _Placed) -> Order | None:
    """The order of an amount with no currency beside it: "from pounds to yen, 64"."""
    rest = f"{text[: alone.start]} {text[alone.end :]}"
    if alone.unit or len(list(named(split_words(rest)))) != 2:
        return None
    for to in _TO.finditer(rest):
        sides = [list(named(split_words(side))) for side in (rest[: to.start()], rest[to.end() :])]
        if all(sides):
            exact = alone.exact and not _BEHIND.match(text, alone.end)
            return Order(alone.amount, sides[0][0], sides[1][0], exact)
    return None


def _names(text: str, placed: list[_Placed]) -> list[list[Codes]]:
    """The currencies named before, between and behind the amounts, less those beside them."""
    ends = [0, *(each.end for each in placed)]
    begins = [*(each.begins for each in placed), len(text)]
    names = [list(named(split_words(text[a:b]))) for a, b in zip(ends, begins, strict=True)]
    for each, behind in zip(placed, names[1:], strict=True):
        if each.begins == each.start and behind and behind[0] & each.unit:
            del behind[0]
    return names


def _targets(
    names: list[list[Codes]], placed: list[_Placed], joined: list[bool]
) -> list[list[Codes]]:
    """What each amount becomes; nothing where it can't be told."""
    before, after = names[0], placed[-1].others(names[-1]) if placed else []
    if len(placed) == 1:
        return [after + placed[0].others(before)]
    if before and after:
        return [[] for _ in placed]
    own = names[:-1] if before else names[1:]
    targets = [each.others(codes) for each, codes in zip(placed, own, strict=True)]
    if not before:  # "20 euros and 30 francs in dollars"
        for place in reversed(range(1, len(placed))):
            if joined[place]:
                targets[place - 1] = targets[place - 1] or placed[place - 1].others(targets[place])
    for place in range(1, len(placed)):
        if before or joined[place]:
            targets[place] = targets[place] or placed[place].others(targets[place - 1])
    return targets
