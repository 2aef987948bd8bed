"""The fixed rate is one number, said to be fictitious."""

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
