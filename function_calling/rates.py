"""Where an exchange rate comes from.

A real source is one more class with the method of `Rates`, handed to `CurrencyTools`.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Rate:
    """How many units of the target currency one unit of the source currency buys.

    Attributes:
        value: The rate, above 0.
        fictitious: Nobody would exchange money at this rate.
        day: The day for which the rate holds; None where no day applies.
    """

    value: Decimal
    fictitious: bool = False
    day: date | None = None


class Rates(Protocol):
    """A source of exchange rates."""

    def rate(self, source: str, target: str) -> Rate:
        """The rate from one currency to another, both as ISO 4217 codes.

        Raises:
            ToolError: This source has no rate for the pair.
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
