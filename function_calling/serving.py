"""Both services on this machine: two server processes, one model, two doors.

The assistant listens on a port, the model's `/v1` on the next. Each is a plain `bentoml serve`, so
whatever works here works there; the assistant finds the model by `LLAMA_URL`.
"""

import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil

from function_calling.engines import check_engine, choose_engine
from function_calling.errors import SettingsError
from function_calling.settings import Settings
from function_calling.weights import resolve

_ROOT = Path(__file__).resolve().parent.parent
_POLL_SECONDS = 0.2
_STOP_SECONDS = 15
_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Doors:
    """Where the services answer; one is empty where that service is not started here."""

    assistant: str
    v1: str

    @property
    def all(self) -> list[str]:
        """The base URLs of the servers that run here."""
        return [url for url in (self.v1, self.assistant) if url]


@contextmanager
def serving(
    host: str,
    port: int,
    environ: Mapping[str, str],
    *,
    log: int | None = None,
    assistant: bool = True,
) -> Iterator[tuple[Doors, "Processes"]]:
    """Start the servers, fetching the weights first; stop them at the end.

    Args:
        host: Address to listen on.
        port: The assistant's port; the model's is the next one.
        environ: The environment that holds the settings.
        log: File descriptor for the servers' output; None lets them write to the terminal.
        assistant: Whether the assistant is started too, or the model alone.

    Raises:
        SettingsError: A setting is wrong, the engine can't run here, or a port is taken.
        WeightsError: The weights can't be had.
    """
    settings = Settings.from_env(environ)
    local = not settings.llama_url
    for each, wanted in ((port, assistant), (port + 1, local)):
        if wanted:
            _check_free(host, each)
    if local:
        check_engine(settings)
        if choose_engine(settings) == "llamacpp":
            resolve(settings)
    base = f"http://{host}"
    doors = Doors(f"{base}:{port}" if assistant else "", f"{base}:{port + 1}" if local else "")
    shared = {**environ, "BENTOML_DO_NOT_TRACK": "True"}
    processes = Processes()
    try:
        if local:
            processes.start("Llama", host, port + 1, shared, log)
            shared = {**shared, "LLAMA_URL": doors.v1}
        if assistant:
            processes.start("ExchangeAssistant", host, port, shared, log)
        yield doors, processes
    finally:
        processes.stop()


class Processes:
    """The server processes of one run."""

    def __init__(self) -> None:
        self._running: list[psutil.Popen] = []
        self._homes = tempfile.TemporaryDirectory(prefix="serving-")

    def start(
        self, service: str, host: str, port: int, environ: Mapping[str, str], log: int | None
    ) -> None:
        """Start one service of `service.py` with BentoML."""
        command = [sys.executable, "-m", "bentoml", "serve", f"service:{service}"]
        command += ["--host", host, "--port", str(port)]
        # BentoML keeps its metrics there, and removes those of a server that started before.
        environ = {**environ, "BENTOML_HOME": f"{self._homes.name}/{service}"}
        # Between a process's birth and its entry in our list, an interrupt would lose it.
        with _signals_held() as before:
            # A session of its own: Ctrl-C reaches us alone, and we stop the servers in order.
            process = psutil.Popen(
                command,
                cwd=_ROOT,
                env=environ,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, before),
            )
            self._running.append(process)

    def exited(self) -> int | None:
        """The exit status of the first process that has ended; None while all run."""
        ended = (process.poll() for process in self._running)
        return next((status for status in ended if status is not None), None)

    def wait_ready(self, doors: Doors) -> bool:
        """Wait until every server answers; False as soon as one has ended instead."""
        for url in doors.all:
            while not is_ready(url):
                if self.exited() is not None:
                    return False
                time.sleep(_POLL_SECONDS)
        return True

    def stop(self) -> None:
        """End all processes, the last started first; kill what does not end in time."""
        # A second Ctrl-C, or a signal that `make` passes on as well, would break in here.
        with _signals_held():
            for process in reversed(self._running):
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
            for process in reversed(self._running):
                try:
                    process.wait(_STOP_SECONDS)
                except psutil.TimeoutExpired:
                    _kill(process)
            self._homes.cleanup()


def _kill(process: psutil.Popen) -> None:
    """Kill a server that answers a long request still; its workers have sessions of their own."""
    family = [process, *process.children(recursive=True)]
    for each in family:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(family)


@contextmanager
def _signals_held() -> Iterator[set[int | signal.Signals]]:
    """Deliver the signals that end this process afterwards; yields what was held already."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING_SIGNALS)
    try:
        yield before
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def is_ready(url: str) -> bool:
    """Whether the server at `url` says that it can answer."""
    try:
        return httpx2.get(f"{url}/readyz", timeout=5).status_code == httpx2.codes.OK
    except httpx2.HTTPError:
        return False


def _check_free(host: str, port: int) -> None:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except (OSError, OverflowError) as error:
            raise SettingsError(
                f"PORT: can't listen on {host}:{port} ({error}); set PORT to another number."
            ) from error
