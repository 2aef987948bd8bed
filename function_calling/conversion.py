"""An amount of money, converted exactly and told in a sentence."""

from decimal import ROUND_HALF_UP, Context, Decimal

from function_calling.currencies import Currency
from function_calling.errors import ToolError
from function_calling.rates import Rate

LARGEST_AMOUNT = Decimal(10**15)
SMALLEST_STEP = Decimal("1e-12")

# The largest amount in the smallest steps has 28 digits, which is all that Python's default
# context holds; the product with a rate needs more to be rounded once only.
EXACT = Context(prec=100)


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
        raise ToolError(f"The amount is {amount}: give a number from 0 to {LARGEST_AMOUNT}.")
    if amount != amount.quantize(SMALLEST_STEP, context=EXACT):
        raise ToolError(f"The amount is {amount}: give a number with at most 12 decimals.")
    return abs(amount.normalize(EXACT))
