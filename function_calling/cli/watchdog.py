"""A worker that hangs is killed, and BentoML's supervisor starts another one."""

import sys
import time
from contextlib import suppress
from typing import Any

import httpx2
import psutil

LOOK_SECONDS = 3.0
"""Between two looks, and how long the server may take to answer each."""
MOST_MISSED = 3
"""Looks in a row without an answer, after which a worker counts as hung."""
LOCAL: Any = {"trust_env": False, "verify": False}
"""How servers of ours are asked: no proxy leads here, and certificates would be read each time."""


def is_ready(url: str, probe: str = "readyz") -> bool | None:
    """Whether the server at `url` says that it can answer; None where there is none of ours."""
    try:
        status = httpx2.get(f"{url}/{probe}", timeout=LOOK_SECONDS, **LOCAL).status_code
    except httpx2.ReadTimeout:  # while its worker loads
        return False
    except httpx2.HTTPError:
        return None
    return {200: True, 503: False}.get(status)


class Watchdog:
    """Looks after the workers of one server, whose supervisor is `process`.

    One that has not answered yet is loading, and has all its time.
    """

    def __init__(self, url: str, process: psutil.Popen) -> None:
        self._url = url
        self.process = process
        self._workers: set[psutil.Process] = set()  # those that were there at the last answer
        self._missed = 0
        self._next = 0.0

    def look(self) -> None:
        """Ask the server whether it lives, if it is time; kill its workers if they hang."""
        if time.monotonic() < self._next:
            return
        with suppress(psutil.NoSuchProcess):
            workers = set(self.process.children(recursive=True))
            if self._answers():
                self._workers, self._missed = workers, 0
            elif workers & self._workers:
                self._missed += 1
            if self._missed == MOST_MISSED:
                self._kill(workers & self._workers)
        self._next = time.monotonic() + LOOK_SECONDS

    def end(self, patience: float) -> None:
        """End the server within `patience` seconds; its workers have sessions of their own."""
        try:
            self.process.terminate()
            family = set(self.process.children(recursive=True))
            psutil.wait_procs([self.process], timeout=patience)
        except psutil.NoSuchProcess:  # it was killed, and its workers live on
            family = self._workers
        for each in (self.process, *family):
            with suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs([self.process, *family], timeout=patience)

    def _answers(self) -> bool:
        try:
            httpx2.get(f"{self._url}/livez", timeout=LOOK_SECONDS, **LOCAL)
        except httpx2.HTTPError:
            return False
        return True

    def _kill(self, workers: set[psutil.Process]) -> None:
        told = f"{self._url} did not answer {MOST_MISSED} times in a row. Replacing its worker."
        print(told, file=sys.stderr, flush=True)
        for each in workers:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        self._workers, self._missed = set(), 0
