"""Where an exchange rate comes from.

A source is a class with the method of `Rates`, handed to `CurrencyTools`; one that knows the past
has that of `DatedRates`, and is handed to `DatedCurrencyTools`.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal
from typing import Protocol

SHOWN = Context(prec=6)
"""Significant digits of a rate that has no end; central banks publish as many."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How many units of the target currency some units of the source currency buy.

    Attributes:
        value: Units of the target currency, above 0.
        fictitious: Nobody would exchange money at this rate.
        day: The day for which the rate holds; None where no day applies.
        per: Units of the source currency, above 0. A rate through a third currency has no end, so
            both numbers are kept, and whoever converts divides last.
        told: The rate's origin, to end a sentence with: "at the bank's rate of 2024-01-02".
    """

    value: Decimal
    fictitious: bool = False
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
        """The rate from one currency to another, both as ISO 4217 codes.

        Raises:
            ToolError: This source has no rate for the pair.
        """


class DatedRates(Protocol):
    """A source of exchange rates that knows those of the past."""

    def rate(self, source: str, target: str, on: date | None = None) -> Rate:
        """The rate that holds on a day; None means today.

        Raises:
            ToolError: This source has no rate for the pair on that day.
        """


@dataclass(frozen=True, slots=True)
class FixedRates:
    """One fictitious rate, π, for every pair of currencies: answers can be checked offline."""

    value: Decimal = Decimal("3.14159")

    def rate(self, source: str, target: str) -> Rate:
        """The fixed rate, or 1 from a currency to itself."""
        if source == target:
            return Rate(Decimal(1))
        return Rate(self.value, fictitious=True)
