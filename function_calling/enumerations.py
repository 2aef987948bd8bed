"""Amounts that stand in a row: "5, 10 and 20 dollars", "19 pounds in euros? and 29? and 39?"."""

import re
from collections.abc import Sequence

from function_calling.named_currencies import Codes

_AND = r"(?<!\w)(?:and|n|or|then|und|oder|et|ou|y|o|e|och|og|en|i|и)|[和或跟与與と&+]"
_JOINED = re.compile(rf"(?:[,;]|\n\s*[-*•]|{_AND})\s?(?:an?\s)?$", re.IGNORECASE)
_BY_AND = re.compile(rf"\s*,?\s*(?:{_AND})\s*", re.IGNORECASE)
_BY_ANY = re.compile(rf"{_BY_AND.pattern}|\s*[,、]\s*", re.IGNORECASE)
_EACH = re.compile(
    r"\b(?:(?<!after )(?<!at )all(?! along| right)|both|each|every|them|these|those|respectively|"
    r"total|alle|beide[sn]?|jeweils|tous|toutes|chacun|todos|todas|ambos|cada|tutti|ciascuno|"
    r"оба|обе|все|каждый)\b|都|各|分别|全部|それぞれ|각각|모두",
    re.IGNORECASE,
)
_LONGEST_JOINT = 20  # characters that are looked at
_ENDS = re.compile(r"\s*(?:[?!.,;]|$)")


def is_joined(text: str, begins: int) -> bool:
    """Whether what begins there is joined to what stands before it, by "and" or a comma."""
    return bool(_JOINED.search(text[max(0, begins - _LONGEST_JOINT) : begins]))


def asks_for_each(text: str) -> bool:
    """Whether a word like "each" or "both" says that no amount is told only."""
    return bool(_EACH.search(text))


def shared_units(
    text: str, places: Sequence[tuple[int, int]], units: Sequence[Codes]
) -> list[Codes]:
    """The currencies beside amounts, where one without any shares that of its neighbour.

    Args:
        text: What the amounts are in.
        places: Where each begins and ends, with a currency that stands before it.
        units: The currency beside each; empty for none.
    """
    shared = list(units)
    for at in reversed(range(len(places) - 1)):
        between = text[places[at][1] : places[at + 1][0]]
        # "In 2019, 70 dollars were enough": a comma joins only what "and" joins further on.
        joined = (_BY_AND if units[at + 1] else _BY_ANY).fullmatch(between)
        if joined and not units[at]:
            shared[at] = shared[at + 1]
    for at, (begins, ends) in enumerate(places[1:], start=1):
        if not shared[at] and is_joined(text, begins) and _ENDS.match(text, ends):
            shared[at] = shared[at - 1]
    return shared
