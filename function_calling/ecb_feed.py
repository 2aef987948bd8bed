"""How the European Central Bank's rates are kept fresh: fetched in the background, kept on disk.

No question ever waits for the network: it is answered from what is known, which is at first what
the package brought along or what an earlier run has kept. The bank publishes once each working
day, at about 16:00 Central European Time.
"""

import logging
import os
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2
from platformdirs import user_cache_path

from function_calling.ecb_history import History, bundled_history

REFRESH_SECONDS = 3 * 3600
"""How long to wait from one try to the next, whatever came of it."""

DOWNLOAD_SECONDS = 60.0
QUIET_SECONDS = 10.0
"""How long a whole download may take, and how long the source may say nothing."""

LARGEST_DOWNLOAD = 16 << 20
"""Bytes; the file had 0.7 MB in 2026."""

LACK_OFF = "newer ones are not fetched here"
LACK_PENDING = "newer ones have not been fetched yet"
LACK_FAILED = "newer ones could not be fetched"
LACK_NONE = "no newer ones have been published"

_log = logging.getLogger(__name__)


class EcbFeed:
    """The newest history that is known.

    Args:
        url: Where the bank's zip file is fetched; "" to fetch none.
        folder: Where it is kept for the next start (default: a per-user cache folder).

    Attributes:
        history: It is replaced as a whole, so take it once for each question.
        lack: Why there is nothing newer, as the end of a sentence about rates.
    """

    def __init__(self, url: str, folder: Path | None = None) -> None:
        self._url = url
        folder = folder or user_cache_path("function-calling") / "rates"
        self._file = folder / "eurofxref-hist.zip"
        self._taken = 0.0
        self.history = bundled_history()
        self.lack = LACK_PENDING if url else LACK_OFF
        if changed := self._changed():
            self._take_kept(changed)

    def start(self) -> None:
        """Refresh now and every few hours, in a thread that ends with the process."""
        if self._url:
            threading.Thread(target=self._keep_refreshing, name="ecb-feed", daemon=True).start()

    def refresh(self) -> None:
        """Take what another process has fetched of late, else fetch; a failure changes no rate."""
        changed = self._changed()
        recent = 0 <= time.time() - changed < REFRESH_SECONDS
        if recent and (changed == self._taken or self._take_kept(changed)):
            self.lack = LACK_NONE
            return
        try:
            content = _download(self._url)
            self._take(content)
        except Exception as error:  # whatever it is, the next try may go well
            self.lack = LACK_FAILED
            _log.warning(
                "Exchange rates stay those of %s: %s gave no newer ones: %s: %s",
                *(self.history.last, self._url, type(error).__name__, error),
            )
            return
        self.lack = LACK_NONE
        _log.info("Exchange rates are those of %s", self.history.last)
        self._keep(content)

    def _keep_refreshing(self) -> None:
        while True:
            self.refresh()
            time.sleep(REFRESH_SECONDS)

    def _take(self, content: bytes) -> None:
        """Use these rates, if they continue those in use.

        Raises:
            ValueError: They don't, or are no rates at all.
        """
        new, old = History(content), self.history
        if new.first > old.first or new.last < old.last:
            raise ValueError(
                f"rates from {new.first} to {new.last}, wanted from {old.first} to {old.last} "
                "or later"
            )
        self.history = new

    def _changed(self) -> float:
        """When the kept file was written, in seconds since 1970; 0 without a file."""
        try:
            return self._file.stat().st_mtime
        except OSError:
            return 0.0

    def _take_kept(self, changed: float) -> bool:
        """Use the kept file; whether that was possible."""
        try:
            self._take(self._file.read_bytes())
        except (OSError, ValueError) as error:
            _log.warning("The exchange rates in %s are not used: %s", self._file, error)
            return False
        self._taken = changed
        return True

    def _keep(self, content: bytes) -> None:
        """Write the file whole or not at all; a disk that refuses costs a download later on."""
        folder = self._file.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(prefix="new-", dir=folder) as draft:
                new = Path(draft) / self._file.name
                with new.open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                new.replace(self._file)
        except OSError as error:
            _log.warning("Can't keep the exchange rates in %s: %s", folder, error)
        self._taken = self._changed()


def _download(url: str) -> bytes:
    """What `url` gives.

    Raises:
        httpx2.HTTPError: It gives nothing, or an error.
        ValueError: It gives too much, or too slowly.
    """
    timeout = httpx2.Timeout(QUIET_SECONDS)
    deadline = time.monotonic() + DOWNLOAD_SECONDS
    content = bytearray()
    with httpx2.stream("GET", url, timeout=timeout, follow_redirects=True) as response:
        response.raise_for_status()
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) > LARGEST_DOWNLOAD:
                raise ValueError(f"more than {LARGEST_DOWNLOAD} bytes")
            if time.monotonic() > deadline:
                raise ValueError(f"not done in {DOWNLOAD_SECONDS:g} seconds")
    return bytes(content)
