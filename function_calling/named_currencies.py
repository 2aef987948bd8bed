"""Which currencies do the words of a text name, and where does a name begin and end?

More is named than is meant: words stand inside other words, and between the names of two
currencies stand words that are part of a third one's ("dollars et", "Trinité-et-Tobago").
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache

from babel import Locale
from babel.numbers import get_currency_name

from function_calling.currencies import CHIEFS
from function_calling.currency_names import active_codes, codes_of_name, is_unit, units
from function_calling.number_words import QUANTITIES, number_words
from function_calling.words import UNSPACED, script, split_words

Codes = frozenset[str]

_SHORTEST_UNIT = 4  # letters: "som" and "lev" are words of other languages

# Where a currency's name may be the inside of a word, and how many characters it has at most.
AFFIXED = {*UNSPACED, "HANGUL", "ARABIC", "HEBREW"}
_LONGEST_INSIDE, _LONGEST_NAME = 6, 4  # characters, words
# With these no name begins or ends, though some hold them.
_CONNECTING = frozenset("an and da de del des di du e en et i ja og si und y".split())  # noqa: SIM905
_ELSEWHERE = (
    "font bang real reala realise realite reality realiza realize realizo mark frank punta "
    "puntata juan jen kina von svarar svarade svarare вони вона liber libera liberal libere "
    "liberec liberi libero liberta liberte library france franca frances francez franceza "
    "francia francie francii francja francji francois 프랑스 европа европе европу европы європа "
    "європи європі ευρωπη"
)
"""Words that name no money, but beside a number may: French verbs, countries, the real thing."""

_ORDINARY = "all bob cop cup gel ils mad mur nad nio pen ron sol sos top try"
"""Words that are codes as well, which are written in capitals."""

_SHORT_WORD = re.compile(
    r"(?P<meant>\b(?:in|into|to)\s[^\W\d_]{3}\s*(?:[?!.,;]|$))|"
    r"\b(?:I|we|you|he|she|they|who|just|ha[sd]|have|'ve)\swon\b|手元|地元|元気|"
    r"(?<!\w)(?<!\d\s)(?P<word>[^\W\d_]{3})(?!\w)",
    re.IGNORECASE,
)
# What Korean puts behind a noun, as behind 원 and 엔, which are short enough to be in any word.
_PARTICLES = frozenset(
    ["", *"을은이의만도과에", "으로", "에서", "이면", "이나", "이랑", "인가요", "인지", "입니까"]
)
_ENDINGS = ("", "ا")  # of Arabic nouns


def possible(word: str) -> set[str]:
    """Every currency that the word may name, whatever its ending, or where words stand together."""
    codes = set(codes_of_name(word))
    for end in range(_SHORTEST_UNIT, len(word)):
        codes |= codes_of_name(word[:end], steps=2) if word[:end] in units() else set()
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
            if codes and (length > 1 or name[0] not in _elsewhere()):
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
    if not any(is_unit(word) for word in words):
        return Codes()
    codes = codes_of_name(name, steps=2 if script(name) in AFFIXED or len(name) < 6 else 3)
    return codes if not alone or codes & CHIEFS or name in _english_units() else Codes()


@cache
def _english_units() -> frozenset[str]:
    """The words that currencies are counted in, without whose they are: "baht", "zlotys"."""
    names = (get_currency_name(code, n, locale="en") for code in active_codes() for n in (1, 2))
    words = {split_words(name)[-1] for name in names}
    return frozenset(word for word in words if len(word) >= _SHORTEST_UNIT)


def multiplies(behind: str) -> bool:
    """Whether what stands right behind a number may multiply it, as in "5 tusen" and "5千"."""
    first = next(iter(split_words(behind)), "")
    return bool(first) and (_scales(first, near=True) or unicodedata.numeric(first[0], 0) > 0)


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
            if codes and _stands_inside(name, word[:place], word[place + length :]):
                yield codes
                break
        else:
            length = 1
        place += length


def _stands_inside(name: str, before: str, behind: str) -> bool:
    """Whether a part of a word is a name, with these parts of the word around it."""
    kind = script(name)
    if kind in UNSPACED:
        return len(name) > 1 or kind == "CJK"
    if kind != "HANGUL":  # what is put before a noun has many forms: "باليورو"
        return is_unit(name) and len(name) > 2 and behind in _ENDINGS
    return is_unit(name) and (len(name) > 1 or (not before and behind in _PARTICLES))


@cache
def _elsewhere() -> frozenset[str]:
    return frozenset(_ELSEWHERE.split())


def without_ordinary_words(text: str) -> str:
    """The text without words that are codes by chance: "all" is no lek, and who has won no won."""
    return _SHORT_WORD.sub(lambda found: found[0] if _may_be_code(found) else " ", text)


def _may_be_code(found: re.Match[str]) -> bool:
    """Whether a short word stays: in capitals, where a target is expected, or where it is none."""
    word = found["word"]
    if word is None:
        return found["meant"] is not None
    return word.isupper() or _ordinary().isdisjoint(split_words(word))


@cache
def _ordinary() -> frozenset[str]:
    codes = set(Locale("en").currencies) - active_codes()
    return frozenset((*_ORDINARY.split(), *(code.casefold() for code in codes)))


def chief(codes: Codes) -> str:
    """The likeliest of the codes that a name may stand for."""
    return min(codes, key=lambda code: (code not in CHIEFS, code))


def is_settled(codes: Codes) -> bool:
    """Whether a name stands for one currency: of "krone" it isn't said which."""
    return len(codes) == 1 or len(codes & CHIEFS) == 1
