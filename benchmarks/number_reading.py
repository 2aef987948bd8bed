"""Which numbers a text states, whatever the script and the separators.

Covered: digits of any script, `.` `,` `'` and space as decimal or thousands separators (in
groups of three, and India's of two), and a scale behind the digits ("1.5k", "2 million", "5万").
Not covered: numbers written only in words. In an answer they are too often no amounts at all
("one moment", "the two currencies").

A spelling may be ambiguous: "1.234" is 1234 in Rome and 1.234 in London. So each number is a
list of alternatives, and each alternative is the values that it would state.
"""

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from itertools import product

Alternative = tuple[Decimal, ...]

SCALES = {
    10**2: "hundred cien 百 백 सौ",
    10**3: "k grand thousand tausend mille mila mil duizend tysiące tysięcy tysiąc tys tusen ngàn "
    "nghìn ribu bin тысячи тысяча тысяч тыс тисяч χιλιάδες 千 천 हज़ार हजार ألف آلاف",
    10**4: "万 萬 만",
    10**5: "lakhs lakh 十万 十萬 십만 लाख",
    10**6: "m mn mln mio million millions millionen milione milioni millón millones milhão milhões "
    "miljoen miljoner milion miliony milionów milyon triệu juta миллиона миллионов миллион млн "
    "мільйонів εκατομμύρια 百万 百萬 백만 مليون",
    10**7: "crores crore 千万 千萬 천만 करोड़",
    10**8: "億 亿 억",
    10**9: "b bn billion billions milliarde milliarden milliard milliards miliardi miljard mld "
    "bilhão bilhões миллиарда миллиардов миллиард млрд milyar tỷ مليار",
    10**12: "trillion trillions 兆",
}
SCALE_OF = {word: Decimal(scale) for scale, words in SCALES.items() for word in words.split()}
# Longest first, so that "millions" isn't read as "million" and a rest.
SCALE_WORDS = "|".join(
    re.escape(word) for word in sorted(SCALE_OF, key=len, reverse=True) if word not in "kmb"
)
SCALE = re.compile(
    # A lone letter is a scale only right behind the digits: "5m", but "5 m" is a length.
    rf"(?:(?P<letter>[kmb])|[ -]?(?P<word>{SCALE_WORDS}))"
    # Scripts without spaces write the currency right behind the scale: 5万日元.
    r"(?:(?<=[\u3000-\uffff])|(?![^\W\d_]))",
    re.IGNORECASE,
)
DIGITS = re.compile(r"(?<![\w.])\.\d+|\d+(?:[.,']\d+| \d{3}(?!\d))*")
GROUPED = re.compile(r"\d+|[1-9]\d{0,2}([.,' ])\d{3}(\1\d{3})*|[1-9]\d?(,\d\d)+,\d{3}")
WITH_FRACTION = re.compile(r"(.+)([.,])(\d+)")

# Full-width stop and comma, Arabic decimal and thousands separators, typographic apostrophes.
LOOKALIKES = dict(zip(map(ord, "\uff0e\uff0c\u066b\u066c\u2019\uff07"), ".,.,''", strict=True))
SPACES = dict.fromkeys(map(ord, "\u00a0\u2007\u2009\u202f"), " ")
INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200e\u200f\u2060\u2066\u2067\u2068\u2069"))


@dataclass(frozen=True, slots=True)
class Number:
    """One number as it is written in a text, and what it may mean."""

    text: str
    alternatives: tuple[Alternative, ...]

    @property
    def values(self) -> frozenset[Decimal]:
        """Every value of every reading."""
        return frozenset(value for alternative in self.alternatives for value in alternative)

    def grounded_in(self, allowed: frozenset[Decimal]) -> bool:
        """Whether there is a reading that states allowed values only."""
        return any(allowed.issuperset(alternative) for alternative in self.alternatives)


def plain_digits(text: str) -> str:
    """`text` with ASCII digits, separators and spaces, and without invisible marks."""
    text = text.translate(LOOKALIKES | SPACES | INVISIBLE)
    return "".join(
        character if (digit := unicodedata.decimal(character, None)) is None else str(digit)
        for character in text
    )


def single_values(token: str) -> list[Decimal]:
    """The values that `token` may have as one number; none if it can't be one."""
    if token.startswith("."):  # "$.85"
        return [Decimal(f"0{token}")]
    values = []
    if GROUPED.fullmatch(token):
        values.append(Decimal(re.sub(r"\D", "", token)))
    parts = WITH_FRACTION.fullmatch(token)
    if parts and GROUPED.fullmatch(parts[1]) and parts[2] not in parts[1]:
        values.append(Decimal(re.sub(r"\D", "", parts[1]) + "." + parts[3]))
    return values


def alternatives(token: str) -> tuple[Alternative, ...]:
    """All readings of digits and separators: as one number, and else as several."""
    found: list[Alternative] = [(value,) for value in single_values(token)]
    pieces: list[str] = []
    if " " in token:  # "room 214 250 euros" looks like 214250
        pieces = token.split(" ")
    elif not found:  # 3.5.2026 is a date
        pieces = re.split(r"[.,']", token)
    if pieces:
        found += [sum(parts, ()) for parts in product(*map(alternatives, pieces))]
    return tuple(found)


def numbers(text: str) -> list[Number]:
    """The numbers that `text` states in digits, in their order."""
    text = plain_digits(text)
    found = []
    for token in DIGITS.finditer(text):
        readings = alternatives(token[0])
        scale = SCALE.match(text, token.end())
        if scale:
            factor = SCALE_OF[(scale["letter"] or scale["word"]).lower()]
            readings = tuple((*rest, last * factor) for *rest, last in readings)
        found.append(Number(token[0] + (scale[0] if scale else ""), readings))
    return found
