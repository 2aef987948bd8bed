"""Money is converted exactly, and each tool tells what it did or what it can't do."""

import json
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import floor

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from function_calling.engines.grammar import grammar
from function_calling.exchange.rates import LARGEST_AMOUNT, FixedRates, Rate
from function_calling.model.schema import enforceable
from function_calling.model.words import JsonSlot
from function_calling.settings import Settings
from function_calling.toolbox.toolbox import Toolbox
from tools import OUT_OF_SCOPE, CurrencyTools, DatedCurrencyTools, currency_tools


class DayRates:
    """One rate of each day, a third of the day's number; without a day it is of 2024-01-01."""

    codes = frozenset({"EUR", "USD", "DEM"})

    def rate(self, _source: str, _target: str, on: date | None = None) -> Rate:
        """Told with its day."""
        day = on or date(2024, 1, 1)
        return Rate(Decimal(day.day), day=day, per=Decimal(3), told=f"at the rate of {day}")


FIXED = CurrencyTools(FixedRates())
DATED = DatedCurrencyTools(DayRates())
TOOLBOXES = [Toolbox([tools.convert_currency]) for tools in (FIXED, DATED)]


def test_a_conversion_tells_all_about_itself() -> None:
    """The result is complete, exact, and JSON as it is; names do as well as codes."""
    result = FIXED.convert_currency("USD", "CAD", Decimal(42))
    assert json.loads(json.dumps(result)) == {
        "converted_amount": "131.95",
        "rate": "3.14159",
        "summary": "The converted amount of 42 US dollars to Canadian dollars is 131.95.",
    }
    assert FIXED.convert_currency("dollars", "canadiens", Decimal(42)) == result
    same = FIXED.convert_currency("USD", "dollars", Decimal(42))
    assert same["converted_amount"] == "42.00"


@example(Decimal("0.015"))
@example(Decimal("999999999999999.123456789012"))
@given(st.decimals(min_value=0, max_value=LARGEST_AMOUNT, places=12))
def test_every_conversion_is_rounded_once_and_half_up(amount: Decimal) -> None:
    """Half a cent is found where dividing first would lose it: 0.015 at a third is 0.005."""
    converted = DATED.convert_currency("USD", "CAD", amount)["converted_amount"]
    assert int(Fraction(converted) * 100) == floor(Fraction(amount) / 3 * 100 + Fraction(1, 2))


def test_a_day_is_one_more_argument_where_rates_know_days() -> None:
    """Optional; all else is the same, an amount must have been said, an engine can enforce it."""
    seen = [each.schemas[0]["function"] for each in TOOLBOXES]
    plain, dated = json.loads(json.dumps(seen))
    for function in (plain, dated):
        constraint, ignored = enforceable(function["parameters"], 99)
        assert grammar([(JsonSlot(constraint),)])
        assert not ignored
    on = dated["parameters"]["properties"].pop("on")
    assert on == {
        "anyOf": [{"format": "date", "type": "string"}, {"type": "null"}],
        "default": None,
        "description": "Day whose rate is wanted, only if the user names one",
    }
    assert dated == plain
    assert plain["parameters"]["required"] == ["from_currency", "to_currency", "amount"]
    arguments = '{"from_currency": "USD", "to_currency": "EUR", "amount": 3}'
    for toolbox in TOOLBOXES:
        assert list(toolbox.marked("convert_currency", arguments)) == ["amount"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, "The converted amount of 3 US dollars to euros is 1.00, at the rate of 2024-01-01."),
        ({"on": "2024-05-05"}, "to euros is 5.00, at the rate of 2024-05-05."),
        ({"from_currency": "DEM"}, "is 1.00, at the rate of 2024-01-01."),
        (
            {"from_currency": "FRF", "on": "2024-05-05"},
            "The French franc (FRF) was not money on 2024-05-05.",
        ),
        ({"from_currency": "bitcoin"}, "I don't know a currency called 'bitcoin'."),
    ],
)
async def test_the_rate_is_of_the_day_that_is_asked_for(more: dict[str, str], told: str) -> None:
    """A currency that is gone is known where it has a rate."""
    arguments = {"from_currency": "USD", "to_currency": "EUR", "amount": 3, **more}
    result = await TOOLBOXES[1].call("convert_currency", json.dumps(arguments))
    assert result.told.endswith(told)
    assert not result.ok or json.loads(result.content)["rate_date"] == more.get("on", "2024-01-01")


async def test_the_set_also_computes_and_turns_away() -> None:
    """Half of an amount can be traced; what is not about money ends the question."""
    tools = currency_tools(Settings())
    assert tools.reply_without_tool
    toolbox = Toolbox([*tools.functions, tools.reply_without_tool])
    half = await toolbox.call("calculate", '{"expression": "80 * 15%"}')
    assert half.content == "12"
    turned = await toolbox.call("reply_without_tool", "{}")
    assert (turned.content, turned.final) == (OUT_OF_SCOPE, True)
