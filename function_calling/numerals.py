"""Numbers in running text, whatever the separators and digits they are written with.

    1,234.56   1.234,56   1 234,56   1'234.56   12,34,567.89
    １,２３４   ١٬٢٣٤   132万   1.5 million

What is not covered: signs (a hyphen before a digit is mostly a dash), numbers in words, and
numbers put together of several, such as 3万5000.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

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


# Space, no-break, figure, thin and narrow no-break space, as typographers group digits.
_SPACES = " \u00a0\u2007\u2009\u202f"
_SAME = str.maketrans("，．＇’ʼ" + _SPACES, ",.'''" + " " * len(_SPACES))

_POWERS = {
    "thousand": 3,
    **dict.fromkeys(("万", "萬", "만"), 4),
    **dict.fromkeys(("百万", "百萬", "million"), 6),
    **dict.fromkeys(("千万", "千萬"), 7),
    **dict.fromkeys(("亿", "億", "억"), 8),
    "billion": 9,
    "trillion": 12,
}
"""Words right behind a number that multiply it, as powers of ten."""

_NUMBER = re.compile(
    r"(?P<digits>[1-9]\d{0,2}(?: \d{3})+(?:[.,٫]\d+)?(?![.,'٬٫]?\d)|\d+(?:[.,'٬٫]\d+)*)"
    r"(?:\s?(?P<scale>(?:thousand|million|billion|trillion)\b|[百千]?[万萬]|[亿億만억]))?",
    re.IGNORECASE,
)
_GROUPED = re.compile(r"[1-9]\d{0,2}([.,'٬ ])\d{3}(?:\1\d{3})*(?:(?!\1)[.,٫](?P<fraction>\d+))?")
_INDIAN = re.compile(r"[1-9]\d?(?:,\d{2})+,\d{3}(?:\.(?P<fraction>\d+))?")
_PLAIN = re.compile(r"\d+(?:[.,٫](?P<fraction>\d+))?")


def numbers(text: str) -> list[Number]:
    """The numbers in `text`, in order; no sign is read, so none is negative."""
    plain = "".join(map(_ascii_digit, text)).translate(_SAME)
    found = []
    for match in _NUMBER.finditer(plain):
        readings: Iterable[Reading] = _readings(match["digits"])
        if match["scale"]:
            power = _POWERS[match["scale"].lower()]
            readings = (tuple(_scaled(value, power) for value in each) for each in readings)
        found.append(Number(text[match.start() : match.end()], tuple(readings)))
    return found


def _ascii_digit(character: str) -> str:
    """Any script's decimal digit as 0-9, one character for one, so that places stay."""
    value = unicodedata.decimal(character, None)
    return character if value is None else str(value)


def _readings(digits: str) -> list[Reading]:
    """What digits with separators may mean."""
    whole: dict[Reading, None] = {}
    for pattern in (_GROUPED, _INDIAN, _PLAIN):
        if match := pattern.fullmatch(digits):
            whole[(_value(digits, match["fraction"]),)] = None
    if " " in digits:
        *first, last = digits.split(" ")
        beside = tuple(Decimal(part) for part in first)
        return [*whole, *(beside + reading for reading in _readings(last))]
    # Neither grouped nor a fraction: a date, an address, a list without spaces.
    return list(whole) or [tuple(Decimal(part) for part in re.split(r"\D", digits))]


def _value(digits: str, fraction: str | None) -> Decimal:
    end = len(digits) - len(fraction) - 1 if fraction else len(digits)
    return Decimal(re.sub(r"\D", "", digits[:end]) + (f".{fraction}" if fraction else ""))


def _scaled(value: Decimal, power: int) -> Decimal:
    # Multiplied, the value would be rounded to the precision of Decimal's context.
    return Decimal(f"{value:f}e{power}")
