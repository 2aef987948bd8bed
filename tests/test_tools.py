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
from function_calling.errors import ToolError
from function_calling.exchange.rates import LARGEST_AMOUNT, FixedRates, Rate
from function_calling.model.schema import enforceable
from function_calling.model.words import JsonSlot
from function_calling.toolbox.toolbox import Toolbox
from tools import CurrencyTools, DatedCurrencyTools


class Thirds:
    """A third, on every day."""

    codes = frozenset[str]()

    def rate(self, _source: str, _target: str, on: date | None = None) -> Rate:
        """The rate."""
        return Rate(Decimal(1), per=Decimal(3), day=on)


FIXED = CurrencyTools(FixedRates())
DATED = DatedCurrencyTools(Thirds())


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
    assert (same["converted_amount"], same["rate"]) == ("42.00", "1")


@pytest.mark.parametrize(
    ("amount", "told"),
    [
        ("1", "1 US dollar to Canadian dollars is 3.14."),
        ("-0.0", "0 US dollars to Canadian dollars is 0.00."),
        ("1E+6", "1000000 US dollars to Canadian dollars is 3141590.00."),
    ],
)
def test_an_amount_is_told_in_all_its_digits(amount: str, told: str) -> None:
    """Without idle zeros and without an exponent."""
    result = FIXED.convert_currency("USD", "CAD", Decimal(amount))
    assert result["summary"] == f"The converted amount of {told}"


@pytest.mark.parametrize(
    ("amount", "wanted"),
    [
        ("-0.01", "is from 0 to 1000000000000000"),
        ("sNaN", "is from 0 to"),
        ("1E+999999", "is from 0 to"),
        ("1E-13", "has at most 12 decimals"),
    ],
)
def test_an_amount_that_no_money_has_is_refused(amount: str, wanted: str) -> None:
    """By an error that names it; no answer is a million digits long."""
    with pytest.raises(ToolError) as caught:
        FIXED.convert_currency("USD", "CAD", Decimal(amount))
    assert str(caught.value).startswith(f"An amount of money {wanted}")
    assert f", and {amount} " in str(caught.value)


@example(Decimal("0.015"))
@example(Decimal("999999999999999.123456789012"))
@given(st.decimals(min_value=0, max_value=LARGEST_AMOUNT, places=12))
def test_every_conversion_is_rounded_once_and_half_up(amount: Decimal) -> None:
    """Half a cent is found where dividing first would lose it: 0.015 at a third is 0.005."""
    converted = DATED.convert_currency("USD", "CAD", amount)["converted_amount"]
    assert int(Fraction(converted) * 100) == floor(Fraction(amount) / 3 * 100 + Fraction(1, 2))


def test_a_rate_is_shown_as_published_or_to_six_digits() -> None:
    """Never with an exponent."""
    assert Rate(Decimal("17007.6600")).shown == "17007.6600"
    assert Rate(Decimal("1E+3")).shown == "1000"
    assert Rate(Decimal(1), per=Decimal("17007.66")).shown == "0.0000587970"


def test_a_day_is_one_more_argument_where_rates_know_days() -> None:
    """Optional; all else is the same, an amount must have been said, an engine can enforce it."""
    toolboxes = [Toolbox([tools.convert_currency]) for tools in (FIXED, DATED)]
    arguments = '{"from_currency": "USD", "to_currency": "EUR", "amount": 3}'
    for toolbox in toolboxes:
        assert list(toolbox.marked("convert_currency", arguments)) == ["amount"]
    plain, dated = (each.schemas[0]["function"] for each in toolboxes)
    for function in (plain, dated):
        constraint, ignored = enforceable(function["parameters"], 99)
        assert grammar([(JsonSlot(constraint),)])
        assert not ignored
    assert dated["parameters"]["properties"].pop("on") == {
        "anyOf": [{"format": "date", "type": "string"}, {"type": "null"}],
        "default": None,
        "description": "Day whose rate is wanted, only if the user names one",
    }
    assert dated == plain
    assert plain["parameters"]["required"] == ["from_currency", "to_currency", "amount"]
