"""What the model may call: signature and docstring of each method are all that it knows of it."""

from collections.abc import Callable
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import partial

from function_calling.currencies import find_currency
from function_calling.ecb_rates import ecb_rates
from function_calling.errors import ToolError
from function_calling.function_schema import Question
from function_calling.questions import check_day, check_stated, left_out
from function_calling.rates import DatedRates, FixedRates, Rate, Rates
from function_calling.settings import Settings
from function_calling.toolbox import FinalAnswer

SYSTEM_PROMPT = """\
You convert money with convert_currency. If the user asks for several conversions, call it once \
for each. If the user corrects something ("50, no wait, 60 dollars" means 60 dollars), use only \
the corrected value. If the message is not about converting money, call reply_without_tool. \
When the tool has returned its results, tell the user each of them in a plain sentence with the \
same numbers.\
"""
"""How a model should use `CurrencyTools`."""

OUT_OF_SCOPE = (
    "I can only convert money from one currency to another. Tell me an amount and the two "
    "currencies, and I'll convert it."
)

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
        self,
        from_currency: str,
        to_currency: str,
        amount: Decimal,
        question: Question = Question(),  # noqa: B008 - a constant
    ) -> dict[str, str] | FinalAnswer:
        """Convert an amount of money from one currency to another.

        Args:
            from_currency: ISO 4217 code of the currency the user has
            to_currency: ISO 4217 code of the currency the user wants
            amount: Amount of money in from_currency

        Returns:
            The converted amount, rounded half up to two decimals, the rate, and a sentence that
            tells the conversion as `summary`; or what must be asked back, because the question
            leaves it out.
        """
        return _convert(from_currency, to_currency, amount, question, self._rates.rate)

    def reply_without_tool(self) -> FinalAnswer:
        """Answer a message that does not ask to convert money."""
        return FinalAnswer(OUT_OF_SCOPE)


class DatedCurrencyTools(CurrencyTools):
    """`CurrencyTools` at rates that are known for the past as well: a day may be asked for."""

    def __init__(self, rates: DatedRates) -> None:
        super().__init__(rates)
        self._dated = rates

    def convert_currency(
        self,
        from_currency: str,
        to_currency: str,
        amount: Decimal,
        question: Question = Question(),  # noqa: B008 - a constant
        on: date | None = None,
    ) -> dict[str, str] | FinalAnswer:
        """Convert an amount of money from one currency to another.

        Args:
            from_currency: ISO 4217 code of the currency the user has
            to_currency: ISO 4217 code of the currency the user wants
            amount: Amount of money in from_currency
            on: Day whose rate is wanted, only if the user names one

        Returns:
            What `CurrencyTools` returns, and the rate's day as `rate_date`.
        """
        if question:
            check_day(question, on)
        rate = partial(self._dated.rate, on=on)
        return _convert(from_currency, to_currency, amount, question, rate)


def currency_tools(settings: Settings) -> CurrencyTools:
    """The tools that convert at the rates of `EXCHANGE_RATES`."""
    if settings.exchange_rates == "ecb":
        return DatedCurrencyTools(ecb_rates(settings))
    return CurrencyTools(FixedRates())


def _convert(
    from_currency: str,
    to_currency: str,
    amount: Decimal,
    question: Question,
    find_rate: Callable[[str, str], Rate],
) -> dict[str, str] | FinalAnswer:
    """The conversion told, or what must be asked back."""
    source, target = find_currency(from_currency), find_currency(to_currency)
    amount = _checked(amount)
    if question:
        if asked_back := left_out(question, source, target):
            return FinalAnswer(asked_back)
        check_stated(question, source, target, amount)
    rate = find_rate(source.code, target.code)
    exact = EXACT.divide(EXACT.multiply(amount, rate.value), rate.per)
    converted = exact.quantize(Decimal("0.01"), ROUND_HALF_UP, EXACT)
    return {
        "converted_amount": str(converted),
        "rate": rate.shown,
        **({"rate_date": str(rate.day)} if rate.day else {}),
        "summary": f"The converted amount of {amount:f} {source.units(amount)} to "
        f"{target.units()} is {converted}{', ' if rate.told else ''}{rate.told}.",
    }


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
