"""Rates are quotients of exact numbers; amounts are converted exactly and told in a sentence."""

from decimal import Decimal

import pytest

from function_calling.errors import ToolError
from function_calling.exchange.currencies import Currency
from function_calling.exchange.rates import (
    LARGEST_AMOUNT,
    FixedRates,
    Rate,
    checked_amount,
    convert,
)


def test_every_pair_has_the_fictitious_rate() -> None:
    """Without a source of rates, π stands in, and says so; but a dollar is a dollar."""
    expected = Rate(Decimal("3.14159"), fictitious=True)
    assert FixedRates().rate("USD", "CAD") == FixedRates().rate("EUR", "JPY") == expected
    assert FixedRates().rate("USD", "USD") == Rate(Decimal(1))


@pytest.mark.parametrize(
    ("rate", "shown"),
    [
        (Rate(Decimal("17007.6600")), "17007.6600"),  # as it was published
        (Rate(Decimal("1E+3")), "1000"),
        (Rate(Decimal(1), per=Decimal("1.0956")), "0.912742"),
        (Rate(Decimal(1), per=Decimal("17007.66")), "0.0000587970"),
    ],
)
def test_a_rate_is_shown_as_published_or_to_six_digits(rate: Rate, shown: str) -> None:
    """Never with an exponent."""
    assert rate.shown == shown


@pytest.mark.parametrize(
    ("amount", "summary"),
    [
        ("42", "The converted amount of 42 US dollars to Canadian dollars is 131.95."),
        ("1", "The converted amount of 1 US dollar to Canadian dollars is 3.14."),
        ("0.5", "The converted amount of 0.5 US dollars to Canadian dollars is 1.57."),
        ("0", "The converted amount of 0 US dollars to Canadian dollars is 0.00."),
        ("-0.0", "The converted amount of 0 US dollars to Canadian dollars is 0.00."),
        ("5.00", "The converted amount of 5 US dollars to Canadian dollars is 15.71."),
        ("1E+6", "The converted amount of 1000000 US dollars to Canadian dollars is 3141590.00."),
    ],
)
def test_a_conversion_is_told_in_a_sentence(amount: str, summary: str) -> None:
    """To two decimals, rounded half up."""
    dollar, canadian = Currency("USD"), Currency("CAD")
    told = convert(checked_amount(Decimal(amount)), dollar, canadian, FixedRates().rate("a", "b"))
    assert told["summary"] == summary
    assert told["summary"].endswith(f" {told['converted_amount']}.")
    assert told["rate"] == "3.14159"


@pytest.mark.parametrize(
    ("amount", "wanted"),
    [
        ("-0.01", "is from 0 to 1000000000000000"),
        ("sNaN", "is from 0 to"),
        ("Infinity", "is from 0 to"),
        ("1000000000000000.01", "is from 0 to"),
        ("1E+999999", "is from 0 to"),
        ("1E-13", "has at most 12 decimals"),
        ("1E-999999", "has at most 12 decimals"),
    ],
)
def test_an_amount_that_no_money_has_is_refused(amount: str, wanted: str) -> None:
    """By an error that names it; no answer is a million digits long."""
    with pytest.raises(ToolError) as caught:
        checked_amount(Decimal(amount))
    assert str(caught.value).startswith(f"An amount of money {wanted}")
    assert f", and {amount} " in str(caught.value)


def test_the_largest_amount_in_the_smallest_steps_is_kept() -> None:
    """All of its 28 digits."""
    amount = LARGEST_AMOUNT - Decimal("1e-12")
    assert checked_amount(amount) == amount
