"""A rate is a quotient of two exact numbers; the fixed one is said to be fictitious."""

from decimal import Decimal

from function_calling.rates import FixedRates, Rate


def test_every_pair_has_the_fictitious_rate() -> None:
    """Without a source of rates, π stands in, and says so."""
    expected = Rate(Decimal("3.14159"), fictitious=True)
    assert FixedRates().rate("USD", "CAD") == FixedRates().rate("EUR", "JPY") == expected


def test_a_currency_buys_itself_at_one() -> None:
    """A dollar is a dollar, and nothing about that is fictitious."""
    assert FixedRates().rate("USD", "USD") == Rate(Decimal(1))


def test_the_rate_can_be_chosen() -> None:
    """Another number serves as well."""
    assert FixedRates(Decimal(2)).rate("USD", "CAD").value == 2


def test_a_published_rate_is_shown_as_published() -> None:
    """With all its digits, and without an exponent."""
    assert Rate(Decimal("17007.6600")).shown == "17007.6600"
    assert Rate(Decimal("1E+3")).shown == "1000"


def test_a_quotient_is_shown_to_six_digits() -> None:
    """However small it is."""
    assert Rate(Decimal(1), per=Decimal("1.0956")).shown == "0.912742"
    assert Rate(Decimal(1), per=Decimal("17007.66")).shown == "0.0000587970"
