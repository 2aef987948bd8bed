"""What a model writes for a currency ("C$", "loonies", "канадских долларов", "cad"), as a currency.

Names come from Unicode's CLDR (https://cldr.unicode.org, through `babel`), in every locale that
it has; the locale of our answers comes first and is most often enough. Nothing is guessed that the
names don't settle: an error costs a model one more call, a wrong currency somebody's money.
"""

import difflib
import pickle
import unicodedata
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache, lru_cache
from typing import NamedTuple

from babel import localedata
from babel.core import get_global
from babel.numbers import get_currency_name, get_territory_currencies

from function_calling.errors import ToolError

ANSWERS = "en"  # the CLDR locale of our answers
NO_CURRENCY = "XXX"  # what ISO 4217 has for an unknown currency, or none

CHIEFS = frozenset({"USD", "GBP", "CHF", "INR", "KRW", "RUB"})
"""Whom people everywhere mean by a unit that several currencies share: dollar, pound, franc.

No currency has that place among the pesos, crowns or dinars, so these names alone are an error.
"""

EVERYDAY_NAMES = {
    "AUD": "Aussie dollars, Aussie dollar, 澳元",
    "CAD": "loonies, loonie, C$, CAN$, 加元",
    "CHF": "SFr, Fr",
    "CNY": "RMB, 元, 块, 人民元",
    "CZK": "Czech crowns",
    "DKK": "Danish crowns",
    "GBP": "quid, UK pounds, pounds sterling, pound sterling",
    "HKD": "港币",
    "INR": "Rs",
    "JPY": "日币",
    "KRW": "韩币",
    "NOK": "Norwegian crowns",
    "NZD": "纽元",
    "SEK": "Swedish crowns",
    "SGD": "S$, 新元",
    "TRY": "TL",
    "TWD": "台币",
    "USD": "bucks, buck, greenbacks, American dollars, American dollar, United States dollars",
}
"""What people write and CLDR lacks, for each ISO 4217 code, separated by commas."""


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency; `code` is its ISO 4217 code."""

    code: str

    def units(self, amount: Decimal | None = None) -> str:
        """The name in a sentence: "US dollar" for an amount of 1, else "US dollars"."""
        return str(get_currency_name(self.code, count=amount or 0, locale=ANSWERS))

    def __str__(self) -> str:
        return f"{self.units(Decimal(1))} ({self.code})"


def find_currency(text: str, on: date | None = None, *, also: Container[str] = ()) -> Currency:
    """The currency that `text` names: an ISO 4217 code, a symbol, or a name in any locale.

    Case, accents, punctuation, digits and the order of words don't matter, and a part of a name
    will do where it is enough ("Canadian").

    Args:
        on: The day on which it must have been legal tender somewhere; None means today.
        also: Codes that will do although they are no tender, such as those with a known rate.

    Raises:
        ToolError: No currency is called so, several are, or none that was money on that day.
    """
    tender = _tender(on or date.today())
    named = known = frozenset[str]()
    for codes in _readings(text):
        named = named or codes
        if known := frozenset(code for code in codes if code in tender or code in also):
            break
    chosen = known if len(known) == 1 else known & CHIEFS
    if len(chosen) == 1:
        return Currency(*chosen)
    if known:
        raise ToolError(
            f"{text[:80]!r} may be {_either(sorted(known))}.",
            advice="Give the ISO 4217 code of the one that is meant.",
        )
    if named:
        when = f"was not money on {on}" if on else "is not money today"
        told = f"T{_either(sorted(named))[1:]} {when}."
        raise ToolError(told, advice="Give the ISO 4217 code of one that is.")
    near = [code for code in _near(text) if code in tender or code in also]
    guess = f" Did you mean {_either(near)}?" if near else ""
    told = f"I don't know a currency called {text[:80]!r}.{guess}"
    raise ToolError(told, advice="Give an ISO 4217 code.")


def _either(codes: Iterable[str]) -> str:
    *others, last = (f"the {Currency(code)}" for code in codes)
    return f"{', '.join(others)} or {last}" if others else last


@lru_cache(maxsize=64)
def _tender(day: date) -> frozenset[str]:
    """ISO 4217 codes of what was legal tender somewhere on a day: no metals, no funds."""
    tender = (get_territory_currencies(e, day, day) for e in get_global("territory_currencies"))
    return frozenset().union(*tender)


class _Names(NamedTuple):
    """The codes that each name and each word of a name may stand for."""

    whole: dict[str, frozenset[str]]
    words: dict[str, frozenset[str]]


def _readings(text: str) -> Iterator[frozenset[str]]:
    """The codes that `text` may stand for, in use or not, the likeliest reading first.

    A whole name stands for nothing else; the locale of our answers goes before all others.
    """
    words = _words(text)
    for names in (_answers_names, _all_names):
        if codes := names().whole.get(_key(words)):
            yield codes
            return
        if codes := _named_in_part(words, names().words):
            yield codes


def _named_in_part(words: list[str], index: dict[str, frozenset[str]]) -> frozenset[str]:
    """The codes that have all these words, if not in one name."""
    key = _key(words)
    if key.isascii() and len(key) < 3:
        return frozenset()  # nothing, "of", or the letter of a symbol, as in C$
    codes = frozenset.intersection(*(index.get(word, frozenset()) for word in words))
    if len(codes) == 1 or len(words) > 1 or not _is_caseless(words):
        return codes
    return frozenset().union(
        *(index[each] for each in index if each.startswith(key) or each.endswith(key))
    )


def _near(text: str) -> list[str]:
    """Up to three codes with names that look like `text`; other codes are no typing errors."""
    key, names = _key(_words(text)), _all_names().whole
    # Of the letters the first is the last to be mistaken; to look at all names takes half a second.
    alike = [name for name in names if name[:1] == key[:1] and len(name) > 3]
    near = difflib.get_close_matches(key, alike, n=3, cutoff=0.8)
    return list(dict.fromkeys(code for each in near for code in sorted(names[each])))[:3]


@cache
def _answers_names() -> _Names:
    """The codes, and the names in the locale of our answers: all that most calls need."""
    everyday = {(c, name) for c, names in EVERYDAY_NAMES.items() for name in names.split(", ")}
    return _index(_spellings("root") | _spellings(ANSWERS) | everyday)


@cache
def _all_names() -> _Names:
    """The names in all of CLDR's locales; a second's work, done when first wanted."""
    return _index(each for locale in localedata.locale_identifiers() for each in _spellings(locale))


def _spellings(locale: str) -> set[tuple[str, str]]:
    """Each code that a locale has a name for, with its names and symbols there.

    The file is read here, since babel keeps all that it has loaded: 140 MB for all locales.
    """
    with open(localedata.resolve_locale_filename(locale), "rb") as file:
        data = pickle.load(file)
    named = [data.get("currency_names", {})]
    if not locale.rpartition("_")[2].isupper():  # a territory writes "$" for its own currency
        named.append(data.get("currency_symbols", {}))
    plurals = data.get("currency_names_plural", {}).items()
    found = [(code, name) for code, names in plurals for name in names.values()]
    found += [each for names in named for each in names.items()]
    return {(code, name) for code, name in found if code != NO_CURRENCY}


def _index(spellings: Iterable[tuple[str, str]]) -> _Names:
    whole: dict[str, set[str]] = defaultdict(set)
    parts: dict[str, set[str]] = defaultdict(set)
    for code, text in spellings:
        words = _words(text)
        for name in (_key(words), "".join(words), code.casefold()):
            whole[name].add(code)
        for word in (*words, code.casefold()):
            parts[word].add(code)
    whole.pop("", None)
    return _Names(*({key: frozenset(each[key]) for key in each} for each in (whole, parts)))


def _words(text: str) -> list[str]:
    """The words and currency signs of `text`, without case, accents, digits and punctuation."""
    apart = unicodedata.normalize("NFKD", text.replace(".", "")).casefold()
    return unicodedata.normalize("NFC", "".join(map(_plain, apart))).split()


@cache
def _plain(char: str) -> str:
    """What counts of a character; asked once for each, as the index is large."""
    if unicodedata.combining(char):
        return ""
    kind = unicodedata.category(char)
    return char if kind[0] in "LM" else f" {char} " if kind == "Sc" else " "


def _key(words: list[str]) -> str:
    """The words in one, and in an order of their own where a script is strict about spaces."""
    return "".join(words if _is_caseless(words) else sorted(words))


def _is_caseless(words: list[str]) -> bool:
    """Whether the script has no small letters; most of these put a space or none as they like."""
    return bool(words) and unicodedata.category(words[0][0]) == "Lo"
