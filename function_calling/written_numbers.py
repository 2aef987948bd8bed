"""Numbers in words, put into digits where they count money.

    two hundred and fifty pounds   zweihundert Pfund   half a grand   three quarters of a million
    37 euros and five cents        two lakh rupees     a dozen euros

`text2num` (https://github.com/allo-media/text2num) reads number words in the languages below. In
which of them a text is can't be told from a few words, and "once" and "sei" are numbers in one of
them, so words are a number only right before a currency. Not read: Danish, whose "to" is two.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from text_to_num import find_numbers

from function_calling.currencies import SUBUNITS
from function_calling.named_currencies import named, unit
from function_calling.words import split_words

_LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl")
_SCALES = {
    "dozen": 12,
    "hundred": 100,
    "thousand": 1000,
    "grand": 1000,
    "lakh": 10**5,
    "million": 10**6,
    "crore": 10**7,
    "billion": 10**9,
}
_SCALE = rf"(?P<scale>{'|'.join(_SCALES)})s?\b"
_PARTS = {
    "half": "0.5",
    "a half": "0.5",
    "a quarter": "0.25",
    "three quarters": "0.75",
    "a couple": "2",
    "a": "1",
}
_PART = re.compile(
    rf"\b(?P<whole>[a-z]+|\d+) and (?P<more>a half|a quarter|three quarters)(?: {_SCALE})?\b|"
    rf"\b(?P<part>{'|'.join(_PARTS)})(?: of)?(?: an?)? {_SCALE.replace('scale', 'times')}",
    re.IGNORECASE,
)
_SCALED = re.compile(rf"(?P<number>\d+(?:\.\d+)?) {_SCALE}", re.IGNORECASE)
_SHORT = re.compile(
    r"(?<![\d.,])(?P<number>\d+(?:\.\d+)?)(?P<scale>[kmb]|\s?(?:k|mn|mio|bn))\b", re.IGNORECASE
)
_SHORT_SCALES = {"k": 10**3, "m": 10**6, "mn": 10**6, "mio": 10**6, "b": 10**9, "bn": 10**9}
_CURRENCY_BEFORE = re.compile(r"(?:[^\w\s.,;:!?()'\"/-]|\b[A-Z]{3})\s?$")
_NO_ZERO = re.compile(r"(?<![\w.])\.(?=\d)")
_CENTS = re.compile(
    rf"(?P<whole>\d+)(?P<unit>[^\d.,;:?!]+?)\s(?:(?:and|und|et|y|e|en|og)\s)?"
    rf"(?P<cents>\d{{1,2}})\s?(?:{'|'.join(SUBUNITS)})(?!\w)",
    re.IGNORECASE,
)
_WORD_FOLLOWS = re.compile(r"[\s-]*(?:[^\W\d_]|[^\w\s.,;:!?()])")
_WORD = re.compile(r"[^\W\d_]+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class _Word:
    """A word and its place, as `text2num` takes it."""

    word: str
    start: int
    end: int

    def text(self) -> str:
        return self.word

    def nt_separated(self, _previous: "_Word") -> bool:
        return False

    def not_a_number_part(self) -> bool:
        return False


def in_digits(text: str) -> str:
    """The text with the numbers that count money in digits, and cents as decimals."""
    text = _PART.sub(_part, _NO_ZERO.sub("0.", text))
    for start, end, digits in reversed(list(_written(text))):
        text = f"{text[:start]}{digits}{text[end:]}"
    text = _SCALED.sub(lambda found: _times(Decimal(found["number"]), found["scale"]), text)
    text = _SHORT.sub(_in_full, text)
    return _CENTS.sub(_with_cents, text)


def _part(found: re.Match[str]) -> str:
    """ "half a million" in digits, or "two and a quarter thousand"."""
    if found["part"]:
        return _times(Decimal(_PARTS[found["part"].lower()]), found["times"])
    whole = _read([_Word(found["whole"], 0, 0)], "en")
    if not (whole or found["whole"].isdigit()):
        return found[0]
    number = whole[0][2] if whole else Decimal(found["whole"])
    return _times(number + Decimal(_PARTS[found["more"].lower()]), found["scale"] or "")


def _in_full(found: re.Match[str]) -> str:
    """ "1500 USD" for "1.5k USD"; five metres stay "5m"."""
    text = found.string
    if _counts_money(text[found.end() :]) or _CURRENCY_BEFORE.search(text[: found.start()]):
        return _times(Decimal(found["number"]), found["scale"].strip())
    return found[0]


def _times(number: Decimal, scale: str) -> str:
    by = (_SCALES | _SHORT_SCALES | {"": 1})[scale.lower()]
    return f"{(number * by).normalize():f}"


def _written(text: str) -> Iterator[tuple[int, int, str]]:
    """The numbers in words that count money: where each begins and ends, and its digits."""
    words = [_Word(each[0], each.start(), each.end()) for each in _WORD.finditer(text)]
    read = {number for language in _LANGUAGES for number in _read(words, language)}
    behind = 0
    for first, last, value in sorted(read, key=lambda each: (each[0], -each[1])):
        start, end = words[first].start, words[last - 1].end
        following = text[end:]
        if start < behind or not (value > 1 or _SCALED.match(f"1{following}")):
            continue
        # The million of "2.5 million", and of "two point five million", is read with the digits.
        goes_on = start - behind == 1 < start or re.search(r"\d\s?$", text[:start])
        if goes_on and text[start:end].lower() in _SCALES:
            continue
        cents = 9 < value < 100 and behind and _is_currency(text[behind:start])
        if _counts_money(following):
            behind = end
            yield start, end, f"{value.normalize():f}"
        elif cents:  # "nine pounds sixty"
            yield start, end, f"{value.normalize():f} cents"


def _read(words: list[_Word], language: str) -> list[tuple[int, int, Decimal]]:
    """The numbers in words of a language: the first word of each, the last but one, its value."""
    found = find_numbers(words, language, 0)
    return [
        (each.start, each.end, Decimal(str(each.value))) for each in found if not each.is_ordinal
    ]


def _counts_money(behind: str) -> bool:
    """Whether a currency follows, or what a hundredth of one is called."""
    words = split_words(behind) if _WORD_FOLLOWS.match(behind) else []
    return bool(unit(words, near=True)) or not SUBUNITS.isdisjoint(words[:1])


def _is_currency(text: str) -> bool:
    """Whether this is a currency's name, and nothing else."""
    words = split_words(text)
    return len(list(named(words))) == 1 and bool(unit(words, near=True)) and len(words) < 3


def _with_cents(found: re.Match[str]) -> str:
    """ "37 euros and 5 cents" as "37.05 euros"."""
    if not unit(split_words(found["unit"]), near=True):
        return found[0]
    return f"{found['whole']}.{int(found['cents']):02}{found['unit']}"
