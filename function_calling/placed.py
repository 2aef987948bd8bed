"""The amounts of a question where they stand, each with the currency right beside it."""

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache

from function_calling.enumerations import shared_units
from function_calling.named_currencies import (
    Codes,
    multiplies,
    named,
    unit,
    without_ordinary_words,
)
from function_calling.stated import Amount, placed_amounts, plain_text
from function_calling.words import split_words

# "C$", "Rs." or "EUR" right before a number, and a word or a sign right behind one.
_BEFORE = re.compile(r"([A-Za-z]{0,3}[^\w\s,;:.!?'\"()-]|[A-Za-z]{2,})[.\s]*$")
_BEHIND = re.compile(r"[\s-]?(?:[^\W\d_]|[^\w\s,;:.!?'\"()<>=/|→-])")
_PAIRED = re.compile(r"(?:\b(?:into|to|in)|[-=]?>|[→/=])\s*$", re.IGNORECASE)
_GLUED = re.compile(r"[A-Za-z]{2}")
# Where every other run of letters inside a word is the name of some currency.
_UNREAD = re.compile(r"[\u0590-\u06ff]")


@dataclass(frozen=True, slots=True)
class Placed:
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

    def is_followed_by_a_word(self, text: str) -> bool:
        """Whether a word or a sign stands right behind it."""
        return bool(_BEHIND.match(text, self.end))

    def others(self, names: list[Codes]) -> list[Codes]:
        """The currencies but its own."""
        return [codes for codes in names if not codes & self.unit]


@lru_cache
def unit_of(question: str, amount: Decimal) -> Codes:
    """The currencies that stand beside an amount of the question; empty where it isn't sure."""
    _, placed = placed_in(question)
    same = [each for each in placed if amount in each.amount.values]
    units = [each.unit for each in same or placed if each.amount.may_be(amount)]
    return Codes().union(*units) if all(units) else Codes()


def placed_in(question: str) -> tuple[str, list[Placed]]:
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


def _placed(text: str, start: int, end: int, amount: Amount) -> Placed:
    behind, leading = Codes(), Codes()
    if _BEHIND.match(text, end):
        behind = unit(split_words(text[end:]), near=True)
    if word := _BEFORE.search(text[:start]):
        leading = next(named(split_words(word[1])), Codes())
    if _GLUED.search(text[start - 1 : start] + text[end : end + 1]):
        return Placed(start, start, end, amount, Codes(), False)  # the 2 of "USD2CAD"
    exact = len(amount.values) == 1 and not multiplies(text[end:])
    if leading and word and not (behind and word[1].isalpha()):
        return Placed(word.start(), start, end, amount, leading, exact)
    return Placed(start, start, end, amount, behind, exact)
