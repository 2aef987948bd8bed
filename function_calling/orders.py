"""Which conversions a question orders, one by one, where its words stand in a plain order.

    5 GBP to yen and 6 CHF to euros          these two, and nothing else
    how many yen and won are 80 euros?       these two, and nothing else
    20 euros and 30 francs in dollars        the second surely; of the first it can't be told
    usd to gbp, 64                           this one, and nothing else

Behind an amount stands its currency, and behind that, before the next amount, what it becomes.
Where there is one amount alone, whatever else is named is what it becomes; and where no currency
stands beside that one, its two currencies may stand together.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from function_calling.currencies import Currency
from function_calling.currency_names import split_words
from function_calling.named_currencies import Codes, chief, named, unit
from function_calling.stated import Amount, either, placed_amounts, plain_text

# "C$", "Rs." or "EUR" right before a number, and a word or a sign right behind one.
_BEFORE = re.compile(r"([A-Za-z]{0,3}[^\w\s,;:.!?'\"()-]|[A-Za-z]{2,})[.\s]*$")
_BEHIND = re.compile(r"[\s-]?(?:[^\W\d_]|[^\w\s,;:.!?'\"()<>=/|→-])")
_TO = re.compile(r"\b(?:into|to|in)\b|[-=]?>|→", re.IGNORECASE)
_GLUED = re.compile(r"[A-Za-z]{2}")
# Where every other run of letters inside a word is the name of some currency.
_UNREAD = re.compile(r"[\u0590-\u06ff]")


@dataclass(frozen=True, slots=True)
class Order:
    """One conversion: the amount, in the currency that stands beside it, and what it becomes."""

    amount: Amount
    source: Codes
    target: Codes

    def is_met(self, source: str, target: str, amount: Decimal) -> bool:
        """Whether the conversion, its currencies as ISO 4217 codes, is the one that is ordered."""
        return source in self.source and target in self.target and self.amount.may_be(amount)

    def told(self) -> str:
        """The order in words: "80 euros to British pounds"."""
        source, target = Currency(chief(self.source)), Currency(chief(self.target))
        return f"{either(self.amount.values)} {source.units()} to {target.units()}"


@dataclass(frozen=True, slots=True)
class Orders:
    """The conversions that a question surely asks for; `complete` if it asks for no other."""

    each: tuple[Order, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class _Placed:
    """An amount in a text, and the currency beside it; `leads` where that stands before it."""

    start: int
    end: int
    amount: Amount
    unit: Codes
    leads: bool


@lru_cache
def orders(question: str) -> Orders:
    """Read a question."""
    text = plain_text(question)
    placed = _every_placed(text)
    if not placed:
        return Orders((), False)
    if len(placed) == 1 and (alone := _between(text, placed[0])):
        return Orders((alone,), True)
    before = _others(text[: placed[0].start], None, placed[0])
    found: list[Order] = []
    complete = not before or len(placed) == 1
    for index, each in enumerate(placed):
        following = placed[index + 1] if index + 1 < len(placed) else None
        piece = text[each.end : following.start if following else None]
        becomes = _others(piece, each, following)
        if len(placed) == 1:
            becomes += [codes for codes in before if not codes & each.unit]
        complete = complete and bool(each.unit and becomes)
        if each.unit:
            found += (Order(each.amount, each.unit, target) for target in becomes)
    return Orders(tuple(dict.fromkeys(found)), complete)


@lru_cache
def unit_of(question: str, amount: Decimal) -> Codes:
    """The currencies that stand beside an amount of the question; empty where it isn't sure."""
    placed = _every_placed(plain_text(question))
    same = [each for each in placed if amount in each.amount.values]
    units = [each.unit for each in same or placed if each.amount.may_be(amount)]
    return Codes().union(*units) if all(units) else Codes()


def _every_placed(text: str) -> list[_Placed]:
    """The amounts of a `plain_text`; none where it can't be told what stands beside them."""
    placed = [_placed(text, *found) for found in placed_amounts(text)]
    if not placed or _UNREAD.search(text):
        return []
    if placed[0].leads and _others(text[: placed[0].start], None, placed[0]):
        return []  # "EUR to USD 100": of which is it the amount?
    return placed


def _between(text: str, alone: _Placed) -> Order | None:
    """The order of an amount with no currency beside it: "from pounds to yen, 64"."""
    pieces = text[: alone.start], text[alone.end :]
    names = [codes for piece in pieces for codes in named(split_words(piece))]
    if alone.unit or len(names) != 2:
        return None
    for piece in pieces:
        for to in _TO.finditer(piece):
            sides = [list(named(split_words(x))) for x in (piece[: to.start()], piece[to.end() :])]
            if all(len(side) == 1 for side in sides):
                return Order(alone.amount, *sides[0], *sides[1])
    return None


def _placed(text: str, start: int, end: int, amount: Amount) -> _Placed:
    behind, leading = Codes(), Codes()
    if _BEHIND.match(text, end):
        behind = unit(split_words(text[end:]), near=True)
    if word := _BEFORE.search(text[:start]):
        leading = next(named(split_words(word[1])), Codes())
    if _GLUED.search(text[start - 1 : start] + text[end : end + 1]):
        return _Placed(start, end, amount, Codes(), False)  # the 2 of "USD2CAD"
    if leading and word and not (behind and word[1].isalpha()):
        return _Placed(start, end, amount, leading, True)
    return _Placed(start, end, amount, behind, False)


def _others(piece: str, own: _Placed | None, following: _Placed | None) -> list[Codes]:
    """The currencies named in a piece of the text but those of the amounts around it."""
    names = list(named(split_words(piece)))
    if following and following.leads:
        names = names[:-1]
    return [codes for codes in names if not (own and codes & own.unit)]
