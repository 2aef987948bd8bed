"""Exchange rates of the European Central Bank, for today or any day since 1999.

The bank publishes what one euro buys; any other pair goes through the euro, on one day. Rates are
for information: a bank or a card has its own.
"""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

from function_calling.ecb_feed import EcbFeed
from function_calling.ecb_history import History
from function_calling.errors import ToolError
from function_calling.rates import Rate
from function_calling.settings import Settings

LONGEST_PAUSE = timedelta(days=7)
"""A rate holds over weekends and holidays, which are shorter; beyond that it is out of date."""

BANK = "the European Central Bank"


class EcbRates:
    """The bank's reference rates.

    Args:
        feed: Where the history of rates comes from.
        today: Tells the day; for tests.
    """

    def __init__(self, feed: EcbFeed, today: Callable[[], date] = date.today) -> None:
        self._feed = feed
        self._today = today

    def rate(self, source: str, target: str, on: date | None = None) -> Rate:
        """The rate published for a day, or the last one before it; None means today.

        Raises:
            ToolError: The bank has no such rate; says what it has.
        """
        if source == target:
            return Rate(Decimal(1))
        history, today = self._feed.history, self._today()
        if on and on > today:
            raise ToolError(f"{on} is in the future: the newest rates are of {history.last}.")
        wanted = on or today
        day, per, value = _published(history, source, target, wanted)
        told = f"at {BANK}'s reference rate of {day}"
        if wanted - history.last > LONGEST_PAUSE:
            told += f", which is out of date: {self._feed.lack}"
        elif on and day < on:
            told += f", the last {'known' if on > history.last else 'published'} before {on}"
        return Rate(value, day=day, per=per, told=told)


def ecb_rates(settings: Settings) -> EcbRates:
    """The bank's rates, kept fresh as `RATES_URL` says."""
    feed = EcbFeed("" if settings.rates_url == "off" else settings.rates_url)
    feed.start()
    return EcbRates(feed)


def _published(
    history: History, source: str, target: str, wanted: date
) -> tuple[date, Decimal, Decimal]:
    """The newest day up to `wanted` with a rate for both, and what one euro bought of each then.

    Raises:
        ToolError: There is none within `LONGEST_PAUSE`.
    """
    if wanted < history.first:
        raise ToolError(f"There is no rate of {wanted}: those of {BANK} begin on {history.first}.")
    until = min(wanted, history.last)
    for past in range(LONGEST_PAUSE.days + 1):
        day = until - timedelta(past)
        per, value = history.per_euro(source, day), history.per_euro(target, day)
        if per is not None and value is not None:
            return day, per, value
    for code in (source, target):
        span = history.span(code)
        if span is None:
            offer = ", ".join(history.codes())
            raise ToolError(f"There is no rate for {code}: {BANK} has rates for {offer}.")
        first, last = span
        if until < first:
            raise ToolError(f"There is no rate for {code} of {wanted}: {BANK}'s begin on {first}.")
        if until - last > LONGEST_PAUSE:
            raise ToolError(f"There is no rate for {code} of {wanted}: {BANK}'s end on {last}.")
    raise ToolError(
        f"There is no rate from {source} to {target} of {wanted}: {BANK} published none in the "
        "week before."
    )
