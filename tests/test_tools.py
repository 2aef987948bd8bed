"""The currency tool converts exactly, names what it did, and says what it can't do."""

import json
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from function_calling.engines.grammar import grammar
from function_calling.errors import ToolError
from function_calling.messages import JsonSlot
from function_calling.rates import FixedRates, Rate
from function_calling.schemas import enforceable
from function_calling.settings import Settings
from function_calling.toolbox import Toolbox
from tools import LARGEST_AMOUNT, CurrencyTools, DatedCurrencyTools, currency_tools


def convert(amount: str, source: str = "USD", target: str = "CAD", rate: str = "3.14159"):
    """The result for numbers in the spelling given."""
    tools = CurrencyTools(FixedRates(Decimal(rate)))
    return tools.convert_currency(source, target, Decimal(amount))


def test_a_conversion_tells_all_about_itself() -> None:
    """The result is complete, exact, and JSON as it is."""
    result = convert("42")
    assert json.loads(json.dumps(result)) == {
        "converted_amount": "131.95",
        "rate": "3.14159",
        "summary": "The converted amount of 42 US dollars to Canadian dollars is 131.95.",
    }


def test_names_are_understood_in_place_of_codes() -> None:
    """A model that copies the user's words is served as well as one that knows the codes."""
    assert convert("42", "dollars", "canadiens") == convert("42")


@pytest.mark.parametrize(
    ("amount", "shown", "converted"),
    [
        ("42.00", "42", "131.95"),
        ("4.2E+1", "42", "131.95"),
        ("1E+6", "1000000", "3141590.00"),
        ("0.50", "0.5", "1.57"),
        ("0", "0", "0.00"),
        ("-0.0", "0", "0.00"),
        ("42.00000000000000000000000000", "42", "131.95"),
        ("500000", "500000", "1570795.00"),
        ("1000000000000000", "1000000000000000", "3141590000000000.00"),
        ("999999999999999.123456789012", "999999999999999.123456789012", "3141589999999997.25"),
    ],
)
def test_numbers_are_plain_and_exact(amount: str, shown: str, converted: str) -> None:
    """Amounts come without exponents and idle zeros, results with two decimals."""
    result = convert(amount)
    unit = "US dollar" if shown == "1" else "US dollars"
    assert result["converted_amount"] == converted
    assert f" {shown} {unit} " in result["summary"]


@pytest.mark.parametrize(("amount", "converted"), [("0.005", "0.01"), ("2.675", "2.68")])
def test_halves_are_rounded_up(amount: str, converted: str) -> None:
    """Half a cent is a cent, as on paper."""
    assert convert(amount, rate="1")["converted_amount"] == converted


def test_one_unit_is_singular() -> None:
    """The sentence reads well for an amount of one."""
    expected = "The converted amount of 1 US dollar to Canadian dollars is 3.14."
    assert convert("1.00")["summary"] == expected


def test_a_currency_converts_to_itself_unchanged() -> None:
    """The fictitious rate is not applied where nothing is exchanged."""
    assert convert("42", "USD", "dollars")["converted_amount"] == "42.00"


@pytest.mark.parametrize(
    "amount", ["-1", "-0.01", "NaN", "sNaN", "Infinity", "-Infinity", "1E+16", "1E+999999"]
)
def test_an_amount_that_no_money_has_is_refused(amount: str) -> None:
    """The model learns which amount it gave and which would be right."""
    with pytest.raises(ToolError) as caught:
        convert(amount)
    assert str(caught.value) == f"The amount is {amount}: give a number from 0 to 1000000000000000."


@pytest.mark.parametrize("amount", ["0.0000000000001", "1E-999999"])
def test_an_amount_with_too_many_decimals_is_refused(amount: str) -> None:
    """No answer is a million digits long."""
    with pytest.raises(ToolError, match="give a number with at most 12 decimals"):
        convert(amount)


def test_an_unknown_currency_is_refused_by_name() -> None:
    """The error of the search reaches the model unchanged."""
    with pytest.raises(ToolError, match="Unknown currency 'bitcoin'"):
        convert("42", "bitcoin")


@given(st.decimals(min_value=0, max_value=LARGEST_AMOUNT, places=4))
def test_every_conversion_is_off_by_half_a_cent_at_most(amount: Decimal) -> None:
    """Rounding happens once, at the end."""
    result = convert(str(amount))
    error = Decimal(result["converted_amount"]) - amount * Decimal("3.14159")
    assert abs(error) <= Decimal("0.005")


SEEN: dict[str, Any] = {
    "additionalProperties": False,
    "properties": {
        "from_currency": {
            "description": "ISO 4217 code of the currency the user has",
            "type": "string",
        },
        "to_currency": {
            "description": "ISO 4217 code of the currency the user wants",
            "type": "string",
        },
        "amount": {"description": "Amount of money in from_currency", "type": "number"},
    },
    "required": ["from_currency", "to_currency", "amount"],
    "type": "object",
}
"""The arguments that a model sees where rates know no days."""


@dataclass(frozen=True)
class OneRate:
    """The same rate for every pair."""

    value: Rate

    def rate(self, _source: str, _target: str) -> Rate:
        """It."""
        return self.value


class DayRates:
    """One rate of each day, half of the day's number; without a day it is of 2024-01-20."""

    def rate(self, _source: str, _target: str, on: date | None = None) -> Rate:
        """Told with its day."""
        day = on or date(2024, 1, 20)
        return Rate(Decimal(day.day), day=day, per=Decimal(2), told=f"at the rate of {day}")


def function_seen(tools: CurrencyTools) -> dict[str, Any]:
    """The tool as a model sees it."""
    (tool,) = Toolbox([tools.convert_currency]).schemas
    function: dict[str, Any] = tool["function"]
    return function


def test_with_the_fixed_rate_no_day_can_be_asked_for() -> None:
    """The model sees three arguments."""
    seen = function_seen(currency_tools(Settings()))
    assert json.dumps(seen["parameters"], sort_keys=True) == json.dumps(SEEN, sort_keys=True)


def test_a_day_is_one_more_argument_where_rates_know_days() -> None:
    """Optional; all else is the same, and an engine can enforce it."""
    dated = function_seen(DatedCurrencyTools(DayRates()))
    plain = function_seen(CurrencyTools(FixedRates()))
    constraint, ignored = enforceable(dated["parameters"], 99)
    assert grammar([(JsonSlot(constraint),)])
    assert not ignored
    assert dated == plain | {"parameters": dated["parameters"]}
    assert dated["parameters"] == SEEN | {
        "properties": {
            **SEEN["properties"],
            "on": {
                "anyOf": [{"format": "date", "type": "string"}, {"type": "null"}],
                "default": None,
                "description": "Day whose rate is wanted, only if the user names one",
            },
        }
    }


@pytest.mark.parametrize(
    ("question", "on", "answer"),
    [
        ("3 USD in EUR", {}, "30.00, at the rate of 2024-01-20."),
        ("3 USD in EUR", {"on": None}, "30.00, at the rate of 2024-01-20."),
        ("3 USD in EUR on 5 May 2024", {"on": "2024-05-05"}, "7.50, at the rate of 2024-05-05."),
    ],
)
async def test_the_rate_is_of_the_day_that_is_asked_for(
    question: str, on: dict[str, str], answer: str
) -> None:
    """The result has the day, and its sentence too."""
    toolbox = Toolbox([DatedCurrencyTools(DayRates()).convert_currency])
    arguments = {"from_currency": "USD", "to_currency": "EUR", "amount": 3, **on}
    outcome = await toolbox.call("convert_currency", json.dumps(arguments), question=question)
    assert outcome.summary == f"The converted amount of 3 US dollars to euros is {answer}"
    assert outcome.value["rate_date"] in answer


@pytest.mark.parametrize("on", ["2024-13-01", "yesterday", "2024-05-06"])
async def test_a_wrong_day_is_told_so(on: str) -> None:
    """What is no day, and what the question doesn't say."""
    toolbox = Toolbox([DatedCurrencyTools(DayRates()).convert_currency])
    arguments = {"from_currency": "USD", "to_currency": "EUR", "amount": 3, "on": on}
    outcome = await toolbox.call(
        "convert_currency", json.dumps(arguments), question="3 USD in EUR on 2024-05-05"
    )
    assert not outcome.ok
    assert on in outcome.content or "2024-05-05" in outcome.content


@example(Decimal("0.015"))
@given(st.decimals(min_value=0, max_value=LARGEST_AMOUNT, places=12))
def test_a_quotient_is_rounded_once(amount: Decimal) -> None:
    """Half a cent is found where dividing first would lose it: 0.015 at a third is 0.005."""
    rate = Rate(Decimal(1), per=Decimal(3))
    result = CurrencyTools(OneRate(rate)).convert_currency("USD", "CAD", amount)
    assert isinstance(result, dict)
    exact = Fraction(amount) / 3 * 100
    assert int(Fraction(result["converted_amount"]) * 100) == floor(exact + Fraction(1, 2))
