"""Numbers in running text, whatever the separators, digits and words they are written with.

    1,234.56   1.234,56   1 234,56   1'234.56   12,34,567.89   １,２３４   ١٬٢٣٤   .5
    ½   2 ½   5 1/2   5€50   10k   1.5 million   2,5 Tausend   132万   3万5000
    1 million 200 thousand   5-10k   6.02e23   6.02 × 10²³   1{,}234.56 and 1\\,234.56 of LaTeX

`numbers` reads these. `said` also reads number words, in the languages that `text2num` knows, and
ideographs that Unicode knows as numbers. The words that multiply are those of CLDR's compact
decimal formats, of all locales at once. Where they disagree ("billion", and so "bn"), or few have
a short word ("cr", "min"), a number has several values.

Not covered: signs, fractions in words ("half a million"), number words of other languages, and
words that multiply but are in no CLDR format ("dozen", "crore") or come before the number.
"""

import pickle
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext
from functools import cache, partial
from textwrap import wrap
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
        readings: What it may mean: "1.234" is 1234 or 1.234; "5 100" is 5100, or 5 and 100;
            in "5-10k" 5 is 5 or 5000; and in "14:30" 14 is 14 or, after noon, 2.
    """

    text: str
    readings: tuple[Reading, ...]

    @property
    def values(self) -> frozenset[Decimal]:
        """Every value that some reading holds."""
        return frozenset(value for reading in self.readings for value in reading)

    @property
    def meaning(self) -> str:
        """Its values in plain digits: "1234 or 1.234"."""
        values = (f"{value:f}" for reading in self.readings for value in reading)
        return " or ".join(dict.fromkeys(values))

    def within(self, values: frozenset[Decimal]) -> bool:
        """Whether some reading consists of `values` alone."""
        return any(values.issuperset(reading) for reading in self.readings)


def numbers(text: str, *, units: bool = False) -> list[Number]:
    """The numbers in `text` that have digits, in order; no sign is read, so none is negative.

    Args:
        text: Any text.
        units: Whether "45m" may also be 45 minutes, as a tool means it; "1.80 m" always may.
    """
    text = _POWER_OF_TEN.sub(_exponent, _LATEX_COMMA.sub(",", text))
    with localcontext(_EXACT):
        return [
            Number(text[part.start : part.end], tuple(dict.fromkeys(part.readings)))
            for part in _parts(text, units=units)
        ]


def spelled_plainly(text: str) -> str:
    """What the numbers in `text` mean that are neither plain digits nor grouped by commas.

    "1.234,56 is 1234.56; 2.500 is 2500 or 2.500; ١٢٥ is 125"; "" where there is none. Of a number
    that may be several side by side, or is multiplied by a word, nothing is told.
    """
    told = {
        each.text: each.meaning
        for each in numbers(text)
        if all(len(reading) == 1 for reading in each.readings)
        and not _PLAIN.fullmatch(each.text)
        and (len(each.readings) > 1 or not _DECIMAL.fullmatch(each.text))
    }
    return "; ".join(f"{text} is {value}" for text, value in told.items())


def said(text: str) -> frozenset[Decimal]:
    """Every value that `text` states, in digits or words.

    A word is read in every language that has it as a number: "once" is 11 as well. So this says
    which values may be used, and not which numbers the writer had in mind.
    """
    # In short pieces, since text2num is quadratic, and without half surrogates, which it refuses.
    whole = text.encode(errors="replace").decode()
    pieces = {piece for part in _APART.split(whole) for piece in wrap(part, 2_000)}
    # "fifty-dollar bill" has "fifty", and text2num does not look inside of such a word.
    pieces |= {_HYPHEN.sub(" ", piece) for piece in pieces}
    spelled = {whole} | {each for piece in pieces for each in (piece, *_in_digits(piece))}
    return frozenset(value for each in spelled for found in numbers(each) for value in found.values)


# --- Digits

# With commas between groups; or with a letter, which may multiply it.
_DECIMAL = re.compile(r"[0-9]*(\.[0-9]+)?")
_PLAIN = re.compile(r"[0-9]+|[0-9]{1,3}(,[0-9]{2,3})*,[0-9]{3}(\.[0-9]+)?|.*[^\W\d_].*", re.DOTALL)

# The usual context would round sums and products to 28 digits.
_EXACT = Context(prec=200, Emax=MAX_EMAX, Emin=MIN_EMIN)

# Space, no-break, figure, thin and narrow no-break space, as typographers group digits.
_SPACES = " \u00a0\u2007\u2009\u202f"
_SAME = str.maketrans("，．＇’ʼ⁄" + _SPACES, ",.'''/" + " " * len(_SPACES))
_LATEX_COMMA = re.compile(r"(?<=\d)(?:\{,\}|\\,)(?=\d)")
_POWER_OF_TEN = re.compile(
    r"(?<=\d) ?(?:[×·⋅*x]|\\times|\\cdot) ?10(?:\^\{?([-−+]?\d{1,2})\}?|([⁻⁺]?[⁰¹²³⁴-⁹]{1,2}))"
)
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")
_APART = re.compile(r"[;:!?()\n]|[.,](?=\s)")  # no number goes on behind these

# What a fraction without a whole may stand behind: white space, a currency, an operator, a dash,
# an opening bracket or quote. Behind all else the point ends an abbreviation: रु.500, B/.20.
_BEFORE_POINT = r"\s\"'“„‘«‹(\[{*+<>=≤≥~|≈±×÷−‐-―$£¥₠-⃀-"
_FRACTION = "[¼-¾⅐-⅞↉]"
_POINT = "[.,٫$£¥₠-⃀]"  # or a currency sign, as in 5€50
_DIGITS = (
    r"[1-9]\d{0,2}(?: \d{3})+(?:[.,٫]\d+)?(?![.,'٬٫]?\d)"
    r"|\d++(?:[.,'٬٫]\d++)*+(?:[$£¥₠-⃀]\d\d(?![.,]?\d))?"
    rf"|(?<![^{_BEFORE_POINT}])\.\d++"
)
_NUMBER = re.compile(
    rf"(?:(?P<digits>{_DIGITS}) ?)?(?P<fraction>{_FRACTION}|(?<![\d/])\d++/0*[1-9]\d*+(?!/))"
    rf"|(?P<alone>{_DIGITS})(?:[eE](?P<exponent>[+-]?\d{{1,2}})(?!\w|[.,]\d))?"
)
_HOUR = re.compile(r"(?<![\d:.,])(?:00|1[3-9]|2[0-3])(?=:[0-5]\d)")
_DASH = re.compile(r" ?[-‐-―−~〜～] ?")

# In groups of three digits, or of two before the last three; and in none.
_GROUPED = rf"([1-9]\d{{0,2}}([.,'٬ ])(?:\d{{2,3}}\2)*\d{{3}})(?:(?!\2){_POINT}(\d+))?"
_SPELLINGS = (re.compile(_GROUPED), re.compile(rf"(\d*)({_POINT}(\d+))?"))


class _Part(NamedTuple):
    """A number with the words that multiply it, and the least power of ten by which they do."""

    start: int
    end: int
    readings: list[Reading]
    power: int


def _exponent(power: re.Match[str]) -> str:
    """`× 10⁻⁵` as `e-5`."""
    return "e" + unicodedata.normalize("NFKC", power[1] or power[2]).replace("−", "-")


def _parts(text: str, *, units: bool) -> list[_Part]:
    """The numbers, those in one that may add up: 1 million 200 thousand, 3万5000.

    What only a dash joins to a number with a scale may have that, too.
    """
    plain = _OTHER_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), text)
    plain = plain.translate(_SAME)
    parts: list[_Part] = []
    for match in _NUMBER.finditer(plain):
        end, powers = _multiplied(plain, match.end(), units=units)
        readings = _scaled(_readings(match), powers)
        part = _Part(match.start(), end, readings, min(powers - {0}, default=0))
        last = parts[-1] if parts else part
        if part.power > 0 == last.power and _DASH.fullmatch(plain, last.end, part.start):
            last.readings.extend(_scaled(last.readings, powers))
        if together := _together(plain, last, part):
            parts[-1] = part._replace(start=last.start, readings=together)
        else:
            parts.append(part)
    return parts


def _scaled(readings: list[Reading], powers: set[int]) -> list[Reading]:
    """What the last number of each reading comes to, multiplied by each of these powers of ten."""
    return [(*first, last.scaleb(power)) for *first, last in readings for power in powers]


def _readings(match: re.Match[str]) -> list[Reading]:
    """What a number may mean before any word behind it."""
    if match["alone"]:
        found = _scaled(_of_digits(match["alone"]), {int(match["exponent"] or 0)})
        hour = _HOUR.match(match.string, match.start())
        return [*found, (abs(Decimal(hour[0]) - 12),)] if hour else found
    readings = fractions = _of_fraction(match["fraction"])
    if match["digits"]:
        wholes = _of_digits(match["digits"])
        readings = [(*first, last + fractions[0][0]) for *first, last in wholes]
        if len(match["fraction"]) > 1:  # 5 1/2 may be two numbers, and 5 ½ may not
            readings += [whole + fraction for whole in wholes for fraction in fractions]
    return readings


def _of_digits(digits: str) -> list[Reading]:
    found = filter(None, (each.fullmatch(digits) for each in _SPELLINGS))
    readings: list[Reading] = [
        (Decimal(re.sub(r"\D", "", match[1]) + "." + (match[3] or "")),) for match in found
    ]
    if " " in digits:
        *first, last = digits.split(" ")
        return readings + [(*map(Decimal, first), *reading) for reading in _of_digits(last)]
    if readings and re.fullmatch(r"[\d.,'٬٫]+", digits):
        return readings
    # A price, or neither grouped nor a fraction: a date, an address, a list without spaces.
    return [*readings, tuple(map(Decimal, re.split(r"\D", digits)))]


def _of_fraction(fraction: str) -> list[Reading]:
    if len(fraction) == 1:
        return [(Decimal(str(unicodedata.numeric(fraction))),)]
    above, below = map(Decimal, fraction.split("/"))
    return [(above / below,), (above, below)]


_MOST_READINGS = 16


def _together(text: str, first: _Part, second: _Part) -> list[Reading]:
    """What two parts mean as one and side by side; nothing if they can't be one."""
    if second.power >= first.power or text[first.end : second.start].strip(" "):
        return []
    pairs = [(one, other) for one in first.readings for other in second.readings]
    sums = [
        (*one[:-1], one[-1] + other[0], *other[1:])
        for one, other in pairs
        if one[-1].adjusted() >= first.power > other[0].adjusted()
    ]
    if not sums or len(pairs) > _MOST_READINGS:
        return []
    return sums + [one + other for one, other in pairs]


# --- Words that multiply

_LONGEST_WORD = 20
_LONGEST_ABBREVIATION = 3
_FEW_LANGUAGES = 5
_LETTER = re.compile(r" ?[^\W\d_]")
_COMPACT = re.compile("(?P<zeros>0+)(?P<word>[^;0]*)")
UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u11ff\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7ff]")
"""Scripts that put no spaces between words, or none behind a number word."""
_IDEOGRAPHS = {
    character: str(int(unicodedata.numeric(character, -1)))
    for character in map(chr, (0x3007, *range(0x3400, 0xA000)))
} | dict.fromkeys("两兩", "2")  # before a power of ten, and unknown to older versions of Unicode
_IDEOGRAPH_TENS = [each for each, value in _IDEOGRAPHS.items() if re.fullmatch("10+", value)]
_PRIVATE = 0xE000  # and a power of ten: the character for a number word, such as "hundred"


@cache
def _scales() -> dict[str, frozenset[int]]:
    """By which powers of ten a word behind a number multiplies it; by 0 if it may also not."""
    users: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for locale, size, pattern in _formats():
        if found := _COMPACT.match(pattern):
            word = " ".join(found["word"].replace("'", "").lower().split()).rstrip(".")
            users[word][size - len(found["zeros"])].add(locale.split("_")[0])
    powers = {word: _powers(word, each) for word, each in users.items() if word}
    long = [word for word in powers if len(word) > _LONGEST_ABBREVIATION]
    for word in powers.keys() - long:
        for each in long:
            # "bn" is 10^12 alone, in the few languages that have it there, and "billion" is both.
            if powers[word] & powers[each] and _abbreviates(word, each):
                powers[word] |= powers[each]
    for word in _IDEOGRAPH_TENS:
        powers[word] = powers.get(word, frozenset()) | {len(_IDEOGRAPHS[word]) - 1}
    return powers | {chr(_PRIVATE + power): frozenset({power}) for power in range(2, 31)}


def _formats() -> Iterator[tuple[str, int, str]]:
    """Each locale's compact formats, with the number of digits that each is for."""
    for locale in ["root", *localedata.locale_identifiers()]:
        # Babel's own loading would keep each locale in memory.
        with open(localedata.resolve_locale_filename(locale), "rb") as file:
            formats = pickle.load(file).get("compact_decimal_formats", {})
        for plurals in formats.values():
            for patterns in plurals.values():
                for digits, pattern in patterns.items():
                    yield locale, len(digits), pattern.pattern


def _powers(word: str, users: dict[int, set[str]]) -> frozenset[int]:
    """Short words are likely something else: "m" is a thousand in one language, "kr" is money."""
    longest = _LONGEST_ABBREVIATION if word.islower() else 2
    if len(word) > longest or UNSPACED.match(word):
        return frozenset(users)
    widely = {power for power, languages in users.items() if len(languages) >= _FEW_LANGUAGES}
    return frozenset(widely or {0, *users})


def _abbreviates(short: str, word: str) -> bool:
    """Whether it has letters of the word, the first one and others, in their order."""
    letters = iter(word)
    return short[0] == word[0] and all(each in letters for each in short)


def _multiplied(text: str, end: int, *, units: bool) -> tuple[int, set[int]]:
    """Where the words end that multiply what ends at `end`, and by which powers of ten."""
    powers = {0}
    for _ in range(3):  # 20 thousand million
        start = end
        end, found = _scale(text, start)
        letter = _LETTER.fullmatch(text, start, end) and not UNSPACED.match(text, end - 1)
        if letter and powers != {0}:
            return start, powers  # "1 millón y medio": behind a word it is none
        if letter and (units or text[start] == " "):
            found |= {0}
        powers = {one + other for one in powers for other in found}
    return end, powers


def _scale(text: str, start: int) -> tuple[int, frozenset[int]]:
    """Where the longest word that multiplies ends, and by which powers of ten."""
    scales = _scales()
    first = start + text.startswith((" ", "-"), start)
    ahead = text[first : first + _LONGEST_WORD].lower()
    for length in range(len(ahead), 0, -1):
        powers, end = scales.get(ahead[:length]), first + length
        if powers and (
            not text[end : end + 1].isalnum() or UNSPACED.search(text, end - 1, end + 1)
        ):
            # Behind a space it may be the beginning of another word: 100 조지아 라리, 5 T-shirts.
            goes_on = first > start and text[end : end + 2].lstrip("-'")[:1].isalpha()
            return end, powers | {0} if goes_on else powers
    return start, frozenset({0})


# --- Number words

_HYPHEN = re.compile(r"(?<=[^\W\d_])[-‐‑](?=[^\W\d_])")
_WORD = re.compile(r"[^\W\d_]+")
_WORD_BEHIND_DIGITS = re.compile(rf"(?:(?<=\d)|(?<=\d[{_SPACES}-]))[^\W\d_]+")
_IDEOGRAPH_DIGITS = {ord(each): value for each, value in _IDEOGRAPHS.items() if len(value) == 1}
_BARE_TEN = re.compile(r"(?<![\d{0}])[{0}]".format("".join(_IDEOGRAPH_TENS)))


@cache
def _languages() -> list[str]:
    """Those that text2num reads; it has no list of them."""
    read = []
    for locale in sorted(localedata.locale_identifiers()):
        with suppress(ValueError):
            alpha2digit("", locale, 0)
            read.append(locale)
    return read


def _in_digits(text: str) -> Iterator[str]:
    """The text with number words in digits, as each language reads them.

    Words that multiply are once read as part of a number ("two million five hundred thousand")
    and once left alone ("2 million", "five point three million").
    """
    yield _BARE_TEN.sub(r"1\g<0>", text.translate(_IDEOGRAPH_DIGITS))  # 三万五千 as 3万5千
    for language in _languages():
        if alpha2digit(text, language, 0) != text:
            marked = partial(_marked, language)
            for alone in (_WORD, _WORD_BEHIND_DIGITS):
                yield alpha2digit(alone.sub(marked, text), language, 0)


def _marked(language: str, word: re.Match[str]) -> str:
    """The private character for a word that is a power of ten; any other word as it is."""
    digits = alpha2digit(word[0], language, 0)
    return chr(_PRIVATE + len(digits) - 1) if re.fullmatch("10{2,30}", digits) else word[0]
