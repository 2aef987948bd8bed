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
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from function_calling.currencies import Currency
from function_calling.enumerations import asks_for_each, is_joined
from function_calling.named_currencies import Codes, chief, is_settled, named
from function_calling.placed import Placed, placed_in
from function_calling.stated import Amount, correction, either, stated
from function_calling.words import split_words

_TO = re.compile(r"\b(?:into|to|in)\b|[-=]?>|→", re.IGNORECASE)
# How what money becomes is told behind a correction.
_TOWARDS = re.compile(
    r"\W*(?:(?:no|nein|non|nee)\b\W*)?(?:to|into|in|nach|en|em|para|na|naar|в)\s", re.IGNORECASE
)
_NO_OTHER = re.compile(
    r"\b(?:just|only|nothing but) (?:the|that|this|need|want|ask)\b", re.IGNORECASE
)


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


@lru_cache
def orders(question: str) -> Orders:
    """Read a question."""
    text, placed = placed_in(question)
    if len(placed) == 1 and (alone := _between(text, placed[0])):
        return Orders((alone,), True)
    all_share = asks_for_each(question)
    joined = [all_share or is_joined(text, each.begins) for each in placed]
    becomes = _targets(_names(text, placed), placed, joined, all_share=all_share)
    found = [
        Order(each.amount, each.unit, target, each.exact)
        for each, targets in zip(placed, becomes, strict=True)
        for target in targets
        if each.unit
    ]
    complete = all(each.unit for each in placed) and all(becomes)
    complete = bool(found) and (complete or bool(_NO_OTHER.search(text)))
    return Orders(tuple(dict.fromkeys(found)), complete)


def ordered(question: str) -> Orders:
    """What is ordered in the end, by the text behind "no, wait" where that says enough.

    Behind "36 dollars to pounds, no, wait" that may also be what the money becomes: "to yen".
    """
    behind = correction(question)
    if not behind:
        return orders(question)
    corrected, asked = stated(behind), orders(behind)
    if asked.complete or corrected.amounts or not _TOWARDS.match(behind):
        return asked
    _, placed = placed_in(question[: question.rindex(behind)])
    if len(placed) != 1 or not placed[0].unit or len(corrected.named) != 1:
        return asked
    one = placed[0]
    return Orders((Order(one.amount, one.unit, corrected.named[0], one.exact),), True)


def _between(text: str, alone: Placed) -> Order | None:
    """The order of an amount with no currency beside it: "from pounds to yen, 64"."""
    rest = f"{text[: alone.start]} {text[alone.end :]}"
    if alone.unit or len(list(named(split_words(rest)))) != 2:
        return None
    for to in _TO.finditer(rest):
        sides = [list(named(split_words(side))) for side in (rest[: to.start()], rest[to.end() :])]
        if all(sides):
            exact = alone.exact and not alone.is_followed_by_a_word(text)
            return Order(alone.amount, sides[0][0], sides[1][0], exact)
    return None


def _names(text: str, placed: list[Placed]) -> list[list[Codes]]:
    """The currencies named before, between and behind the amounts, less those beside them."""
    ends = [0, *(each.end for each in placed)]
    begins = [*(each.begins for each in placed), len(text)]
    names = [list(named(split_words(text[a:b]))) for a, b in zip(ends, begins, strict=True)]
    for each, behind in zip(placed, names[1:], strict=True):
        if each.begins == each.start and behind and behind[0] & each.unit:
            del behind[0]
    return names


def _targets(
    names: list[list[Codes]], placed: list[Placed], joined: list[bool], *, all_share: bool
) -> list[list[Codes]]:
    """What each amount becomes; nothing where it can't be told."""
    before, after = names[0], placed[-1].others(names[-1]) if placed else []
    if len(placed) == 1:
        return [after + placed[0].others(before)]
    if before and after:
        return [[] for _ in placed]
    told = names[:-1] if before else names[1:]
    if not before:
        _share_the_next(told, placed, joined, all_share=all_share)
    for place in range(1, len(placed)):
        if (before or joined[place]) and not placed[place].others(told[place]):
            told[place] = told[place - 1]
    return [each.others(codes) for each, codes in zip(placed, told, strict=True)]


def _share_the_next(
    told: list[list[Codes]], placed: list[Placed], joined: list[bool], *, all_share: bool
) -> None:
    """ "20 euros and 30 francs in dollars": the first becomes what the second does."""
    for place in reversed(range(1, len(placed))):
        if placed[place - 1].others(told[place - 1]) or not joined[place]:
            continue
        if len(told[place]) > 1 and not all_share:
            told[place] = []  # "3 baht and 5 baht, one in dollars and the other in yen"
        told[place - 1] = told[place]
