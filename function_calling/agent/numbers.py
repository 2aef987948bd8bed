"""Numbers in running text, whatever the separators, digits and words they are written with.

    1,234.56   1.234,56   1 234,56   1'234.56   12,34,567.89   １,２３４   ١٬٢٣٤   .5
    ½   2 ½   5 1/2   5€50   10k   1.5 million   2,5 Tausend   132万   3万5000
    1 million 200 thousand

`numbers` reads these. `said` also reads number words, in the languages that `text2num` knows, and
ideographs that Unicode knows as numbers. The words that multiply are those of CLDR's compact
decimal formats, of all locales at once. Where they disagree, a number has several values; where
few languages have a short word ("cr", "min"), the number alone is a value as well.

Not covered: signs (a hyphen before a digit is mostly a dash); fractions in words ("half a
million", "two and a half"); words that multiply but are in no CLDR format ("dozen", "grand",
"crore"); scale words that come before the number; hundredths ("nine pounds sixty"); number words of
other languages.
"""

import pickle
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from functools import cache
from textwrap import TextWrapper
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
        for part in _joined(text, _parts(text))
    ]


def said(text: str) -> frozenset[Decimal]:
    """Every value that `text` states, in digits or words.

    A word is read in every language that has it as a number: "once" is 11 as well. So this says
    which values may be used, and not which numbers the writer had in mind.
    """
    # Most pieces have number words in no language, or are spelled the same by several.
    spelled = {each for piece in set(_pieces(text)) for each in (piece, *_in_digits(piece))}
    return frozenset(
        value for each in spelled for number in numbers(each) for value in number.values
    )


def _pieces(text: str) -> Iterator[str]:
    """Parts of the text that have whole numbers, short since text2num is quadratic."""
    for piece in _APART.split(text):
        yield from _PIECE.wrap(piece) if len(piece) > _PIECE.width else [piece]


# --- Digits

# Space, no-break, figure, thin and narrow no-break space, as typographers group digits.
_SPACES = " \u00a0\u2007\u2009\u202f"
_SAME = str.maketrans("，．＇’ʼ⁄" + _SPACES, ",.'''/" + " " * len(_SPACES))
_VULGAR = "[¼-¾⅐-⅞↉]"

_APART = re.compile(r"[;:!?()\n]|[.,](?=\s)")
"""No number goes on behind these."""
_PIECE = TextWrapper(2_000, expand_tabs=False, replace_whitespace=False, break_on_hyphens=False)

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


def _parts(text: str) -> Iterator[_Part]:
    plain = _OTHER_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), text)
    for match in _NUMBER.finditer(plain.translate(_SAME)):
        end, powers = _multiplied(text, match.end())
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
    cents = text[second.start : second.end]
    if not between.strip(_SPACES) and _largest(second) < _largest(first):
        power = 0
    elif unicodedata.category(between[:1] or " ") == "Sc" and re.fullmatch(r"\d\d", cents):
        power = -2
    else:
        return []
    one_number = [
        _Meaning((*whole.reading[:-1], _sum(whole.reading[-1], _times(more, power)), *rest), at)
        for whole in first.meanings
        for (more, *rest), at in second.meanings
        if (whole.power == 0 if power else more.adjusted() < whole.power)
    ]
    beside = [
        _Meaning(one.reading + other.reading, other.power)
        for one in first.meanings
        for other in second.meanings
    ]
    return list(dict.fromkeys(one_number + beside)) if one_number else []


def _largest(part: _Part) -> int:
    return max(meaning.power for meaning in part.meanings)


# --- Words that multiply

_WORDS = 3
"""Words that may multiply one number, as in "20 thousand million"."""
_FEW_LANGUAGES = 5
_COMPACT = re.compile(r"(?P<zeros>0+)(?P<word>[^;0]*)")
_BEFORE_WORD = re.compile(rf"[{_SPACES}-]?")
# The scripts of South East Asia that put no spaces between words.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
_TENS = {chr(0xE000 + power): frozenset({power}) for power in range(2, 31)}
"""Private characters that stand for a number word, such as "hundred", by its power of ten."""


@cache
def _scales() -> dict[str, frozenset[int]]:
    """By which powers of ten a word behind a number multiplies it; by 0 if it may also not.

    The words are those of CLDR's compact formats ("0 Mrd." is one for 10⁹) and the ideographs that
    Unicode knows as powers of ten. Beginnings of words are there as well, with no power.

    It takes about a second, once. Babel's own loading would keep each locale in memory.
    """
    words: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for (pattern, size), languages in _formats().items():
        if found := _COMPACT.match(pattern):
            word = " ".join("".join(map(_letter, found["word"])).split()).rstrip(".")
            words[word][size - len(found["zeros"])] |= languages
    powers = {word: _powers(word, each) for word, each in words.items() if word}
    for character, value in _ideographs().items():
        if value in _HUNDREDS:
            powers[character] = powers.get(character, frozenset()) | {len(str(value)) - 1}
    powers |= _TENS
    return {word[:end]: frozenset() for word in powers for end in range(1, len(word))} | powers


def _formats() -> dict[tuple[str, int], set[str]]:
    """For each compact format and the number of digits it is for, the languages that use it."""
    languages: dict[tuple[str, int], set[str]] = defaultdict(set)
    for name in ["root", *localedata.locale_identifiers()]:
        with open(localedata.resolve_locale_filename(name), "rb") as file:
            formats = pickle.load(file).get("compact_decimal_formats", {})
        for plurals in formats.values():
            for patterns in plurals.values():
                for size, pattern in patterns.items():
                    languages[pattern.pattern, len(size)].add(name.split("_")[0])
    return languages


def _letter(character: str) -> str:
    """A letter as it is looked up: small, any space as a space, no quotes or directions."""
    if character == "'" or unicodedata.category(character) == "Cf":
        return ""
    return " " if character.isspace() else character.casefold()


def _powers(word: str, languages: Mapping[int, set[str]]) -> frozenset[int]:
    """By which powers of ten a word multiplies, and by 0 if it is likely something else.

    Short words are: "m" is a million in many languages and a thousand in one, "kr" is money.
    """
    if not _is_short(word):
        return frozenset(languages)
    widely = {power for power, users in languages.items() if len(users) >= _FEW_LANGUAGES}
    return frozenset(widely or {0, *languages})


def _multiplied(text: str, start: int) -> tuple[int, list[int]]:
    """Where the words end that multiply what ends at `start`, and by which powers of ten."""
    powers = {0}
    for _ in range(_WORDS):
        end, found = _scale(text, start)
        if not found:
            break
        start, powers = end, {one + other for one in powers for other in found}
    return start, sorted(powers, reverse=True)


def _scale(text: str, start: int) -> tuple[int, frozenset[int]]:
    """Where the longest word that multiplies ends, and by which powers of ten."""
    scales = _scales()
    best = start, frozenset[int]()
    before = _BEFORE_WORD.match(text, start)
    first = before.end() if before else start
    word = ""
    for end in range(first, len(text)):
        word += _letter(text[end])
        if word and word not in scales:
            break
        if word and scales[word] and _ends(text, end + 1, word):
            # Behind a space it may be the beginning of another word: 100 조지아 라리.
            goes_on = first > start and text[end + 1 : end + 2].isalpha()
            best = end + 1, scales[word] | ({0} if goes_on else set())
    return best


def _ends(text: str, end: int, word: str) -> bool:
    """Whether a word may end before this place."""
    if end == len(text) or _ends_itself(text[end]) or _ends_itself(word[-1]):
        return True
    if text[end] in "-'’" and text[end + 1 : end + 2].isalpha():  # "5 T-shirts"
        return not _is_short(word)
    return not text[end].isalnum() and unicodedata.category(text[end])[0] != "M"


def _is_short(word: str) -> bool:
    """Whether it may be an abbreviation of something else."""
    return len(word) <= (3 if word.islower() else 2) and not _ends_itself(word[-1])


def _ends_itself(character: str) -> bool:
    """Whether the next word may follow without a space."""
    return unicodedata.east_asian_width(character) == "W" or bool(_UNSPACED.match(character))


# --- Number words

_LETTERS = re.compile(r"[^\W\d_]+")
_BEHIND_DIGITS = re.compile(rf"(?:(?<=\d)|(?<=\d[{_SPACES}-]))[^\W\d_]+")
_POWER_OF_TEN = re.compile("10{2,30}")
_MASK = "\ue100"
_PRIVATE = re.compile("[\ue000-\uf8ff]")
_MYRIAD = 10_000
_HUNDREDS = frozenset(10**power for power in range(2, 31))


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


def _in_digits(text: str) -> set[str]:
    """The text with number words in digits, as each language reads them.

    Words that multiply are once read as part of a number ("two million five hundred thousand")
    and once left alone ("2 million", "five point three million").
    """
    text = _PRIVATE.sub(" ", text)
    words = list(dict.fromkeys(_LETTERS.findall(text)))
    spelled = {_ideograph_pattern().sub(_ideographs_in_digits, text)}
    for language in _languages():
        if alpha2digit(text, language, 0) != text:
            alone = alpha2digit(" . ".join(words), language, 0).split(" . ")
            tens = {
                word: chr(0xE000 + len(digits) - 1)
                for word, digits in zip(words, alone, strict=True)
                if _POWER_OF_TEN.fullmatch(digits)
            }
            spelled |= {_digits(text, language, kept, tens) for kept in (_LETTERS, _BEHIND_DIGITS)}
    return spelled - {text}


def _digits(text: str, language: str, kept: re.Pattern[str], tens: Mapping[str, str]) -> str:
    """The text with number words in digits, but for the `kept` words that multiply."""
    masked: list[str] = []

    def mask(found: re.Match[str]) -> str:
        word = found[0]
        multiplies = _scales().get(word.casefold())
        if not (multiplies or word in tens):
            return word
        masked.append(word if multiplies else tens[word])
        return _MASK

    digits = alpha2digit(kept.sub(mask, text), language, 0)
    unmasked = iter(masked)
    return re.sub(_MASK, lambda _: next(unmasked), digits)


@cache
def _ideographs() -> Mapping[str, int]:
    """The ideographs that are whole numbers, by Unicode."""
    characters = map(chr, (0x3007, *range(0x3400, 0xA000), *range(0xF900, 0xFB00)))
    values = {each: unicodedata.numeric(each, None) for each in characters}
    return {each: int(value) for each, value in values.items() if value is not None}


@cache
def _ideograph_pattern() -> re.Pattern[str]:
    # What multiplies the digits before it stays: 3万五千 is 3万5000.
    all_of_them = "".join(_ideographs())
    multiply = "".join(each for each, value in _ideographs().items() if value in _HUNDREDS)
    return re.compile(rf"(?P<kept>(?<=\d)[{multiply}]+)|[{all_of_them}]{{1,40}}")


def _ideographs_in_digits(run: re.Match[str]) -> str:
    """三万五千 as 35000."""
    if run["kept"]:
        return run[0]
    total = section = digit = 0
    for value in map(_ideographs().__getitem__, run[0]):
        if value < 10:
            digit = digit * 10 + value
        elif value < _MYRIAD:
            section, digit = section + (digit or 1) * value, 0
        else:
            several = section + digit
            total = total + several * value if several else (total or 1) * value
            section = digit = 0
    return str(total + section + digit)
