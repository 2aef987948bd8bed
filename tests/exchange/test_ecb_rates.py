"""The European Central Bank's rates, from the history that needs no network."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from function_calling.ecb_feed import EcbFeed
from function_calling.ecb_rates import EcbRates
from function_calling.errors import ToolError
from tools import DatedCurrencyTools

NEWEST = date(2026, 10, 30)
"""The last day in the history that the pinned package brings along."""


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> EcbFeed:
    """Nothing but what the package brings along."""
    return EcbFeed("", tmp_path_factory.mktemp("rates"))


def rates(feed: EcbFeed, today: date = NEWEST) -> EcbRates:
    """The rates as they are known on a day."""
    return EcbRates(feed, lambda: today)


def convert(
    feed: EcbFeed,
    amount: str,
    source: str,
    target: str,
    on: date | None = None,
    today: date = NEWEST,
) -> dict[str, str]:
    """What the tool tells."""
    tools = DatedCurrencyTools(rates(feed, today))
    result = tools.convert_currency(source, target, Decimal(amount), on=on)
    assert isinstance(result, dict)
    return result


def refusal(
    feed: EcbFeed, source: str, target: str, on: date | None = None, today: date = NEWEST
) -> str:
    """Why there is no rate."""
    with pytest.raises(ToolError) as caught:
        rates(feed, today).rate(source, target, on)
    return str(caught.value)


def test_a_hundred_dollars_are_what_the_bank_published(feed: EcbFeed) -> None:
    """One euro was 1.0956 US dollars on 2024-01-02; to the cent, and with the date."""
    assert convert(feed, "100", "USD", "EUR", date(2024, 1, 2)) == {
        "converted_amount": "91.27",
        "rate": "0.912742",
        "rate_date": "2024-01-02",
        "summary": "The converted amount of 100 US dollars to euros is 91.27, at the European "
        "Central Bank's reference rate of 2024-01-02.",
    }


def test_a_rate_from_the_euro_is_the_published_number(feed: EcbFeed) -> None:
    """Digit for digit."""
    result = convert(feed, "100", "EUR", "USD", date(2024, 1, 2))
    assert (result["rate"], result["converted_amount"]) == ("1.0956", "109.56")


def test_other_pairs_go_through_the_euro(feed: EcbFeed) -> None:
    """On that day one euro was 1.0956 USD and 155.68 JPY: 100 × 155.68 / 1.0956."""
    result = convert(feed, "100", "USD", "JPY", date(2024, 1, 2))
    assert (result["rate"], result["converted_amount"]) == ("142.096", "14209.57")


@given(st.decimals(min_value=0, max_value=10**15, places=12))
def test_a_conversion_is_rounded_once(feed: EcbFeed, amount: Decimal) -> None:
    """The result is within half a cent of the exact quotient, also for the largest amounts."""
    result = convert(feed, f"{amount:f}", "USD", "JPY", date(2024, 1, 2))["converted_amount"]
    exact = Fraction(amount) * Fraction("155.68") / Fraction("1.0956")
    assert abs(Fraction(result) - exact) <= Fraction("0.005")


def test_no_day_means_the_newest(feed: EcbFeed) -> None:
    """A weekend later it still is, without a word but its date."""
    result = convert(feed, "1", "EUR", "USD", today=date(2026, 11, 1))
    assert result["rate_date"] == "2026-10-30"
    assert result["summary"].endswith(
        " at the European Central Bank's reference rate of 2026-10-30."
    )


@pytest.mark.parametrize(
    ("on", "published"),
    [
        (date(2024, 1, 6), "2024-01-05"),  # a Saturday
        (date(2024, 1, 7), "2024-01-05"),
        (date(2024, 1, 1), "2023-12-29"),  # a holiday after a weekend
        (date(2024, 4, 1), "2024-03-28"),  # Easter Monday
    ],
)
def test_a_day_without_rates_has_those_of_the_last(feed: EcbFeed, on: date, published: str) -> None:
    """And the answer tells both days."""
    result = convert(feed, "100", "USD", "EUR", on)
    assert result["rate_date"] == published
    assert result["summary"].endswith(f"rate of {published}, the last published before {on}.")


def test_a_stale_rate_is_said_to_be_stale(feed: EcbFeed) -> None:
    """A week and a day after the newest one."""
    assert "out of date" not in convert(feed, "1", "EUR", "USD", today=date(2026, 11, 6))["summary"]
    for on in (None, date(2026, 11, 7)):
        summary = convert(feed, "1", "EUR", "USD", on, date(2026, 11, 7))["summary"]
        assert summary.endswith(
            "rate of 2026-10-30, which is out of date: newer ones are not fetched here."
        )


def test_a_day_after_the_newest_is_not_said_to_lack_rates(feed: EcbFeed) -> None:
    """They may be published and not known yet."""
    summary = convert(feed, "1", "EUR", "USD", date(2026, 11, 3), date(2026, 11, 4))["summary"]
    assert summary.endswith("rate of 2026-10-30, the last known before 2026-11-03.")


def test_an_old_day_is_not_stale(feed: EcbFeed) -> None:
    """What was published then is what holds."""
    result = convert(feed, "1", "EUR", "USD", date(2024, 1, 2), date(2030, 1, 1))
    assert result["summary"].endswith("rate of 2024-01-02.")


@pytest.mark.parametrize(
    ("source", "target", "on", "told"),
    [
        ("USD", "EUR", date(2026, 10, 31), "2026-10-31 is in the future: the newest rates are of"),
        ("USD", "EUR", date(1999, 1, 3), "of 1999-01-03: those of the European Central Bank begin"),
        ("USD", "EUR", date.min, "There is no rate of 0001-01-01"),
        ("VND", "EUR", None, "no rate for VND: the European Central Bank has rates for AUD, BRL,"),
        (
            "EUR",
            "RUB",
            None,
            "for RUB of 2026-10-30: the European Central Bank's end on 2022-03-01",
        ),
        ("RUB", "USD", date(2023, 5, 5), "for RUB of 2023-05-05: the European Central Bank's end"),
        ("EUR", "INR", date(2005, 1, 5), "INR of 2005-01-05: the European Central Bank's begin on"),
        (
            "EUR",
            "ISK",
            date(2012, 5, 4),
            "from EUR to ISK of 2012-05-04: the European Central Bank",
        ),
    ],
)
def test_what_the_bank_has_not_is_said_plainly(
    feed: EcbFeed, source: str, target: str, on: date | None, told: str
) -> None:
    """The error names what was asked, and what there is."""
    assert told in refusal(feed, source, target, on)


def test_a_currency_that_is_gone_still_has_its_past(feed: EcbFeed) -> None:
    """Of the rouble, the last rate is of 2022-03-01."""
    assert rates(feed).rate("EUR", "RUB", date(2022, 3, 1)).value == Decimal("117.201")
    assert rates(feed).rate("EUR", "RUB", date(2022, 3, 8)).day == date(2022, 3, 1)
    assert "2022-03-09" in refusal(feed, "EUR", "RUB", date(2022, 3, 9))


def test_a_currency_buys_itself_at_one(feed: EcbFeed) -> None:
    """Whatever the bank knows of it."""
    assert convert(feed, "42", "VND", "VND")["converted_amount"] == "42.00"


def test_the_bundled_history_is_whole(feed: EcbFeed) -> None:
    """It starts with the euro, and has the numbers of the bank's site."""
    history = feed.history
    assert (history.first, history.last) == (date(1999, 1, 4), NEWEST)
    assert history.per_euro("USD", date(1999, 1, 4)) == Decimal("1.1789")
    assert history.per_euro("EUR", NEWEST) == 1
    assert history.per_euro("USD", date(2024, 1, 6)) is None
    assert {"EUR", "USD", "CHF"} < set(history.codes())
    assert not {"RUB", "BGN", "HRK"} & set(history.codes())
