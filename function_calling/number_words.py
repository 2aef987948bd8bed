"""Numbers written out in words, in CLDR's languages as far as `num2words` knows them."""

from decimal import Decimal
from functools import cache, lru_cache

from num2words import CONVERTER_CLASSES, num2words

from function_calling.currency_names import LANGUAGES
from function_calling.words import split_words

_LANGUAGES = sorted({name.split("_")[0] for name in LANGUAGES.split()} & set(CONVERTER_CLASSES))
_LARGEST = 10**9

QUANTITIES = frozenset(
    "dozen half quarter grand couple lakh lakhs crore crores halb demi medio mezzo".split()  # noqa: SIM905
)
"""Words of everyday speech that count as well, and that CLDR does not spell."""


@cache
def number_words() -> frozenset[str]:
    """The words that numbers are made of."""
    values = [*range(2, 21), *range(30, 100, 10), 100, 1000, 1_000_000, _LARGEST]
    written = (words for value in values for words in spellings(Decimal(value)))
    return frozenset(word for words in written for word in words if len(word) > 2)


@lru_cache
def spellings(amount: Decimal) -> tuple[frozenset[str], ...]:
    """The words of a whole number, for each language; none for other numbers."""
    if amount != amount.to_integral_value() or not 0 <= amount <= _LARGEST:
        return ()
    return tuple(
        frozenset(split_words(num2words(int(amount), lang=language))) for language in _LANGUAGES
    )
