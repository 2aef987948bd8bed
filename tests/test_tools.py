"""The currency tool converts exactly, names what it did, and says what it can't do."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from function_calling.errors import ToolError
from function_calling.rates import FixedRates
from tools import LARGEST_AMOUNT, CurrencyTools


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
