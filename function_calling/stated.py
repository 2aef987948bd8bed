"""What a question states: which amounts, and which currencies?

A small model that is asked for an argument which the question leaves out invents one, and one
that is asked for three conversions makes one. So calls are held against the question: an amount
must stand in it, in digits or in words, a currency must be named in it, and what it names must
be converted.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise

from babel.numbers import get_currency_precision

from function_calling.currencies import CHIEFS
from function_calling.currency_names import (
    UNSPACED,
    active_codes,
    codes_of_name,
    script,
    split_words,
)
from function_calling.dates import without_days
from function_calling.number_words import number_words, spellings
from function_calling.numerals import numbers

Codes = frozenset[str]

# "1.5k", "2 lakh", "3 grand", "70万": what may stand behind the digits, as powers of ten, and
# a hundredth for "99 cents".
_POWERS = (-2, 0, 2, 3, 4, 5, 6, 7, 8, 9, 12)
# Where number words are known; in other scripts any word may be one.
_READ_SCRIPTS = {"LATIN", "CYRILLIC", "ARABIC", "HEBREW", "BENGALI", "HANGUL", *UNSPACED}
_ARTICLES = frozenset(
    "a an un une una um uma ein eine einen einem een en ett et o".split()  # noqa: SIM905
)
_QUANTITIES = {"dozen", "half", "quarter", "grand", "couple", "halb", "demi", "medio", "mezzo"}
# Where a currency's name may be the inside of a word, and how many characters it has at most.
_AFFIXED = {*UNSPACED, "HANGUL", "ARABIC", "HEBREW"}
_LONGEST_INSIDE, _LONGEST_NAME = 6, 4  # characters, words
_HALF = re.compile(r"\bhalf an? (?=(?:thousand|million|billion)\b)", re.IGNORECASE)

_CORRECTION = re.compile(
    r"\b(?:no,? wait|wait|sorry|oops|i mean|i meant|make that|scratch that|actually|or rather|"
    r"correction|oh no|typo|mistyped|i typed|is out|forget that|never mind|nein|moment|quatsch|"
    r"ich meine|ich meinte|pardon|non,|je veux dire|je voulais dire|plut[oô]t|perd[oó]n|"
    r"no,? espera|quiero decir|mejor dicho|anzi|scusa|cioè|desculpe|quero dizer|ali[aá]s|"
    r"нет,|извините|то есть)\b"
    r"|不对|不是|哦不|抱歉|我是说|改成|じゃなくて|아니",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Amount:
    """A number in digits: the values it may have, and the currencies named right beside it."""

    values: frozenset[Decimal]
    units: Codes

    def may_be(self, amount: Decimal) -> bool:
        """Whether this number, with what may stand behind it, can mean `amount`."""
        return any(amount == value.scaleb(power) for value in self.values for power in _POWERS)


@dataclass(frozen=True, slots=True)
class Stated:
    """What a text states.

    Attributes:
        amounts: The amounts of money in digits: the numbers beside a currency, or where none
            stands beside one, all numbers.
        in_words: Whether some word may state a number.
        named: The currencies in the order in which they are named, each as the ISO 4217 codes
            that the name may stand for.
        possible: The codes of every currency that any word may help to name.
        words: All its words, as `split_words` gives them.
    """

    amounts: tuple[Amount, ...]
    in_words: bool
    named: tuple[Codes, ...]
    possible: Codes
    words: frozenset[str]

    def has_amount(self, amount: Decimal) -> bool:
        """Whether the text may state this amount."""
        if not self.amounts:
            return self.in_words
        return any(each.may_be(amount) for each in self.amounts)

    def spells(self, amount: Decimal) -> bool:
        """Whether the amount is written out in the text's words, in some language."""
        return any(spelling <= self.words for spelling in spellings(amount))


@lru_cache
def stated(text: str) -> Stated:
    """Read a text."""
    text = _HALF.sub("0.5 ", without_days(text))
    every = tuple(_amounts(text))
    beside = tuple(amount for amount in every if amount.units)
    words = split_words(text)
    named = tuple(_named(words))
    possible = set[str]().union(*named, *map(_possible, words))
    return Stated(
        beside or every,
        _in_words(text),
        named,
        frozenset(possible & active_codes()),
        frozenset(words),
    )


def correction(question: str) -> Stated | None:
    """What is stated behind the last "no wait", "sorry, I meant …"; None without such words."""
    found = list(_CORRECTION.finditer(question))
    return stated(question[found[-1].end() :]) if found else None


def _possible(word: str) -> set[str]:
    """Every currency that the word, or where words aren't set apart some part of it, may name."""
    codes = set(codes_of_name(word))
    if script(word) in _AFFIXED:
        for start in range(len(word)):
            for end in range(start + 1, min(len(word), start + _LONGEST_INSIDE) + 1):
                codes |= codes_of_name(word[start:end], steps=2)
    return codes


def _amounts(text: str) -> Iterator[Amount]:
    place = 0
    for number in numbers(text):
        start = text.index(number.text, place)
        place = start + len(number.text)
        before, after = split_words(text[:start])[-1:], split_words(text[place:])
        units = next(_named(before), Codes())
        if not units or before[0].isalpha():
            units = _unit(after) or units
        yield Amount(_money(number.values, units), units)


def _money(values: frozenset[Decimal], units: Codes) -> frozenset[Decimal]:
    """Of "2.500" the reading 2500: few currencies have three decimals."""
    if any(get_currency_precision(code) > 2 for code in units):
        return values
    return frozenset(value for value in values if value * 1000 not in values)


def _unit(words: list[str]) -> Codes:
    """The currency that is named right here, perhaps behind a word like "k" or "million"."""
    for skipped in words[:1] and ([], words[:1]):
        if all(len(word) < 3 or word in number_words() or word in _QUANTITIES for word in skipped):
            following = words[len(skipped) :]
            for length in range(min(_LONGEST_NAME, len(following)), 0, -1):
                name = " ".join(following[:length])
                if codes := _codes(name, alone=length == 1):
                    return codes
            if following and script(following[0]) in _AFFIXED:
                return next(_named_inside(following[0]), Codes())
    return Codes()


def _named(words: list[str]) -> Iterator[Codes]:
    """The currencies that the words name, the longest names first."""
    place = 0
    while place < len(words):
        for length in range(min(_LONGEST_NAME, len(words) - place), 0, -1):
            name = " ".join(words[place : place + length])
            if codes := _codes(name, alone=length == 1):
                yield codes
                break
        else:
            length = 1
            if script(words[place]) in _AFFIXED:
                yield from _named_inside(words[place])
        place += length


def _codes(name: str, *, alone: bool) -> Codes:
    """What a name stands for; a word alone must be all of a name, or a well-known unit."""
    if name.isascii() and name.isalpha() and len(name) < 3:
        return Codes()
    if whole := codes_of_name(name, steps=1):
        return whole
    codes = codes_of_name(name, steps=2 if script(name) in _AFFIXED or len(name) < 6 else 3)
    return codes if not alone or codes & CHIEFS else Codes()


def _named_inside(word: str) -> Iterator[Codes]:
    place = 0
    while place < len(word):
        for length in range(min(_LONGEST_INSIDE, len(word) - place), 0, -1):
            name = word[place : place + length]
            codes = codes_of_name(name, steps=2)
            if codes and (length > 1 or script(name) == "CJK"):
                yield codes
                break
        else:
            length = 1
        place += length


def _in_words(text: str) -> bool:
    """Whether some word may state a number; an article does before a currency: "a dollar"."""
    words, known = split_words(text), number_words()
    for word, following in pairwise([*words, ""]):
        if word in known or word in _QUANTITIES:
            return True
        if word[0].isalpha() and script(word) not in _READ_SCRIPTS:
            return True
        if any(len(numeral) > 3 and numeral in word for numeral in known):
            return True
        if word in _ARTICLES and following and codes_of_name(following):
            return True
    return any(unicodedata.numeric(each, None) and not each.isdecimal() for each in text)
