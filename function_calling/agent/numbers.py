"""Numbers in running text, whatever the separators, digits and words they are written with.

    1,234.56   1.234,56   1 234,56   1'234.56   12,34,567.89   １,２３４   ١٬٢٣٤   .5
    ½   2 ½   5 1/2   5€50   1.5 million   2,5 Tausend   10k
     132万   3万5000   1 million 200 thousand

`numbers` reads these; `said` also reads number words, in what languages `text2num` knows, and
ideographs that Unicode knows as numbers. The words that multiply are those of CLDR's compact
decimal formats, of all locales at once: where they disagree, a number has several values.

Not covered: signs (a hyphen before a digit is mostly a dash); fractions in words, and words that
multiply which CLDR doesn't use in formats, so neither "half a million" nor a dozen; words that
CLDR writes before the number; number words of other languages. Short words that few languages have, such as "cr",
may be something else: the number alone is a value as well.
"""

import pickle
import re
import unicodedata
from collections import ChainMap, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from functools import cache
from typing import NamedTuple, TypeAlias

from babel import localedata
from text_to_num import alpha2digit

Reading: TypeAlias = tuple[Decimal, ...]
"""What a written number may mean: one value, or several that stand side by side."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written.

    Attributes:
        text: The way it is spelled.
        readings: What it may mean: "1.234" is 1234 or 1.234; "5 100" is 5100, or 5 and 100.
    """

    text: str
    readings: tuple[Reading, ...]

    @property
    def values(self) -> frozenset[Decimal]:
        """Every value that some reading holds."""
        return frozenset(value for reading in self.readings for value in reading)

    def within(self, values: frozenset[Decimal]) -> bool:
        """Whether some reading consists of `values` alone."""
        return any(values.issuperset(reading) for reading in self.readings)


def numbers(text: str) -> list[Number]:
    """The numbers in `text` that have digits, in order; no sign is read, so none is negative."""
    return [
        Number(text[part.start : part.end], tuple(dict.fromkeys(m.reading for m in part.meanings)))
        for part in _joined(text, _parts(text, _scales()))
    ]


def said(text: str) -> frozenset[Decimal]:
    """Every value that `text` states, in digits or words.

    A word is read in every language that has it as a number: "once" is 11 as well. So this says
    which values may be used, and not which numbers the writer had in mind.
    """
    found: set[Decimal] = set()
    for spelled, scales in [(text, _scales()), *_without_words(text)]:
        for part in _joined(spelled, _parts(spelled, scales)):
            found.update(value for meaning in part.meanings for value in meaning.reading)
    return frozenset(found)


# --- Digits

# Space, no-break, figure, thin and narrow no-break space, as typographers group digits.
_SPACES = " \u00a0\u2007\u2009\u202f"
_SAME = str.maketrans("，．＇’ʼ⁄" + _SPACES, ",.'''/" + " " * len(_SPACES))
_VULGAR = "[¼-¾⅐-⅞↉]"

_NUMBER = re.compile(
    rf"(?P<whole>\d+) (?P<ratio>\d+/\d+)(?![\d/])|(?<![\d/])(?P<part>\d+/\d+)(?![\d/])|"
    r"(?P<digits>[1-9]\d{0,2}(?: \d{3})+(?:[.,٫]\d+)?(?![.,'٬٫]?\d)|\d+(?:[.,'٬٫]\d+)*"
    rf"|(?<![\w.])\.\d+)(?: ?(?P<more>{_VULGAR}))?|(?P<vulgar>{_VULGAR})",
)
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")
_GROUPED = re.compile(r"[1-9]\d{0,2}([.,'٬ ])\d{3}(?:\1\d{3})*(?:(?!\1)[.,٫](?P<fraction>\d+))?")
_INDIAN = re.compile(r"[1-9]\d?(?:,\d{2})+,\d{3}(?:\.(?P<fraction>\d+))?")
_PLAIN = re.compile(r"\d*(?:[.,٫](?P<fraction>\d+))?")


class _Meaning(NamedTuple):
    """One reading, and the power of ten by which a word has multiplied its last value."""

    reading: Reading
    power: int = 0


class _Part(NamedTuple):
    """A number and the words that multiply it, and where it stands."""

    start: int
    end: int
    meanings: list[_Meaning]


def _parts(text: str, scales: "_Scales") -> Iterator[_Part]:
    plain = _OTHER_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), text)
    for match in _NUMBER.finditer(plain.translate(_SAME)):
        end, powers = _scaled(text, match.end(), scales)
        meanings = [
            _Meaning((*reading[:-1], _times(reading[-1], power)), power)
            for reading in _readings(match)
            for power in powers
        ]
        yield _Part(match.start(), end, meanings)


def _readings(match: re.Match[str]) -> list[Reading]:
    """What a number may mean before any word behind it."""
    if match["digits"]:
        readings = _of_digits(match["digits"])
        if not match["more"]:
            return readings
        more = _vulgar(match["more"])
        return [
            each
            for first in readings
            for each in ((*first[:-1], _sum(first[-1], more)), (*first, more))
        ]
    if match["vulgar"]:
        return [(_vulgar(match["vulgar"]),)]
    above, below = map(Decimal, (match["ratio"] or match["part"]).split("/"))
    beside: Reading = (above, below)
    if match["part"]:
        return [(_EXACT.divide(above, below),), beside] if below else [beside]
    whole = Decimal(match["whole"])
    readings = [(whole, *beside)]
    if above < below:
        ratio = _EXACT.divide(above, below)
        readings = [(_sum(whole, ratio),), (whole, ratio), *readings]
    return readings


def _of_digits(digits: str) -> list[Reading]:
    """What digits with separators may mean."""
    whole: dict[Reading, None] = {}
    for pattern in (_GROUPED, _INDIAN, _PLAIN):
        if match := pattern.fullmatch(digits):
            whole[(_value(digits, match["fraction"]),)] = None
    if " " in digits:
        *first, last = digits.split(" ")
        beside = tuple(Decimal(part) for part in first)
        return [*whole, *(beside + reading for reading in _of_digits(last))]
    # Neither grouped nor a fraction: a date, an address, a list without spaces.
    return list(whole) or [tuple(Decimal(part) for part in re.split(r"\D", digits))]


def _value(digits: str, fraction: str | None) -> Decimal:
    end = len(digits) - len(fraction) - 1 if fraction else len(digits)
    return Decimal(re.sub(r"\D", "", digits[:end]) + (f".{fraction}" if fraction else ""))


def _vulgar(character: str) -> Decimal:
    return Decimal(str(unicodedata.numeric(character)))


# The usual context would round sums and products to 28 digits.
_EXACT = Context(prec=200, Emax=MAX_EMAX, Emin=MIN_EMIN)


def _sum(one: Decimal, other: Decimal) -> Decimal:
    return _EXACT.add(one, other)


def _times(value: Decimal, power: int) -> Decimal:
    return Decimal(f"{value:f}e{power}")


# --- Numbers made of several

_MOST = 4
"""Numbers that may add up to one; few, since each may have several readings."""


def _joined(text: str, parts: Iterator[_Part]) -> Iterator[_Part]:
    """The parts, those in one that may add up: 1 million 200 thousand, 3万5000, 5€50."""
    before: _Part | None = None
    joined = 1
    for part in parts:
        if before and joined < _MOST and (meanings := _together(text, before, part)):
            before = _Part(before.start, part.end, meanings)
            joined += 1
            continue
        if before:
            yield before
        before, joined = part, 1
    if before:
        yield before


def _together(text: str, first: _Part, second: _Part) -> list[_Meaning]:
    """What two parts mean as one and side by side; nothing if they can't be one."""
    between = text[first.end : second.start]
    pairs = [(one, other) for one in first.meanings for other in second.meanings]
    if not between.strip():
        one_number = [
            _Meaning(
                (*one.reading[:-1], _sum(one.reading[-1], other.reading[0]), *other.reading[1:]),
                other.power,
            )
            for one, other in pairs
            if one.power and other.reading[0].adjusted() < one.power
        ]
    elif len(between) == 1 and unicodedata.category(between) == "Sc":
        cents = text[second.start : second.end]
        one_number = [
            _Meaning((*one.reading[:-1], _sum(one.reading[-1], _times(other.reading[0], -2))))
            for one, other in pairs
            if len(cents) == 2 and cents.isdecimal() and one.reading[-1] == one.reading[-1] // 1
        ]
    else:
        return []
    beside = [_Meaning(one.reading + other.reading, other.power) for one, other in pairs]
    return list(dict.fromkeys(one_number + beside)) if one_number else []


# --- Words that multiply

_Scales: TypeAlias = Mapping[str, frozenset[int]]
"""For each word, in small letters, the powers of ten by which it may multiply; 0 if by none."""

_LONGEST = 30
"""Letters of a word that multiplies; no word of CLDR's is as long."""
_WORDS = 3
"""Words that may multiply one number, as in "20 thousand million"."""
_FEW_LANGUAGES = 5
_BEFORE_WORD = re.compile(rf"[{_SPACES}-]?\u200f?")
_POWER = re.compile("10{2,}")
# The scripts of South East Asia that put no spaces between words.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")


@cache
def _scales() -> _Scales:
    """The words of CLDR's compact formats: "0 Mrd." for 10⁹ says that Mrd multiplies by that.

    It takes about a second, once. Babel's own loading would keep each locale in memory.
    """
    languages: dict[tuple[str, int], set[str]] = defaultdict(set)
    for name in ["root", *localedata.locale_identifiers()]:
        with open(localedata.resolve_locale_filename(name), "rb") as file:
            formats = pickle.load(file).get("compact_decimal_formats", {})
        for plurals in formats.values():
            for patterns in plurals.values():
                for size, pattern in patterns.items():
                    languages[pattern.pattern, len(size)].add(name.split("_")[0])
    words: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for (pattern, size), users in languages.items():
        if found := _PATTERN.match(pattern):
            words[_word(found["word"])][size - len(found["zeros"])] |= users
    return {word: _powers(word, powers) for word, powers in words.items() if word}


_PATTERN = re.compile(r"(?P<zeros>0+)(?P<word>[^;0]*)")


def _word(text: str) -> str:
    """A word as it is looked up: in small letters, without quotes, directions and a last dot."""
    kept = (each for each in text if each != "'" and unicodedata.category(each) != "Cf")
    return " ".join("".join(kept).casefold().split()).rstrip(".")


def _powers(word: str, languages: Mapping[int, set[str]]) -> frozenset[int]:
    """By which powers of ten a word multiplies; also by none if it is likely something else.

    Short words are: "m" is a million in many languages and a thousand in one, "kr" is money.
    """
    if len(word) > (3 if word.islower() else 2) or _ends_itself(word):
        return frozenset(languages)
    widely = {power for power, users in languages.items() if len(users) >= _FEW_LANGUAGES}
    return frozenset(widely or {0, *languages})


def _ends_itself(word: str) -> bool:
    """Whether the next word may follow without a space."""
    last = word[-1]
    return unicodedata.east_asian_width(last) == "W" or bool(_UNSPACED.match(last))


def _scaled(text: str, start: int, scales: _Scales) -> tuple[int, list[int]]:
    """Where the words end that multiply what ends at `start`, and by which powers of ten."""
    powers = {0}
    for _ in range(_WORDS):
        end, found = _scale(text, start, scales)
        if not found:
            break
        start, powers = end, {one + other for one in powers for other in found}
    return start, sorted(powers, reverse=True)


def _scale(text: str, start: int, scales: _Scales) -> tuple[int, frozenset[int]]:
    """Where the next word ends, and by which powers of ten it multiplies."""
    before = _BEFORE_WORD.match(text, start)
    first = before.end() if before else start
    for end in range(min(first + _LONGEST, len(text)), first, -1):
        if _ends_itself(text[end - 1]) or _ends(text, end):
            word = text[first:end]
            if found := scales.get(_word(word)) or _ideograph(word):
                return end, found
    return start, frozenset()


def _ends(text: str, end: int) -> bool:
    """Whether a word may end before this place."""
    if end == len(text) or _ends_itself(text[end]):
        return True
    return not text[end].isalnum() and unicodedata.category(text[end])[0] != "M"


def _ideograph(word: str) -> frozenset[int]:
    """The power of ten of an ideograph such as 百, by Unicode."""
    value = (_numeric(word) or 0) if len(word) == 1 else 0
    power = len(str(value)) - 1
    return frozenset([power]) if power > 1 and value == 10**power else frozenset()


def _numeric(character: str) -> int | None:
    """The value of an ideograph that is a number."""
    value = unicodedata.numeric(character, None) if _ends_itself(character) else None
    return None if value is None or value % 1 else int(value)


# --- Number words

_LETTERS = re.compile(r"[^\W\d_]+")
_MYRIAD = 10_000
_MASK = 0xE000
_MASKED = re.compile("[\ue000-\uf8ff]")


@cache
def _languages() -> tuple[str, ...]:
    """Those that text2num reads; it has no list of them."""
    return tuple(filter(_is_read, sorted(localedata.locale_identifiers())))


def _is_read(language: str) -> bool:
    try:
        alpha2digit("", language, 0)
    except ValueError:
        return False
    return True


def _without_words(text: str) -> Iterator[tuple[str, _Scales]]:
    """The text with number words in digits, in each language, and what multiplies in it.

    Words that multiply are once read as part of a number ("two million five hundred thousand")
    and once left for `_scaled` ("2 million", "five point three million").
    """
    words = list(dict.fromkeys(_LETTERS.findall(text)))
    for language in _languages():
        whole = alpha2digit(text, language, 0)
        if whole == text:
            continue
        yield whole, _scales()
        alone = alpha2digit(" . ".join(words), language, 0).split(" . ")
        powers = {
            word.casefold(): frozenset([len(digits) - 1])
            for word, digits in zip(words, alone, strict=True)
            if _POWER.fullmatch(digits)
        }
        scales = ChainMap(powers, _scales())
        yield _beside(text, language, scales), scales
    if (digits := _ideographs().sub(_in_digits, text)) != text:
        yield digits, _scales()


def _beside(text: str, language: str, scales: _Scales) -> str:
    """The text with number words in digits, but for the words that multiply."""
    masked: list[str] = []

    def mask(word: re.Match[str]) -> str:
        if word[0].casefold() not in scales:
            return word[0]
        masked.append(word[0])
        return chr(_MASK)

    digits = alpha2digit(_LETTERS.sub(mask, _MASKED.sub(" ", text)), language, 0)
    kept = iter(masked)
    return _MASKED.sub(lambda _: next(kept), digits)


@cache
def _ideographs() -> re.Pattern[str]:
    """Ideographs that are numbers."""
    ideographs = map(chr, (0x3007, *range(0x3400, 0xA000), *range(0xF900, 0xFB00)))
    return re.compile(f"[{''.join(each for each in ideographs if _numeric(each) is not None)}]+")


def _in_digits(run: re.Match[str]) -> str:
    """三万五千 as 35000; what multiplies the digits before it, as in 3万五千, stays."""
    characters = run[0]
    kept = 0
    if run.start() and run.string[run.start() - 1].isdecimal():
        kept = next(
            (i for i, each in enumerate(characters) if not _ideograph(each)), len(characters)
        )
    total = section = digit = 0
    for character in characters[kept:]:
        value = _numeric(character) or 0
        if value < 10:
            digit = digit * 10 + value
        elif value < _MYRIAD:
            section, digit = section + (digit or 1) * value, 0
        else:
            some = section + digit
            total = total + some * value if some else (total or 1) * value
            section = digit = 0
    return characters[:kept] + (str(total + section + digit) if characters[kept:] else "")
