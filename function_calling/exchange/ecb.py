"""The European Central Bank's reference rates, for today or any day since 1999.

The bank's file, a CSV in a zip, has a line for each working day, published at about 16:00 Central
European Time, and a column for each currency: units of it that one euro buys. Any other pair goes
through the euro, on one day. Rates are for information: a bank or a card has its own.
https://www.ecb.europa.eu/stats/policy_and_exchange_rates/euro_reference_exchange_rates

No question ever waits for the network: the file is fetched in the background and kept on disk,
and until then there is what an earlier run has kept, or the one that `currency_converter` brings.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import httpx2
from currency_converter import CURRENCY_FILE
from platformdirs import user_cache_path

from function_calling.errors import ToolError
from function_calling.exchange.currencies import Currency
from function_calling.exchange.rates import Rate
from function_calling.settings import Settings

BANK = "the European Central Bank"
LONGEST_PAUSE = timedelta(days=7)  # weekends and holidays are shorter
REFRESH_SECONDS = 3 * 3600
DOWNLOAD_SECONDS = 60.0
QUIET_SECONDS = 10.0  # of the source, while it is downloaded from
LARGEST_DOWNLOAD = 16 << 20
LARGEST_TEXT = 64 << 20  # bytes of the CSV; in 2026 it had 2 MB, and the zip 0.7

_log = logging.getLogger(__name__)


class History:
    """Rates by currency and day, read from the bank's zip file; they never change.

    Attributes:
        spans: For each currency the first and the last day with a rate; the euro has all days.

    Raises:
        ValueError: `content` is no such file, or only a part of one.
    """

    def __init__(self, content: bytes) -> None:
        try:
            header, *lines = _csv(content).splitlines()
            self._codes = header.split(",")[1:]
            # Lines are split when asked for: as numbers, all of them take 40 MB.
            self._lines = {date.fromisoformat(line[:10]): line for line in lines}
            self.spans = {"EUR": (min(self._lines), max(self._lines))}
            for day in sorted(self._lines):
                for code in self.per_euro(day):
                    self.spans[code] = (self.spans.get(code, (day, day))[0], day)
        except Exception as error:  # whatever foreign bytes make zip, text and number readers raise
            raise ValueError(f"no file of rates: {type(error).__name__}: {error}") from error
        self.first, self.last = self.spans["EUR"]

    def per_euro(self, day: date) -> dict[str, Decimal]:
        """Units of each currency that one euro bought; none on a day without rates."""
        if day not in self._lines:
            return {}
        figures = zip(self._codes, self._lines[day].split(",")[1:], strict=True)
        rates = {code: Decimal(figure) for code, figure in figures if figure not in ("", "N/A")}
        if not all(0 < rate < Decimal("Infinity") for rate in rates.values()):
            raise ValueError(f"a rate of {day} is not above 0")
        return {"EUR": Decimal(1), **rates}


class EcbRates:
    """The bank's rates: the newest that are known, and those of the past.

    Attributes:
        history: It is replaced as a whole, so take it once for each question.
    """

    def __init__(self, today: Callable[[], date] = date.today) -> None:
        self._today = today
        self._file = user_cache_path("function-calling") / "rates" / "eurofxref-hist.zip"
        self.history = History(Path(CURRENCY_FILE).read_bytes())
        if os.path.exists(self._file):  # it is none, too, where nobody may look
            self._take(self._file, self._file.read_bytes)

    @property
    def codes(self) -> frozenset[str]:
        """The currencies that the bank has had a rate for on any day."""
        return frozenset(self.history.spans)

    def rate(self, source: str, target: str, on: date | None = None) -> Rate:
        """The rate published for a day, or the last one before it; None means today.

        Raises:
            ToolError: The bank has no such rate; says what it has.
        """
        if source == target:
            return Rate(Decimal(1))
        history, wanted = self.history, on or self._today()
        if wanted > self._today():
            raise ToolError(f"{on} is in the future: the newest rates are of {history.last}.")
        until = min(wanted, history.last).toordinal()
        for day in map(date.fromordinal, range(until, max(0, until - LONGEST_PAUSE.days - 1), -1)):
            rates = history.per_euro(day)
            if source in rates and target in rates:
                break
        else:
            raise _no_rate(history, (source, target), wanted)
        told = f"at {BANK}'s reference rate of {day}"
        if wanted - history.last > LONGEST_PAUSE:
            told += ", which is out of date: newer ones are not known here"
        elif on and day < on:
            told += f", the last known before {on}"
        return Rate(rates[target], day=day, per=rates[source], told=told)

    def refresh(self, url: str) -> None:
        """Take what another process has fetched of late, or the bank's zip file at `url`.

        A failure is logged and changes no rate.
        """
        if self._kept_lately() and self._take(self._file, self._file.read_bytes):
            return
        if content := self._take(url, partial(_download, url)):
            self._keep(content)

    def _take(self, source: str | Path, read: Callable[[], bytes]) -> bytes:
        """Use the file that `read` gives, and return it; b"" if it does not continue the rates."""
        try:
            content = read()
            new, old = History(content), self.history
            if new.first > old.first or new.last < old.last:
                raise ValueError(f"rates from {new.first} to {new.last}, which lack some in use")
        except Exception as error:  # whatever it is, the next try may go well
            _log.warning(
                "Exchange rates stay those of %s: %s gave no newer ones: %s: %s",
                *(self.history.last, source, type(error).__name__, error),
            )
            return b""
        self.history = new
        return content

    def _kept_lately(self) -> bool:
        try:
            return abs(time.time() - self._file.stat().st_mtime) < REFRESH_SECONDS
        except OSError:
            return False

    def _keep(self, content: bytes) -> None:
        """Write the file whole or not at all; a disk that refuses costs a download later on."""
        draft = self._file.with_name(f"new-{os.getpid()}.zip")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(content)
            draft.replace(self._file)
        except OSError as error:
            _log.warning("Can't keep the exchange rates in %s: %s", self._file.parent, error)


def ecb_rates(settings: Settings) -> EcbRates:
    """The bank's rates, fetched now and every few hours in a thread, as `RATES_URL` says."""
    rates = EcbRates()

    def keep_refreshing() -> None:
        while True:
            rates.refresh(settings.rates_url)
            time.sleep(REFRESH_SECONDS)

    if settings.rates_url != "off":
        threading.Thread(target=keep_refreshing, name="ecb-rates", daemon=True).start()
    return rates


def _no_rate(history: History, codes: Iterable[str], wanted: date) -> ToolError:
    """Why there is no rate between two currencies about that day."""
    for code in codes:
        none = f"There is no rate for the {Currency(code)}"
        if code not in history.spans:
            current = sorted(
                each for each, span in history.spans.items() if span[1] == history.last
            )
            advice = f"It has rates for {', '.join(current)}."
            return ToolError(f"{none}: {BANK} publishes none.", advice=advice)
        first, last = history.spans[code]
        if wanted < first or min(wanted, history.last) - last > LONGEST_PAUSE:
            return ToolError(f"{none} of {wanted}: {BANK}'s are from {first} to {last}.")
    return ToolError(f"{BANK[0].upper()}{BANK[1:]} published no rate in the week before {wanted}.")


def _csv(content: bytes) -> str:
    """The one CSV in the zip; reading it checks its CRC."""
    with ZipFile(BytesIO(content)) as archive:
        (member,) = archive.infolist()
        if member.file_size > LARGEST_TEXT:
            raise ValueError(f"it holds {member.file_size} bytes, wanted {LARGEST_TEXT} at most")
        return archive.read(member).decode()


def _download(url: str) -> bytes:
    """What `url` gives; a ValueError where it gives too much, or too slowly."""
    deadline = time.monotonic() + DOWNLOAD_SECONDS
    content = bytearray()
    with httpx2.stream("GET", url, timeout=QUIET_SECONDS, follow_redirects=True) as response:
        response.raise_for_status()
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) > LARGEST_DOWNLOAD or time.monotonic() > deadline:
                bounds = f"{LARGEST_DOWNLOAD} bytes in {DOWNLOAD_SECONDS:g} seconds"
                raise ValueError(f"wanted at most {bounds}")
    return bytes(content)
