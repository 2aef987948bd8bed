"""A rate of its own for each pair of currencies, so that a wrong pair gives a wrong number."""

from decimal import Decimal
from functools import cache
from hashlib import sha256

from function_calling.exchange.rates import Rate
from function_calling.settings import Settings
from tools import currency_tools

LOWEST, HIGHEST = 2_000, 300_000
"""In ten thousandths."""
TOOLS = f"{__name__}:tools"
"""The setting by which a server converts at these rates."""


@cache
def pair_rate(source: str, target: str) -> Decimal:
    """What one unit of a currency buys of another, both as ISO 4217 codes: from 0.2 to 30.

    It has four decimals, is always the same, and tells nothing of the rate back.
    """
    if source == target:
        return Decimal(1)
    digest = int.from_bytes(sha256(f"{source} {target}".encode()).digest())
    return Decimal(LOWEST + digest % (HIGHEST - LOWEST)).scaleb(-4)


class PairRates:
    """The rates as a source for the currency tools."""

    def rate(self, source: str, target: str) -> Rate:
        """The pair's rate; every pair has one."""
        return Rate(pair_rate(source, target))


tools = currency_tools(Settings(), PairRates())
"""What the assistant has by default, but for the rates."""
