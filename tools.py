"""What the model may call: signature and docstring of each method are all that it knows of it."""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Context, Decimal

from function_calling.currencies import find_currency
from function_calling.errors import ToolError
from function_calling.rates import Rates

SYSTEM_PROMPT = """\
You convert amounts of money between currencies, and you have a tool for it.
- Call convert_currency for every conversion that the user asks for. Never use a rate that you \
remember, even if you are asked to.
- If the user asks for several conversions, make one call for each of them.
- Take the amount as the user wrote it: 12,500 is 12500, half a million is 500000, 50 cents \
are 0.50.
- Name currencies by their ISO 4217 codes: dollars are USD, pounds are GBP, yuan are CNY.
- If a tool returns an error, correct the call and try again.
- Then answer in the user's language, with every number exactly as the tool returned it.
- If the amount or a currency is missing, ask for it. If the user wants something else than a \
conversion, answer without the tool.\
"""
"""How a model should use `CurrencyTools`."""

LARGEST_AMOUNT = Decimal(10**15)
SMALLEST_STEP = Decimal("1e-12")

# The largest amount in the smallest steps has 28 digits, which is all that Python's default
# context holds; the product with a rate needs more to be rounded once only.
EXACT = Context(prec=100)


class CurrencyTools:
    """Tools that convert money, at rates from whatever source they are given."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates

    def convert_currency(
        self, from_currency: str, to_currency: str, amount: Decimal
    ) -> dict[str, str]:
        """Convert an amount of money from one currency to another.

        Args:
            from_currency: ISO 4217 code of the currency the user has, e.g. USD.
            to_currency: ISO 4217 code of the currency the user wants, e.g. CAD.
            amount: Amount of money in from_currency, e.g. 42 or 0.99.

        Returns:
            Both amounts, the codes and English names of both currencies, the rate, and all of it
            in one English sentence as `summary`.
        """
        source, target = find_currency(from_currency), find_currency(to_currency)
        amount = _checked(amount)
        rate = self._rates.rate(source.code, target.code).value
        converted = EXACT.multiply(amount, rate).quantize(Decimal("0.01"), ROUND_HALF_UP, EXACT)
        result = {
            "amount": f"{amount:f}",
            "from_currency": source.code,
            "from_name": source.units(amount),
            "to_currency": target.code,
            "to_name": target.units(),
            "rate": f"{rate:f}",
            "converted_amount": str(converted),
        }
        return result | {"summary": describe(result)}


def describe(conversion: Mapping[str, str]) -> str:
    """The answer to one conversion, in words that need no model."""
    return (
        "The converted amount of {amount} {from_name} to {to_name} is {converted_amount}."
    ).format_map(conversion)


def _checked(amount: Decimal) -> Decimal:
    """The amount without idle zeros, if money can come in it.

    Raises:
        ToolError: It is no number from 0 to `LARGEST_AMOUNT` in steps of `SMALLEST_STEP`.
    """
    if not amount.is_finite() or not 0 <= amount <= LARGEST_AMOUNT:
        raise ToolError(f"The amount is {amount}: give a number from 0 to {LARGEST_AMOUNT}.")
    if amount != amount.quantize(SMALLEST_STEP, context=EXACT):
        raise ToolError(f"The amount is {amount}: give a number with at most 12 decimals.")
    return abs(amount.normalize(EXACT))
