"""Days in running text, where day, month and year are all written.

    2024-01-02   2024/1/2   2024年1月2日   2 January 2024   Jan 2nd, 2024   2 de enero de 2024
    2.1.2024     1/2/2024

In the last form either number may be the month, so a day as written is a set of days.
"""

import re
from collections.abc import Iterator
from datetime import date
from functools import cache

from babel.dates import get_month_names

from function_calling.currency_names import LANGUAGES

Days = frozenset[date]

_DAY = re.compile(
    r"""(?<!\d)(?:
        (?P<year>\d{4})\s?[-/.年년]\s?(?P<month>\d{1,2})\s?[-/.月월]\s?(?P<day>\d{1,2})\s?[日号號일]?
      | (?P<first>\d{1,2})(?P<mark>[-/.])(?P<second>\d{1,2})(?P=mark)(?P<year2>\d{4})
      | (?P<day3>\d{1,2})(?:st|nd|rd|th|er|[.ºª])?\s(?:of\s|de\s)?(?P<name3>[^\W\d]+)\.?,?\s
        (?:de\s)?(?P<year3>\d{4})
      | (?P<name4>\b[^\W\d]+)\.?\s(?P<day4>\d{1,2})(?:st|nd|rd|th)?,?\s(?P<year4>\d{4})
    )(?!\d)""",
    re.VERBOSE | re.IGNORECASE,
)


def days(text: str) -> list[Days]:
    """The days that the text names, in order, each as what it may stand for."""
    return [meant for _, meant in _found(text)]


def without_days(text: str) -> str:
    """The text less the days it names, so that their numbers pass for nothing else."""
    for match, _ in reversed(list(_found(text))):
        text = f"{text[: match.start()]},{text[match.end() :]}"
    return text


def _found(text: str) -> Iterator[tuple[re.Match[str], Days]]:
    for match in _DAY.finditer(text):
        if meant := frozenset(_meant(match)):
            yield match, meant


def _meant(match: re.Match[str]) -> Iterator[date]:
    """The days that the parts make; none where they make none, as in 2024-13-45."""
    if match["year"]:
        parts = [(match["year"], match["month"], match["day"])]
    elif match["year2"]:
        parts = [(match["year2"], match["second"], match["first"])]
        if match["mark"] != ".":
            parts.append((match["year2"], match["first"], match["second"]))
    else:
        name = (match["name3"] or match["name4"]).casefold()
        year, day = match["year3"] or match["year4"], match["day3"] or match["day4"]
        parts = [(year, str(_months().get(name, 0)), day)]
    for part in parts:
        try:
            yield date(*map(int, part))
        except ValueError:
            continue


@cache
def _months() -> dict[str, int]:
    """The names of the months and their short forms, in CLDR's languages; no two disagree."""
    return {
        name.casefold().rstrip("."): number
        for language in LANGUAGES.split()
        for width in ("wide", "abbreviated")
        for context in ("format", "stand-alone")
        for number, name in get_month_names(width, context, language).items()
    }
