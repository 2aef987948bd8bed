"""Which currencies do the words of a text name, and where does a name begin and end?

More is named than is meant: words stand inside other words, and between the names of two
currencies stand words that are part of a third one's ("dollars et", "Trinité-et-Tobago").
"""

from collections.abc import Iterator
from functools import cache

from babel.numbers import get_currency_name

from function_calling.currencies import CHIEFS
from function_calling.currency_names import (
    UNSPACED,
    active_codes,
    codes_of_name,
    script,
    split_words,
)
from function_calling.number_words import QUANTITIES, number_words

Codes = frozenset[str]

# Where a currency's name may be the inside of a word, and how many characters it has at most.
AFFIXED = {*UNSPACED, "HANGUL", "ARABIC", "HEBREW"}
_LONGEST_INSIDE, _LONGEST_NAME = 6, 4  # characters, words
# With these no name begins or ends, though some hold them.
_CONNECTING = frozenset("an and da de del des di du e en et i ja og si und y".split())  # noqa: SIM905
# Pounds in Hungarian and a verb in French, pounds and "equals" in Vietnamese, the real thing, and
# a country that is spelled like francs with another ending.
_OTHER_WORDS = {"font", "bang", "real", "france"}
# What Korean puts behind a noun, as behind 원 and 엔, which are short enough to be in any word.
_PARTICLES = frozenset(
    ["", *"을은이의만도과에", "으로", "에서", "이면", "이나", "이랑", "인가요", "인지", "입니까"]
)
_SHORTEST_UNIT = 4  # letters: "som" and "lev" are words of other languages


def possible(word: str) -> set[str]:
    """Every currency that the word, or where words aren't set apart some part of it, may name."""
    codes = set(codes_of_name(word))
    if script(word) in AFFIXED:
        for start in range(len(word)):
            for end in range(start + 1, min(len(word), start + _LONGEST_INSIDE) + 1):
                codes |= codes_of_name(word[start:end], steps=2)
    return codes


def unit(words: list[str], *, near: bool = False) -> Codes:
    """The currency that is named right here, perhaps behind a word like "k" or "million".

    Args:
        words: What follows a number.
        near: Not behind other short words, which may be "to" or "in".
    """
    for skipped in words[:1] and ([], words[:1]):
        if all(_scales(word, near=near) for word in skipped):
            following = words[len(skipped) :]
            for length in range(min(_LONGEST_NAME, len(following)), 0, -1):
                if codes := _codes(following[:length]):
                    return codes
            if following and script(following[0]) in AFFIXED:
                return next(_named_inside(following[0]), Codes())
    return Codes()


def named(words: list[str]) -> Iterator[Codes]:
    """The currencies that the words name, the longest names first."""
    place = 0
    while place < len(words):
        for length in range(min(_LONGEST_NAME, len(words) - place), 0, -1):
            name = words[place : place + length]
            codes = _codes(name)
            if codes and (length > 1 or name[0] not in _OTHER_WORDS):
                yield codes
                break
        else:
            length = 1
            if script(words[place]) in AFFIXED:
                yield from _named_inside(words[place])
        place += length


def _codes(words: list[str]) -> Codes:
    """What a name stands for; a word alone must be all of a name, or a unit."""
    name, alone = " ".join(words), len(words) == 1
    if alone and name.isascii() and name.isalpha() and len(name) < 3:
        return Codes()
    if not alone and not _CONNECTING.isdisjoint((words[0], words[-1])):
        return Codes()
    if whole := codes_of_name(name, steps=1):
        return whole
    codes = codes_of_name(name, steps=2 if script(name) in AFFIXED or len(name) < 6 else 3)
    return codes if not alone or codes & CHIEFS or name in _units() else Codes()


@cache
def _units() -> frozenset[str]:
    """The words that currencies are counted in, without whose they are: "baht", "zlotys"."""
    names = (get_currency_name(code, n, locale="en") for code in active_codes() for n in (1, 2))
    words = {split_words(name)[-1] for name in names}
    return frozenset(word for word in words if len(word) >= _SHORTEST_UNIT)


def _scales(word: str, *, near: bool) -> bool:
    """Whether the word may stand between a number and its unit."""
    short = word in ("k", "m", "b", "bn", "mn") if near else len(word) < 3
    return short or word in number_words() or word in QUANTITIES


def _named_inside(word: str) -> Iterator[Codes]:
    place = 0
    while place < len(word):
        for length in range(min(_LONGEST_INSIDE, len(word) - place), 0, -1):
            name = word[place : place + length]
            codes = codes_of_name(name, steps=2)
            alone = place == 0 and word[length:] in _PARTICLES
            if codes and (length > 1 or script(name) == "CJK" or alone):
                yield codes
                break
        else:
            length = 1
        place += length


def chief(codes: Codes) -> str:
    """The likeliest of the codes that a name may stand for."""
    return min(codes, key=lambda code: (code not in CHIEFS, code))
