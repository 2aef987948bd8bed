"""The currency tools at the evaluation's rates: `TOOLS=benchmarks.exchange_tools:tools`."""

from benchmarks.exchange_rates import PairRates
from function_calling.settings import Settings
from tools import currency_tools

tools = currency_tools(Settings(), PairRates())
"""What the assistant has by default, but for the rates."""
