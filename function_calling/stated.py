"""What a question states: which amounts, and which currencies?

A small model that is asked for an argument which the question leaves out invents one, and one
that is asked for three conversions makes one. So calls are held against the question: an amount
must stand in it, in digits or in words, a currency must be named in it, and what it names must
be converted.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise

from babel.numbers import get_currency_precision

from function_calling.currency_names import active_codes, codes_of_name, is_unit
from function_calling.dates import without_days
from function_calling.enumerations import shared_units
from function_calling.named_currencies import Codes, named, possible, unit, without_ordinary_words
from function_calling.number_words import QUANTITIES, number_words, spellings
from function_calling.numerals import numbers
from function_calling.words import UNSPACED, script, split_words
from function_calling.written_numbers import in_digits

# "5 tusen", "5千": what may stand behind the digits in languages whose numbers are not read, as
# powers of ten, and a hundredth for "99 cents".
_POWERS = (-2, 0, 2, 3, 4, 5, 6, 7, 8, 9, 12)
# Where number words are known; in other scripts any word may be one.
_READ_SCRIPTS = {"LATIN", "CYRILLIC", "ARABIC", "HEBREW", "BENGALI", "HANGUL", *UNSPACED}
_PAUSES = frozenset(",.;:?!(-–")
_ARTICLES = frozenset(
    "a an un une una um uma ein eine einen einem een en ett et o".split()  # noqa: SIM905
)

_CORRECTION = re.compile(
    r"\b(?:no,? wait|wait|sorry|sry|oops|i mean|i meant|make that|scratch that|actually|or rather|"
    r"correction|oh no|typo|mistyped|i typed|is out|forget (?:that|the|about)|never mind|"
    r"instead of|edit:|hang on|checked again|my (?:mistake|bad)|nein|moment|quatsch|"
    r"ich meine|ich meinte|pardon|non,|je veux dire|je voulais dire|plut[oô]t|perd[oó]n|"
    r"no,? espera|quiero decir|mejor dicho|anzi|scusa|cioè|desculpe|quero dizer|ali[aá]s|"
    r"нет,|извините|то есть)\b"
    r"|不对|不是|哦不|抱歉|我是说|改成|じゃなくて|아니|\n\s*\*(?=\w)",
    re.IGNORECASE,
)


_CORRECTIONS = 5  # are looked behind; nobody needs more of them in one question


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
        hinted: Those that words like "Canadian" help to name, which are no unit.
        words: All its words, as `split_words` gives them.
    """

    amounts: tuple[Amount, ...]
    in_words: bool
    named: tuple[Codes, ...]
    possible: Codes
    hinted: Codes
    words: frozenset[str]

    @property
    def several(self) -> bool:
        """Whether two different currencies are named."""
        return any(not one & other for one in self.named for other in self.named)

    @property
    def says_something(self) -> bool:
        """Whether an amount is stated or a currency named."""
        return bool(self.amounts or self.in_words or self.named)

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
    text = plain_text(text)
    money = without_ordinary_words(text)
    placed = list(placed_amounts(money))
    units = shared_units(
        money,
        [(start, end) for start, end, _ in placed],
        [amount.units for _, _, amount in placed],
    )
    every = tuple(
        replace(amount, units=unit) for (_, _, amount), unit in zip(placed, units, strict=True)
    )
    beside = tuple(amount for amount in every if amount.units)
    words = split_words(text)
    names = tuple(named(split_words(money)))
    codes = set[str]().union(*names, *map(possible, words))
    hints = set[str]().union(*map(_hints, words))
    return Stated(
        beside or every,
        _in_words(text),
        names,
        frozenset(codes & active_codes()),
        frozenset(hints),
        frozenset(words),
    )


def _hints(word: str) -> Iterable[str]:
    """What a word helps to name, if it is no unit; where words grow together, it may be both."""
    if script(word) in ("ARABIC", "HEBREW"):
        return possible(word)
    return () if is_unit(word) else codes_of_name(word)


def either(values: Iterable[Decimal]) -> str:
    """The readings of an amount, for a message: "1.25 or 1250"."""
    return " or ".join(f"{value:f}" for value in sorted(set(values)))


def correction(question: str) -> str:
    """The text behind the last "no wait" or "sorry, I meant" that states something; else empty."""
    texts = [question[found.end() :].strip() for found in _CORRECTION.finditer(question)]
    last = reversed(texts[-_CORRECTIONS:])
    return next((text for text in last if stated(text).says_something), "")


def plain_text(text: str) -> str:
    """The text as it is read for amounts: without its days, and with these in digits."""
    return in_digits(without_days(text))


def placed_amounts(text: str) -> Iterator[tuple[int, int, Amount]]:
    """The amounts in a `plain_text`, each with where its digits begin and end."""
    end = 0
    for number in numbers(text):
        start = text.index(number.text, end)
        end = start + len(number.text)
        before, after = split_words(text[:start])[-1:], split_words(text[end:])
        units = next(named(before), Codes())
        if not units or before[0].isalpha():
            units = unit(after) or units
        # "1 120 kr" is one number where nothing before it could have the 1.
        alone = not before or text[:start].rstrip()[-1:] in _PAUSES
        values = frozenset(number.readings[0]) if alone else number.values
        yield start, end, Amount(_money(values, units), units)


def _money(values: frozenset[Decimal], units: Codes) -> frozenset[Decimal]:
    """Of "2.500" the reading 2500: few currencies have three decimals."""
    if any(get_currency_precision(code) > 2 for code in units):
        return values
    return frozenset(value for value in values if value * 1000 not in values)


def _in_words(text: str) -> bool:
    """Whether some word may state a number; an article does before a currency: "a dollar"."""
    words, known = split_words(text), number_words()
    for word, following in pairwise([*words, ""]):
        if word in known or word in QUANTITIES:
            return True
        if word[0].isalpha() and script(word) not in _READ_SCRIPTS:
            return True
        if any(len(numeral) > 3 and numeral in word for numeral in known):
            return True
        if word in _ARTICLES and following and codes_of_name(following):
            return True
    return any(unicodedata.numeric(each, None) and not each.isdecimal() for each in text)
