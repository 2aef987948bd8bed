"""Every spelling of every currency in use: which ISO 4217 codes may a few words stand for?

Names come from Unicode's CLDR (https://cldr.unicode.org, through `babel`), so no table of names
is kept here except for what CLDR lacks. Words are looked up

1. as a whole name, symbol or code, in any order ("dollars US" is "US dollars");
2. as a part of names ("Canadian", "dollars", "CAD $");
3. as such a part with another ending ("долларах" is "долларов", "kanadischen" "kanadischer").

In each step the first language that knows the words decides, English being the first.
"""

import difflib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache, reduce

from babel import Locale
from babel.core import get_global
from babel.numbers import get_currency_name, get_territory_currencies

from function_calling.everyday_names import EVERYDAY_NAMES
from function_calling.words import UNSPACED, script, split_words

LANGUAGES = (
    "en de fr es it pt pt_PT nl pl ru uk cs zh_Hans zh_Hant ja ko tr ar hi bn fa he "
    "sv da nb fi el hu ro bg vi th id sk sl hr lt lv et ca sw ms"
)
"""CLDR's locales whose names are understood, the likelier first, separated by spaces."""

_LONG = 8  # letters of a word that may have an ending of three: "kruunuina"
_MANY = 4  # currencies that share a unit, as pounds and rupees do; "South …" are fewer


@cache
def active_codes() -> frozenset[str]:
    """ISO 4217 codes of what is legal tender somewhere today, by CLDR: no metals, no funds."""
    today = date.today()
    territories = get_global("territory_currencies")
    return frozenset(
        code for one in territories for code in get_territory_currencies(one, today, today)
    )


def codes_named(words: list[str], steps: int = 3) -> set[str]:
    """The codes that these words may stand for, by the first `steps` of the three above.

    A code that is not active says that the words name something else, such as gold (XAU).
    """
    for look in (_Language.whole, _Language.part, _Language.inflected)[:steps]:
        for language in LANGUAGES.split():
            if codes := look(_language(language), words):
                return codes
    return set()


@lru_cache(maxsize=8192)
def codes_of_name(name: str, *, steps: int = 3) -> frozenset[str]:
    """`codes_named` of a word, or of a few with spaces between; for texts with many words."""
    return frozenset(codes_named(name.split(), steps))


def codes_near(words: list[str]) -> list[str]:
    """Up to three codes with names that look like these words, the nearest first."""
    names: dict[str, set[str]] = {}
    for language in reversed(LANGUAGES.split()):
        names |= _language(language).names
    found: dict[str, None] = {}
    for name in difflib.get_close_matches(_key(words), names, n=12, cutoff=0.7):
        found |= dict.fromkeys(sorted(names[name] & active_codes()))
    return list(found)[:3]


@lru_cache(maxsize=8192)
def is_unit(word: str) -> bool:
    """Whether some language counts money in this word: in dollars, not in Canadian ones."""
    return any(_language(name).has_unit(word) for name in LANGUAGES.split())


@cache
def units() -> frozenset[str]:
    """The words that `is_unit` is true of, in the endings that CLDR has."""
    return frozenset[str]().union(*(_language(name).units for name in LANGUAGES.split()))


@dataclass(frozen=True, slots=True)
class _Language:
    """One language's spellings, each with the codes it may stand for, and the units in them."""

    names: dict[str, set[str]]
    words: dict[str, set[str]]
    units: frozenset[str]

    def whole(self, words: list[str]) -> set[str]:
        return self.names.get(_key(words), set())

    def part(self, words: list[str]) -> set[str]:
        return _common(self.words.get(word, set()) for word in words)

    def inflected(self, words: list[str]) -> set[str]:
        return _common(self.words.get(word) or self._other_endings(word) for word in words)

    def has_unit(self, word: str) -> bool:
        return word in self.units or any(each in self.units for each in self._alike(word))

    def _other_endings(self, word: str) -> set[str]:
        return set[str]().union(*(self.words[each] for each in self._alike(word)))

    def _alike(self, word: str) -> list[str]:
        """The words that differ from `word` in the last two letters at most, long ones in three."""
        # Short words in Latin letters mean too many other things; Russian has short units ("юани").
        shortest = 5 if word.isascii() else 3
        for stem in (word[:-1], word[:-2], word[:-3] if len(word) > _LONG else ""):
            # An ISO code has no endings: USDT is not USD.
            if len(stem) < shortest or stem.upper() in active_codes():
                continue
            longest = len(stem) + 2
            alike = [k for k in self.words if k.startswith(stem) and len(k) <= longest]
            if alike:
                return alike
        return []


@cache
def _language(name: str) -> _Language:
    """The spellings of one of `LANGUAGES`, built when asked first: all take half a second."""
    locale = Locale.parse(name)
    names: dict[str, set[str]] = defaultdict(set)
    words: dict[str, set[str]] = defaultdict(set)
    ends: dict[str, set[str]] = defaultdict(set)
    spelled: list[list[str]] = []
    # One number for each plural that the language has, and None for the name as a title.
    counts = [None, *{locale.plural_form(count): count for count in (1, 2, 5, 1.5)}.values()]
    for code in active_codes():
        for spelling in _spellings(code, locale, counts):
            parts = split_words(spelling)
            spelled.append(parts)
            names[_key(parts)].add(code)
            names["".join(parts)].add(code)
            if "$" in parts:  # the letters of "C$" are no words
                continue
            for word in (code.casefold(), *parts):
                words[word].add(code)
                for end in _ends(word):
                    ends[end].add(code)
    # An end of one name alone is no unit: 牙买加元 does not make 加元 Jamaican. And a word of one
    # currency alone stays its own: ランド (ZAR) is also the end of アイスランド.
    for end, codes in ends.items():
        if len(codes) > 1 and len(words.get(end, ())) != 1:
            words[end] |= codes
    # "Canadian $" and "CAD $" are dollars.
    words["$"] |= words["dollar"]
    unused = _unused_names(locale) if locale.language == "en" else {}
    return _Language(unused | names, dict(words), _units(spelled, words))


def _units(spelled: list[list[str]], words: dict[str, set[str]]) -> frozenset[str]:
    """What is counted in each name: its first or its last word, as in most of the language.

    The other one is where many names have it ("доллар США", where most have an adjective first).
    """
    ends = [(each[0], each[-1]) for each in spelled]
    many = [tuple(len(words.get(word, ())) > _MANY for word in each) for each in ends]
    usual = many.count((True, False)) < many.count((False, True))
    return frozenset(
        each[usual if often[0] == often[1] else often[1]]
        for each, often in zip(ends, many, strict=True)
    )


def _unused_names(locale: Locale) -> dict[str, set[str]]:
    """Codes and names of old currencies, metals and the like: "gold" must not be Zimbabwe's."""
    unused = set(locale.currencies) - active_codes()
    return {
        _key(split_words(text)): {code}
        for code in unused
        for text in (code, locale.currencies[code])
    }


def _spellings(code: str, locale: Locale, counts: Iterable[float | None]) -> set[str]:
    found = {get_currency_name(code, count=count, locale=locale) for count in counts}
    found |= {code, locale.currency_symbols.get(code, code)}
    if locale.language == "en":
        found.update(EVERYDAY_NAMES.get(code, code).split(", "))
    return found


def _key(words: list[str]) -> str:
    return " ".join(sorted(words))


def _ends(word: str) -> set[str]:
    if script(word) not in UNSPACED:
        return set()
    shortest = 3 if script(word) == "THAI" else 2
    beginnings = {word[:i] for i in range(shortest, len(word) + 1)}
    return beginnings | {word[i:] for i in range(len(word) - shortest + 1)}


def _common(sets: Iterable[set[str]]) -> set[str]:
    return reduce(set.intersection, list(sets) or [set()])
