"""What the model may call: signature and docstring of each function are all that it knows of it."""

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from function_calling.exchange import arithmetic
from function_calling.exchange.currencies import find_currency
from function_calling.exchange.ecb import EcbRates, ecb_rates
from function_calling.exchange.rates import FixedRates, Rates, checked_amount, convert
from function_calling.mcp_tools.servers_file import read_servers
from function_calling.settings import Settings
from function_calling.todo.store import TodoStore
from function_calling.todo.tools import todo_tools
from function_calling.toolbox.schema import Said
from function_calling.toolbox.tool_sets import ToolSet
from function_calling.toolbox.toolbox import FinalAnswer

EXAMPLE = "I want to exchange 42 US dollars to Canadian dollars"

CURRENCY_PROMPT = """\
You convert money with convert_currency. If the user asks for several conversions, call it once \
for each. If the user corrects something ("50, no wait, 60 dollars" means 60 dollars), use only \
the corrected value.\
"""
"""How a model should use the currency tools."""

OUT_OF_SCOPE = (
    "I can only convert money from one currency to another. Tell me an amount and the two "
    "currencies, and I'll convert it."
)


class CurrencyTools:
    """Tools that convert money, at rates from whatever source they are given."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates

    def convert_currency(
        self, from_currency: str, to_currency: str, amount: Annotated[Decimal, Said()]
    ) -> dict[str, Any]:
        """Convert an amount of money from one currency to another.

        Args:
            from_currency: ISO 4217 code of the currency the user has
            to_currency: ISO 4217 code of the currency the user wants
            amount: Amount of money in from_currency

        Returns:
            The converted amount, rounded half up to two decimals, the rate, and a sentence that
            tells the conversion as `summary`.
        """
        amount = checked_amount(amount)
        source, target = find_currency(from_currency), find_currency(to_currency)
        return convert(amount, source, target, self._rates.rate(source.code, target.code))


class DatedCurrencyTools:
    """`CurrencyTools` at rates that are known for the past as well: a day may be asked for."""

    def __init__(self, rates: EcbRates) -> None:
        self._rates = rates

    def convert_currency(
        self,
        from_currency: str,
        to_currency: str,
        amount: Annotated[Decimal, Said()],
        on: date | None = None,
    ) -> dict[str, Any]:
        """Convert an amount of money from one currency to another.

        Args:
            from_currency: ISO 4217 code of the currency the user has
            to_currency: ISO 4217 code of the currency the user wants
            amount: Amount of money in from_currency
            on: Day whose rate is wanted, only if the user names one

        Returns:
            What `CurrencyTools` returns, and the rate's day as `rate_date`.
        """
        amount = checked_amount(amount)
        known = self._rates.codes
        source = find_currency(from_currency, on, also=known)
        target = find_currency(to_currency, on, also=known)
        return convert(amount, source, target, self._rates.rate(source.code, target.code, on=on))


def calculate(
    expression: Annotated[str, Said(numbers=True), Field(max_length=arithmetic.LONGEST)],
) -> Decimal:
    """Compute a number, such as half of an amount, a percentage or a sum.

    Args:
        expression: Numbers with + - * / % and brackets, such as 500 / 2 or 80 * 15%
    """
    return arithmetic.calculate(expression)


def reply_without_tool() -> FinalAnswer:
    """Answer a message that does not ask to convert money."""
    return FinalAnswer(OUT_OF_SCOPE)


def currency_tools(settings: Settings, rates: Rates | None = None) -> ToolSet:
    """Conversions at `rates`, or else at those of `EXCHANGE_RATES`."""
    tools: CurrencyTools | DatedCurrencyTools
    if rates is None and settings.exchange_rates == "ecb":
        tools = DatedCurrencyTools(ecb_rates(settings))
    else:
        tools = CurrencyTools(rates or FixedRates())
    return ToolSet(
        functions=[tools.convert_currency, calculate],
        system_prompt=CURRENCY_PROMPT,
        topic="converting money",
        examples=[EXAMPLE],
        reply_without_tool=reply_without_tool,
    )


def mcp_tools(settings: Settings) -> ToolSet:
    """The tools of the servers that `MCP_SERVERS` names, which come and go."""
    entries = read_servers(settings.mcp_servers)
    # It takes a second and 30 MB, and packages that not everybody has.
    from function_calling.mcp_tools.clients import Servers

    servers = Servers(entries)
    return ToolSet(functions=[], guests=servers.tools, close=servers.close)


TOOL_SETS: Mapping[str, Callable[[Settings], ToolSet]] = {
    "currency": currency_tools,
    "todo": lambda settings: todo_tools(TodoStore(settings.todo_db)),
    "mcp": mcp_tools,
}
"""Our own tool sets, by the names that `TOOLS` knows them by."""
