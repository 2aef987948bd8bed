"""Fresh rates come in the background; a source that fails changes nothing and is told."""

import logging
import os
import threading
import time
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from scripted_http import FileServer, serving

from function_calling.exchange import ecb
from function_calling.exchange.ecb import EcbRates, ecb_rates
from function_calling.settings import Settings

HEAD = "Date,USD,RUB,"
OLD = "2024-01-02,1.0956,N/A,"
NEW = "2024-01-03,1.0919,N/A,"


def packed(*lines: str) -> bytes:
    """A file like the bank's."""
    content = BytesIO()
    with ZipFile(content, "w", ZIP_DEFLATED) as archive:
        archive.writestr("eurofxref-hist.csv", "\n".join(lines))
    return content.getvalue()


KNOWN = packed(HEAD, OLD)
FRESH = packed(HEAD, NEW, OLD)


@pytest.fixture
def bank() -> Iterator[FileServer]:
    """A bank on loopback."""
    with serving(FileServer("hist.zip", FRESH)) as server:
        yield server
        server.gate.set()


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the file is kept; the package brings along one day, as to read all takes its time."""
    file = tmp_path / "package.zip"
    file.write_bytes(KNOWN)
    monkeypatch.setattr(ecb, "CURRENCY_FILE", file)
    monkeypatch.setattr(ecb, "user_cache_path", tmp_path.joinpath)
    return tmp_path / "function-calling" / "rates" / "eurofxref-hist.zip"


def age(file: Path, seconds: float) -> None:
    """Let the file have been written so long ago."""
    past = time.time() - seconds
    os.utime(file, (past, past))


def test_a_refresh_brings_the_newest_rates(bank: FileServer, kept: Path) -> None:
    """They are used at once, and kept for the next start and for other processes."""
    rates, other = EcbRates(), EcbRates()
    assert rates.history.last == date(2024, 1, 2)
    rates.refresh(bank.url)
    assert rates.history.per_euro(date(2024, 1, 3))["USD"] == Decimal("1.0919")
    assert [each.name for each in kept.parent.iterdir()] == [kept.name]
    assert kept.read_bytes() == FRESH
    other.refresh(bank.url)
    again = EcbRates()
    assert rates.history.last == other.history.last == again.history.last == date(2024, 1, 3)
    assert len(bank.requests) == 1
    age(kept, ecb.REFRESH_SECONDS)
    again.refresh(bank.url)
    assert len(bank.requests) == 2
    age(kept, -2 * ecb.REFRESH_SECONDS)  # the clock was ahead when it was written
    again.refresh(bank.url)
    assert len(bank.requests) == 3


def test_a_kept_file_that_is_broken_is_fetched_again(
    bank: FileServer,
    kept: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The rates at hand are used until then; also where none can be kept. The log says why."""
    kept.parent.mkdir(parents=True)
    kept.write_bytes(FRESH[:100])
    rates = EcbRates()
    assert rates.history.last == date(2024, 1, 2)
    assert f"{kept} gave no newer ones: ValueError: no file of rates: BadZipFile" in caplog.text
    kept.unlink()
    kept.mkdir()
    age(kept, 2 * ecb.REFRESH_SECONDS)
    rates.refresh(bank.url)
    assert (rates.history.last, len(bank.requests)) == (date(2024, 1, 3), 1)
    assert "Can't keep the exchange rates in" in caplog.text
    monkeypatch.setattr(ecb, "user_cache_path", lambda _: kept / ("x" * 300))
    EcbRates().refresh(bank.url)


FAULTS: dict[str, dict[str, Any]] = {
    "refuses": {"url": "http://127.0.0.1:1/"},
    "hangs": {"QUIET_SECONDS": 0.1},
    "is too large": {"LARGEST_DOWNLOAD": 10},
    "unpacks to too much": {"LARGEST_TEXT": 10},
    "breaks off": {"length": len(FRESH) + 1},
    "says 500": {"status": 500},
    "sends rates of 0": {"content": packed(HEAD, "2024-01-03,0,N/A,", OLD)},
    "sends older rates": {"content": packed(HEAD, "2023-12-29,1.1050,N/A,")},
    "sends a part": {"content": packed(HEAD, NEW)},
}
"""What is otherwise about the bank, or which bound of ours is narrower."""


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_source_that_is_down_leaves_the_last_good_rates(
    bank: FileServer,
    fault: dict[str, Any],
    kept: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """They stay in use and on disk; the log says so, and a stale rate says it too."""
    EcbRates().refresh(bank.url)
    age(kept, 2 * ecb.REFRESH_SECONDS)
    rates = EcbRates(lambda: date(2024, 2, 1))
    for name, value in fault.items():
        monkeypatch.setattr(ecb if name.isupper() else bank, name, value)
    if "QUIET_SECONDS" in fault:
        bank.gate.clear()
    rates.refresh(bank.url)
    assert kept.read_bytes() == FRESH
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert f"Exchange rates stay those of 2024-01-03: {bank.url} gave no newer ones" in caplog.text
    told = rates.rate("USD", "EUR").told
    assert told.endswith("of 2024-01-03, which is out of date: newer ones are not known here")


def test_no_question_waits_for_a_source_that_hangs(bank: FileServer) -> None:
    """It is answered from what is known, and the next one from what came meanwhile."""
    bank.gate.clear()
    rates = EcbRates()
    fetching = threading.Thread(target=rates.refresh, args=(bank.url,))
    fetching.start()
    assert bank.reached.wait(10)
    assert rates.rate("USD", "EUR").day == date(2024, 1, 2)
    bank.gate.set()
    fetching.join()
    assert rates.rate("USD", "EUR").day == date(2024, 1, 3)


def test_the_settings_say_whether_rates_are_fetched(bank: FileServer) -> None:
    """At once, in the background."""
    before = threading.active_count()
    ecb_rates(Settings(exchange_rates="ecb", rates_url="off"))
    assert threading.active_count() == before
    bank.status = 500  # so that the thread has nothing to write behind the test
    ecb_rates(Settings(exchange_rates="ecb", rates_url=bank.url))
    assert bank.reached.wait(10)
