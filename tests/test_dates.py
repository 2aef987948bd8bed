"""Days are read where day, month and year are written."""

from datetime import date

import pytest

from function_calling.dates import days, without_days

SECOND = date(2024, 1, 2)


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-02",
        "2024/1/2",
        "2024年1月2日",
        "2024년 1월 2일",
        "2 January 2024",
        "2nd of January 2024",
        "Jan. 2, 2024",
        "january 2nd 2024",
        "am 2. Januar 2024",
        "le 2 janvier 2024",
        "2 de enero de 2024",
        "2 января 2024",
        "2.1.2024",
        "02.01.2024",
    ],
)
def test_a_day_is_read_in_many_spellings(text: str) -> None:
    """With words around it, and in the languages of the currencies' names."""
    assert days(f"100 USD {text} in EUR?") == [{SECOND}]


def test_two_orders_are_two_days() -> None:
    """Only where both exist."""
    assert days("1/2/2024, 13-2-2024") == [{SECOND, date(2024, 2, 1)}, {date(2024, 2, 13)}]


@pytest.mark.parametrize(
    "text",
    ["2024-13-45", "January 2024", "2024", "1.234.567", "12024-01-02", "2 dollars 2024", "1.2.34"],
)
def test_what_is_no_day_is_none(text: str) -> None:
    """Nor is it taken out."""
    assert days(text) == []
    assert without_days(text) == text


def test_days_are_taken_out() -> None:
    """The rest stays as it was."""
    assert (
        without_days("On 2024-01-02, USD 100; on 3 May 2024, 5 EUR") == "On ,, USD 100; on ,, 5 EUR"
    )
