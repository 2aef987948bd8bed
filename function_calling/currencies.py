"""What people and models write for a currency ("C$", "loonies", "加元", "cad"), as a currency.

Nothing is guessed that the names don't settle: an error that offers the right currency costs a
model one more call, a wrong currency costs somebody money.
"""

from dataclasses import dataclass
from decimal import Decimal

from babel.numbers import get_currency_name

from function_calling.currency_names import active_codes, codes_named, codes_near
from function_calling.errors import ToolError
from function_calling.words import split_words

CHIEFS = {
    "USD",
    "EUR",
    "GBP",
    "JPY",
    "CNY",
    "INR",
    "CHF",
    "KRW",
    "RUB",
    "MXN",
    "BRL",
    "SEK",
    "NOK",
    "DKK",
}
"""Who is meant by a bare unit that many countries use, such as dollar, pound, franc or peso.

Only one chief among the candidates settles it: of "krone" (NOK, DKK) there are two, an error.
"""

SUBUNITS = {
    "cent",
    "cents",
    "¢",
    "penny",
    "pence",
    "pennies",
    "centavo",
    "centavos",
    "kopeck",
    "kopecks",
    "美分",
}
"""Words for a hundredth; CLDR has none of them. Amounts are in main units."""


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency that is legal tender somewhere today; `code` is its ISO 4217 code."""

    code: str

    @property
    def name(self) -> str:
        """The English name as a title, such as "US Dollar"."""
        return str(get_currency_name(self.code, locale="en"))

    def units(self, amount: Decimal | None = None) -> str:
        """The English name in a sentence: "US dollar" for an amount of 1, else "US dollars"."""
        return str(get_currency_name(self.code, count=0 if amount is None else amount, locale="en"))


def find_currency(text: str) -> Currency:
    """The currency that `text` names: an ISO 4217 code, a symbol, or a name in many languages.

    Case, accents, punctuation, digits and the order of words don't matter.

    Raises:
        ToolError: No currency in use is called so, or several are; the text offers near ones.
    """
    words = split_words(text)
    if SUBUNITS.intersection(words):
        raise ToolError(
            f"{text!r} is a part of a currency: give the ISO 4217 code of the currency and the "
            "amount in its main unit, e.g. 0.99 USD for 99 cents."
        )
    codes = codes_named(words)
    if not codes <= active_codes():
        raise ToolError(
            f"{text!r} ({', '.join(codes)}) is no currency in use today. Give the ISO 4217 code "
            "of one that is."
        )
    chiefs = codes & CHIEFS
    if len(codes) == 1 or len(chiefs) == 1:
        return Currency(*(chiefs or codes))
    if codes:
        ranked = sorted(codes, key=lambda code: (code not in CHIEFS, code))
        raise ToolError(
            f"{text!r} names several currencies: {_offer(ranked[:4])}. Give an ISO 4217 code."
        )
    near = codes_near(words)
    guess = f": did you mean {_offer(near)}?" if near else "."
    raise ToolError(f"Unknown currency {text!r}{guess} Give an ISO 4217 code, such as USD.")


def _offer(codes: list[str]) -> str:
    return ", ".join(f"{code} ({Currency(code).name})" for code in codes)
