"""The evaluation's own reading of numbers in texts."""

from decimal import Decimal

import pytest

from benchmarks.number_reading import numbers


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("131.95", ["131.95"]),
        ("131.950 CAD.", ["131.95", "131950"]),
        ("131,95 €", ["131.95"]),
        ("1,234.56", ["1234.56"]),
        ("1.234,56", ["1234.56"]),
        ("1 234,56", ["1234.56", "1", "234.56"]),
        ("1\u202f570\u00a0795,00", ["1570795", "1", "570", "795"]),
        ("CHF 1’234.56", ["1234.56"]),
        ("1'570'795", ["1570795"]),
        ("12,34,567.89", ["1234567.89"]),
        ("1.234", ["1234", "1.234"]),
        ("0.999", ["0.999"]),
        ("13,195.0", ["13195"]),
        ("\uff11\uff13\uff11\uff0e\uff19\uff15", ["131.95"]),
        ("١٣١٫٩٥", ["131.95"]),
        ("१३१.९५", ["131.95"]),
        ("3.5.2026", ["3", "5", "2026"]),
        ("1.5k", ["1500"]),
        ("2.5 million yen", ["2500000"]),
        ("5万日元", ["50000"]),
        ("5 m", ["5"]),
        ("42USD2CAD", ["42", "2"]),
        ("one moment", []),
    ],
)
def test_a_spelling_has_these_values(text: str, values: list[str]) -> None:
    """Separators, scripts and scales are read as people write them."""
    read = {value for number in numbers(text) for value in number.values}
    assert read == set(map(Decimal, values))


def test_digits_in_groups_of_three_may_be_two_numbers() -> None:
    """A space between two numbers doesn't make them one."""
    (number,) = numbers("room 214 250 euros")
    assert number.grounded_in(frozenset({Decimal(214), Decimal(250)}))
    assert number.grounded_in(frozenset({Decimal(214250)}))
    assert not number.grounded_in(frozenset({Decimal(250)}))
