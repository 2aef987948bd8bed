"""Fresh rates come in the background; a source that fails changes nothing and is told."""

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from function_calling import ecb_feed, ecb_history
from function_calling.ecb_feed import LACK_FAILED, LACK_NONE, LACK_OFF, LACK_PENDING, EcbFeed
from function_calling.ecb_history import History
from function_calling.ecb_rates import EcbRates, ecb_rates
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


class StandInBank(ThreadingHTTPServer):
    """Answers every request with `status` and `content`, once its gate is open, and counts."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _BankHandler)
        self.status, self.content, self.length = 200, FRESH, None
        self.asked = 0
        self.gate = threading.Event()
        self.gate.set()
        self.url = f"http://127.0.0.1:{self.server_port}/hist.zip"


class _BankHandler(BaseHTTPRequestHandler):
    server: StandInBank

    def do_GET(self) -> None:
        self.server.asked += 1
        self.server.gate.wait(30)
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(self.server.length or len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def bank() -> Iterator[StandInBank]:
    """A bank on loopback."""
    with StandInBank() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.gate.set()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def short_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package brings along one day: reading all of them takes its time."""
    monkeypatch.setattr(ecb_feed, "bundled_history", lambda: History(KNOWN))


def test_a_refresh_brings_the_newest_rates(bank: StandInBank, tmp_path: Path) -> None:
    """They are used at once, and kept."""
    feed = EcbFeed(bank.url, tmp_path)
    assert (feed.history.last, feed.lack) == (date(2024, 1, 2), LACK_PENDING)
    feed.refresh()
    assert (feed.history.last, feed.lack) == (date(2024, 1, 3), LACK_NONE)
    assert feed.history.per_euro("USD", date(2024, 1, 3)) == Decimal("1.0919")
    assert [each.name for each in tmp_path.iterdir()] == ["eurofxref-hist.zip"]
    assert (tmp_path / "eurofxref-hist.zip").read_bytes() == FRESH


def test_what_was_kept_is_used_at_the_next_start(bank: StandInBank, tmp_path: Path) -> None:
    """Also where nothing is fetched, and without asking again within the hours."""
    EcbFeed(bank.url, tmp_path).refresh()
    assert EcbFeed("", tmp_path).history.last == date(2024, 1, 3)
    again = EcbFeed(bank.url, tmp_path)
    again.refresh()
    assert (again.history.last, again.lack, bank.asked) == (date(2024, 1, 3), LACK_NONE, 1)


def test_what_another_process_has_fetched_is_taken(bank: StandInBank, tmp_path: Path) -> None:
    """The bank is asked once for both."""
    one, other = EcbFeed(bank.url, tmp_path), EcbFeed(bank.url, tmp_path)
    one.refresh()
    other.refresh()
    assert (other.history.last, bank.asked) == (date(2024, 1, 3), 1)


def test_a_kept_file_that_is_old_is_fetched_again(bank: StandInBank, tmp_path: Path) -> None:
    """After three hours."""
    EcbFeed(bank.url, tmp_path).refresh()
    past = time.time() - ecb_feed.REFRESH_SECONDS
    os.utime(tmp_path / "eurofxref-hist.zip", (past, past))
    EcbFeed(bank.url, tmp_path).refresh()
    assert bank.asked == 2


def test_a_kept_file_that_is_broken_is_fetched_again(
    bank: StandInBank, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The rates at hand are used until then, and the log says why."""
    (tmp_path / "eurofxref-hist.zip").write_bytes(FRESH[:100])
    feed = EcbFeed(bank.url, tmp_path)
    assert feed.history.last == date(2024, 1, 2)
    assert "are not used: no file of rates: BadZipFile" in caplog.text
    feed.refresh()
    assert (feed.history.last, bank.asked) == (date(2024, 1, 3), 1)


def down(bank: StandInBank, how: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Break the bank; its address."""
    if how == "refuses":
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return f"http://127.0.0.1:{free.getsockname()[1]}/"
    if how == "hangs":
        bank.gate.clear()
        monkeypatch.setattr(ecb_feed, "QUIET_SECONDS", 0.1)
    if how == "drips":
        monkeypatch.setattr(ecb_feed, "DOWNLOAD_SECONDS", -1.0)
    if how == "is too large":
        monkeypatch.setattr(ecb_feed, "LARGEST_DOWNLOAD", 10)
    if how == "breaks off":
        bank.length = len(FRESH) + 1
    bank.status = {"says 500": 500, "says 404": 404}.get(how, 200)
    damaged = FRESH.replace(b"eurofxref", b"eurofxxxx", 1)
    bank.content = {
        "sends garbage": b"<html>Sorry</html>",
        "sends nothing": b"",
        "sends a truncated zip": FRESH[:-30],
        "sends a damaged zip": damaged,
        "sends no rates": packed("Sorry"),
        "sends words for rates": packed(HEAD, "2024-01-03,many,N/A,", OLD),
        "sends no numbers": packed(HEAD, "2024-01-03,NaN,N/A,", OLD),
        "sends rates of 0": packed(HEAD, "2024-01-03,0,N/A,", OLD),
        "sends older rates": packed(HEAD, "2023-12-29,1.1050,N/A,"),
        "sends a part": packed(HEAD, NEW),
    }.get(how, FRESH)
    return bank.url


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [
        *("refuses", "hangs", "drips", "is too large", "breaks off", "says 500", "says 404"),
        *("sends garbage", "sends nothing", "sends a truncated zip", "sends a damaged zip"),
        *("sends no rates", "sends words for rates", "sends no numbers", "sends rates of 0"),
        *("sends older rates", "sends a part"),
    ],
)
def test_a_source_that_is_down_leaves_the_last_good_rates(
    bank: StandInBank,
    how: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """They stay in use and on disk; the log says so, and a stale rate says it too."""
    EcbFeed(bank.url, tmp_path).refresh()
    file = tmp_path / "eurofxref-hist.zip"
    past = time.time() - 2 * ecb_feed.REFRESH_SECONDS
    os.utime(file, (past, past))
    url = down(bank, how, monkeypatch)
    feed = EcbFeed(url, tmp_path)
    feed.refresh()
    assert (feed.history.last, feed.lack) == (date(2024, 1, 3), LACK_FAILED)
    assert file.read_bytes() == FRESH
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert f"Exchange rates stay those of 2024-01-03: {url} gave no newer ones" in caplog.text
    told = EcbRates(feed, lambda: date(2024, 2, 1)).rate("USD", "EUR").told
    assert told.endswith("of 2024-01-03, which is out of date: newer ones could not be fetched")


def test_a_file_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is unpacked."""
    monkeypatch.setattr(ecb_history, "LARGEST_TEXT", 10)
    with pytest.raises(ValueError, match="wanted 10 at most"):
        History(KNOWN)


def test_a_source_that_is_back_is_used_again(bank: StandInBank, tmp_path: Path) -> None:
    """The next try takes what it has."""
    bank.status = 500
    feed = EcbFeed(bank.url, tmp_path)
    feed.refresh()
    bank.status = 200
    feed.refresh()
    assert (feed.history.last, feed.lack) == (date(2024, 1, 3), LACK_NONE)


def test_no_question_waits_for_a_source_that_hangs(bank: StandInBank, tmp_path: Path) -> None:
    """It is answered from what is known, and the next one from what came meanwhile."""
    bank.gate.clear()
    feed = EcbFeed(bank.url, tmp_path)
    feed.start()
    while not bank.asked:
        time.sleep(0.01)
    assert EcbRates(feed).rate("USD", "EUR").day == date(2024, 1, 2)
    bank.gate.set()
    while feed.history.last < date(2024, 1, 3):
        time.sleep(0.01)
    assert EcbRates(feed).rate("USD", "EUR").day == date(2024, 1, 3)


def test_a_folder_that_can_not_be_written_keeps_nothing_back(
    bank: StandInBank, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The rates are used all the same."""
    (tmp_path / "taken").write_text("a file")
    feed = EcbFeed(bank.url, tmp_path / "taken")
    feed.refresh()
    assert (feed.history.last, feed.lack) == (date(2024, 1, 3), LACK_NONE)
    assert "Can't keep the exchange rates in" in caplog.text


@pytest.mark.parametrize("url", ["off", "{bank}"])
def test_the_settings_say_whether_rates_are_fetched(
    bank: StandInBank, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Into the user's cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    before = threading.active_count()
    rates = ecb_rates(Settings(exchange_rates="ecb", rates_url=url.format(bank=bank.url)))
    if url == "off":
        assert threading.active_count() == before
        assert LACK_OFF in rates.rate("USD", "EUR").told
    else:
        kept = tmp_path / "function-calling" / "rates" / "eurofxref-hist.zip"
        while not kept.is_file():
            time.sleep(0.01)
