"""The European Central Bank's rates, from the history that needs no network."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from function_calling.errors import ToolError
from function_calling.exchange import ecb
from function_calling.exchange.ecb import EcbRates
from tools import DatedCurrencyTools

NEWEST = "2026-10-30"
"""The last day in the history that the pinned package brings along."""

Bank = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """Converts as `100 USD EUR 2024-01-02` asks, at the rates that the package brings along."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ecb, "user_cache_path", lambda _: tmp_path_factory.mktemp("rates"))
        rates = EcbRates()
    tools = DatedCurrencyTools(rates)

    def convert(asked: str, today: str = NEWEST) -> dict[str, Any]:
        rates._today = lambda: date.fromisoformat(today)
        amount, source, target, *on = asked.split()
        return tools.convert_currency(source, target, Decimal(amount), *map(date.fromisoformat, on))

    return convert


def test_a_hundred_dollars_are_what_the_bank_published(bank: Bank) -> None:
    """One euro was 1.0956 US dollars on 2024-01-02; to the cent, and with the date."""
    assert bank("100 USD EUR 2024-01-02") == {
        "converted_amount": "91.27",
        "rate": "0.912742",
        "rate_date": "2024-01-02",
        "summary": "The converted amount of 100 US dollars to euros is 91.27, at the European "
        "Central Bank's reference rate of 2024-01-02.",
    }


@pytest.mark.parametrize(
    ("asked", "rate", "converted"),
    [
        ("100 EUR USD 2024-01-02", "1.0956", "109.56"),  # as it was published
        ("100 USD JPY 2024-01-02", "142.096", "14209.57"),  # 155.68 / 1.0956, through the euro
        ("100 HRK EUR 2020-01-03", "0.134295", "13.43"),  # the kuna was money then
        ("100 EUR RUB 2022-03-08", "117.201", "11720.10"),  # a week after the last rate
        ("100 VND VND", "1", "100.00"),  # whatever the bank knows of it
    ],
)
def test_other_rates_are_those_of_the_file(
    bank: Bank, asked: str, rate: str, converted: str
) -> None:
    """Or quotients of two of the same day."""
    told = bank(asked)
    assert (told["rate"], told["converted_amount"]) == (rate, converted)


@pytest.mark.parametrize(
    ("on", "today", "told"),
    [
        # On a weekend the newest rate holds, without a word but its date.
        ("", "2026-11-01", "2026-10-30."),
        # A day without rates has those of the last, as a holiday after a weekend.
        ("2024-01-01", NEWEST, "2023-12-29, the last known before 2024-01-01."),
        # After a week the newest rate is out of date, and what was published once never is.
        ("", "2026-11-07", "2026-10-30, which is out of date: newer ones are not known here."),
        ("2024-01-02", "2030-01-01", "2024-01-02."),
    ],
)
def test_the_day_of_a_rate_is_told(bank: Bank, on: str, today: str, told: str) -> None:
    """Also where it is not the day that was asked for."""
    summary = bank(f"1 EUR USD {on}", today)["summary"]
    assert summary.endswith(f"at the European Central Bank's reference rate of {told}")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            "1 USD EUR 2026-10-31",
            "2026-10-31 is in the future: the newest rates are of 2026-10-30.",
        ),
        (
            "1 USD EUR 0001-01-01",
            "There is no rate for the US dollar (USD) of 0001-01-01: the European Central Bank's "
            "are from 1999-01-04 to 2026-10-30.",
        ),
        (
            "1 leva euros",
            "There is no rate for the Bulgarian lev (BGN) of 2026-10-30: the European Central "
            "Bank's are from 2000-07-19 to 2025-12-31.",
        ),
        (
            "1 EUR ISK 2012-05-04",
            "The European Central Bank published no rate in the week before 2012-05-04.",
        ),
    ],
)
def test_what_the_bank_has_not_is_said_plainly(bank: Bank, asked: str, told: str) -> None:
    """The error names what was asked, and what there is; to the model also what else there is."""
    with pytest.raises(ToolError) as caught:
        bank(asked)
    assert str(caught.value) == told
    with pytest.raises(ToolError) as caught:
        bank("1 USD VND")
    none = (
        "There is no rate for the Vietnamese dong (VND): the European Central Bank publishes none."
    )
    assert caught.value.problem == none
    offered = str(caught.value).rpartition(" rates for ")[2].rstrip(".").split(", ")
    assert {"EUR", "USD", "CHF"} < set(offered)
    assert not {"RUB", "BGN", "HRK"} & set(offered)
