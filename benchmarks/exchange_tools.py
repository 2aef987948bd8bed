"""The currency tools at the evaluation's rates: `TOOLS=benchmarks.exchange_tools:tools`."""

from dataclasses import replace

from benchmarks.exchange_rates import PairRates
from function_calling.settings import Settings
from tools import CurrencyTools, currency_tools

tools = replace(currency_tools(Settings()), functions=[CurrencyTools(PairRates()).convert_currency])
"""What the assistant has by default, but for the rates."""
