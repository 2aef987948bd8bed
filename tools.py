"""What the model may call: signature and docstring of each method are all that it knows of it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import partial

from function_calling.conversion import checked_amount, convert
from function_calling.currencies import find_currency
from function_calling.ecb_rates import ecb_rates
from function_calling.errors import ToolError
from function_calling.function_schema import Question
from function_calling.questions import (
    ask_back,
    check_day,
    currencies_named,
    in_context,
    is_about_money,
)
from function_calling.rates import DatedRates, FixedRates, Rate, Rates
from function_calling.settings import Settings
from function_calling.todo_tools import todo_tools
from function_calling.todos import TodoStore
from function_calling.tool_sets import ToolSet
from function_calling.toolbox import FinalAnswer, Made
from function_calling.unconverted import due_call, next_call

CURRENCY_PROMPT = """\
You convert money with convert_currency. If the user asks for several conversions, call it once \
for each. If the user corrects something ("50, no wait, 60 dollars" means 60 dollars), use only \
the corrected value.\
"""
"""How a model should use `CurrencyTools`."""

OUT_OF_SCOPE = (
    "I can only convert money from one currency to another. Tell me an amount and the two "
    "currencies, and I'll convert it."
)
MISREAD = "I could not make out which conversion you ask for."


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
            check_day(in_context(question, question.earlier), on)
        rate = partial(self._dated.rate, on=on)
        return _convert(from_currency, to_currency, amount, question, rate)


def _convert(
    from_currency: str,
    to_currency: str,
    amount: Decimal,
    question: Question,
    find_rate: Callable[[str, str], Rate],
) -> dict[str, str] | FinalAnswer:
    """The conversion told, or what must be asked back."""
    asked = in_context(question, question.earlier) if question else ""
    if asked and not is_about_money(asked):
        return FinalAnswer(OUT_OF_SCOPE)
    try:
        source, target = find_currency(from_currency), find_currency(to_currency)
    except ToolError as error:
        raise ToolError(f"{error} {currencies_named(asked)}".strip()) from None
    amount = checked_amount(amount)
    try:
        asked_back = ask_back(asked, source, target, amount) if asked else ""
    except ToolError as error:
        raise ToolError(str(error), in_short=MISREAD) from None
    if asked_back:
        return FinalAnswer(asked_back)
    return convert(amount, source, target, find_rate(source.code, target.code))


def currency_tools(settings: Settings) -> ToolSet:
    """Conversions at the rates of `EXCHANGE_RATES`, steered by what the question states."""
    dated = settings.exchange_rates == "ecb"
    tools = DatedCurrencyTools(ecb_rates(settings)) if dated else CurrencyTools(FixedRates())
    return ToolSet(
        functions=[tools.convert_currency],
        system_prompt=CURRENCY_PROMPT,
        topic="converting money",
        next_call=lambda question, made: next_call(question, [given for _, given in made]),
        due=partial(_due, dated=dated),
        reply_without_tool=tools.reply_without_tool,
    )


def _due(question: str, made: Sequence[Made], tried: Sequence[Made], *, dated: bool) -> Made | None:
    """The conversion that a call in vain should have been."""
    given = ([arguments for _, arguments in calls] for calls in (made, tried))
    due = due_call(question, *given, dated=dated)
    return ("convert_currency", due) if due else None


TOOL_SETS: Mapping[str, Callable[[Settings], ToolSet]] = {
    "currency": currency_tools,
    "todo": lambda settings: todo_tools(TodoStore(settings.todo_db)),
}
"""Our own tool sets, by the names that `TOOLS` knows them by."""
