"""Rates of exchange, where they come from, and an amount of money converted at one of them.

A source is a class with the method of `Rates`, handed to `CurrencyTools`.
"""

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Protocol

from function_calling.errors import ToolError
from function_calling.exchange.currencies import Currency

LARGEST_AMOUNT = Decimal(10**15)
SMALLEST_STEP = Decimal("1e-12")
PI = Decimal("3.14159")

# The largest amount in the smallest steps has 28 digits; its product with a rate needs more.
EXACT = Context(prec=100)
SHOWN = Context(prec=6)  # digits of a rate that has no end; central banks publish as many


@dataclass(frozen=True, slots=True)
class Rate:
    """How many units of the target currency some units of the source currency buy.

    Attributes:
        value: Units of the target currency, above 0.
        day: The day for which the rate holds; None where no day applies.
        per: Units of the source currency, above 0; whoever converts divides by it last.
        told: The rate's origin, to end a sentence with: "at the bank's rate of 2024-01-02".
    """

    value: Decimal
    day: date | None = None
    per: Decimal = Decimal(1)
    told: str = ""

    @property
    def shown(self) -> str:
        """What one unit of the source currency buys, to six digits where it is a quotient."""
        return f"{self.value if self.per == 1 else SHOWN.divide(self.value, self.per):f}"


class Rates(Protocol):
    """A source of exchange rates."""

    def rate(self, source: str, target: str) -> Rate:
        """The rate between two ISO 4217 codes; a ToolError where there is none."""


class FixedRates:
    """One fictitious rate, π, for every pair of currencies: answers can be checked offline."""

    def rate(self, source: str, target: str) -> Rate:
        """The fixed rate, or 1 from a currency to itself."""
        return Rate(Decimal(1)) if source == target else Rate(PI)


def convert(amount: Decimal, source: Currency, target: Currency, rate: Rate) -> dict[str, str]:
    """The converted amount, rounded half up to two decimals, the rate, and both as a sentence."""
    exact = EXACT.divide(EXACT.multiply(amount, rate.value), rate.per)
    converted = exact.quantize(Decimal("0.01"), ROUND_HALF_UP, EXACT)
    return {
        "converted_amount": str(converted),
        "rate": rate.shown,
        **({"rate_date": str(rate.day)} if rate.day else {}),
        "summary": f"The converted amount of {amount:f} {source.units(amount)} to "
        f"{target.units()} is {converted}{', ' if rate.told else ''}{rate.told}.",
    }


def checked_amount(amount: Decimal) -> Decimal:
    """The amount without idle zeros, if money can come in it.

    Raises:
        ToolError: It is no number from 0 to `LARGEST_AMOUNT` in steps of `SMALLEST_STEP`.
    """
    if not amount.is_finite() or not 0 <= amount <= LARGEST_AMOUNT:
        raise ToolError(f"An amount of money is from 0 to {LARGEST_AMOUNT}, and {amount} is not.")
    if amount != amount.quantize(SMALLEST_STEP, context=EXACT):
        raise ToolError(f"An amount of money has at most 12 decimals, and {amount} has more.")
    return abs(amount.normalize(EXACT))
