"""The commands `serve` and `ask`: both services on this machine, two processes with a door each.

The assistant listens on a port, the model's `/v1` on the next. Each is a plain `bentoml serve`, so
whatever works here works there; the assistant finds the model by `LLAMA_URL`.
"""

import argparse
import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx2
import psutil

from function_calling.asking import is_loopback
from function_calling.cli.watchdog import LOCAL, Watchdog, is_ready
from function_calling.engines import check_engine
from function_calling.errors import EngineError, SettingsError
from function_calling.mcp_tools.servers_file import read_servers
from function_calling.settings import Settings, misspelled
from function_calling.weights.catalogue import resolve

EXAMPLE = "I want to exchange 42 US dollars to Canadian dollars"
_ROOT = Path(__file__).resolve().parent.parent.parent
_POLL_SECONDS = 0.2
_END_SECONDS = 2.5
"""What a server needs to end, beside the time that its requests have."""
_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_JSON = "-H 'content-type: application/json' -d"
_KEY = '-H "Authorization: Bearer $API_KEY"'


def serve(options: argparse.Namespace) -> int:
    """Serve until a server ends or the user ends it; the exit status."""
    with serving(options.host, options.port, os.environ) as (doors, processes):
        if processes.wait_ready(doors):
            keyed = bool(Settings.from_env(os.environ).keys())
            print(_greeting(doors, keyed=keyed), flush=True)
        while (status := processes.exited()) is None:
            processes.look_after()
            time.sleep(_POLL_SECONDS)
    print(f"A server ended with status {status}; its output above says why.", file=sys.stderr)
    return 1


def ask(options: argparse.Namespace) -> int:
    """Print the answer of the running assistant, or of one served for it; the exit status."""
    with server_url(options.host, options.port, os.environ) as url:
        return _print_answer(url, EXAMPLE if options.query is None else options.query)


@contextmanager
def server_url(
    host: str, port: int, environ: Mapping[str, str], *, assistant: bool = True
) -> Iterator[str]:
    """The URL of the assistant, or else of the model: of one that runs, or is served meanwhile.

    Raises:
        EngineError: A server did not start.
    """
    v1 = f"http://{host}:{port + 1}"
    url = f"http://{host}:{port}" if assistant else v1
    # An assistant whose model is elsewhere says itself what is wrong with it.
    probe = "livez" if is_ready(v1) is None else "readyz"
    if is_ready(url, probe) is False:
        print(f"Waiting for the server at {url}.", file=sys.stderr, flush=True)
    while (ready := is_ready(url, probe)) is False:
        time.sleep(_POLL_SECONDS)
    if ready:
        yield url
        return
    with serving(host, port, environ, log=subprocess.DEVNULL, assistant=assistant) as running:
        doors, processes = running
        print(f"Starting a server at {url}.", file=sys.stderr)
        if not processes.wait_ready(doors):
            raise EngineError("A server did not start; `make serve` shows why.")
        yield url


@dataclass(frozen=True, slots=True)
class Doors:
    """Where the services answer; one is empty where that service is not started here."""

    assistant: str
    v1: str


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
        port: The assistant's; the model's is the next one.
        log: File descriptor for the servers' output; None lets them write to the terminal.
        assistant: Whether the assistant is started too, or the model alone.

    Raises:
        SettingsError: A setting is wrong, the engine can't run here, a port is taken, or other
            machines reach it and no key is set.
        WeightsError: The weights can't be had.
    """
    settings = Settings.from_env(environ)
    for question in misspelled(environ):
        print(question, file=sys.stderr)
    keys = settings.keys()
    if not (keys or settings.api_keys == "none" or is_loopback(host)):
        raise SettingsError(
            f"Other machines reach {host}, and no key is set: set API_KEYS, or API_KEYS=none where "
            "something else guards the network."
        )
    if assistant and "mcp" in settings.tool_sets.split(","):
        read_servers(settings.mcp_servers)
    local = not settings.llama_url
    doors = Doors(_free(host, port) if assistant else "", _free(host, port + 1) if local else "")
    # The servers start in another folder.
    shared = {**environ, **settings.paths(), "BENTOML_DO_NOT_TRACK": "True"}
    if local:
        shared |= _prepared(settings)
    processes = Processes(settings.stop_timeout + _END_SECONDS)
    try:
        if local:
            processes.start("Llama", host, port + 1, shared, log)
            shared["LLAMA_URL"] = doors.v1
            shared["LLAMA_API_KEY"] = next(iter(keys), "")
        if assistant:
            processes.start("ExchangeAssistant", host, port, shared, log)
        yield doors, processes
    finally:
        processes.stop()


class Processes:
    """The server processes of one run; each has `patience` seconds to end."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._watched: list[Watchdog] = []
        self._homes = tempfile.TemporaryDirectory(prefix="serving-")

    def start(
        self, service: str, host: str, port: int, environ: Mapping[str, str], log: int | None
    ) -> None:
        """Start one service of `service.py` with BentoML."""
        command = [sys.executable, "-m", "bentoml", "serve", f"service:{service}"]
        # BentoML keeps its metrics there, and removes those of an earlier server. What a killed
        # worker leaves behind goes with the rest.
        homes = {"BENTOML_HOME": f"{self._homes.name}/{service}", "TMPDIR": self._homes.name}
        # Between a process's birth and its entry in our list, an interrupt would lose it.
        with _signals_held() as before:
            process = psutil.Popen(
                [*command, "--host", host, "--port", str(port)],
                cwd=_ROOT,
                env={**environ, **homes},
                stdout=log,
                stderr=log,
                # A session of its own: Ctrl-C reaches us alone, and we stop the servers in order.
                start_new_session=True,
                preexec_fn=partial(_begin, before, os.getpid()),
            )
            self._watched.append(Watchdog(f"http://{host}:{port}", process))

    def exited(self) -> int | None:
        """The exit status of the first process that has ended; None while all run."""
        ended = (each.process.poll() for each in self._watched)
        return next((status for status in ended if status is not None), None)

    def look_after(self) -> None:
        """Have workers that hang replaced."""
        for each in self._watched:
            each.look()

    def wait_ready(self, doors: Doors) -> bool:
        """Wait until every server answers; False as soon as one has ended instead."""
        probe = "readyz" if doors.v1 else "livez"
        for url in filter(None, (doors.v1, doors.assistant)):
            while not is_ready(url, probe):
                if self.exited() is not None:
                    return False
                time.sleep(_POLL_SECONDS)
        self.look_after()  # a worker counts as hung only after an answer that was seen
        return True

    def stop(self) -> None:
        """End one process after the other, the last started first, which may still ask another.

        What does not end in time is killed.
        """
        # A second Ctrl-C, or a signal that `make` passes on as well, would break in here.
        with _signals_held():
            for each in reversed(self._watched):
                each.end(self._patience)
            self._homes.cleanup()


def _begin(held: set[int | signal.Signals], parent: int) -> None:
    """In a server's process: hold no other signals, and on Linux end if this process is killed."""
    signal.pthread_sigmask(signal.SIG_SETMASK, held)
    if prctl := getattr(_LIBC, "prctl", None):
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it was killed before that
            os._exit(1)


@contextmanager
def _signals_held() -> Iterator[set[int | signal.Signals]]:
    """Deliver the signals that end this process afterwards; yields what was held already."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING_SIGNALS)
    try:
        yield before
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _free(host: str, port: int) -> str:
    """The URL of a port, or a SettingsError where it is taken."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            if not port:
                raise OSError("its number would not be known")
            trial.bind((host, port))
        except (OSError, OverflowError) as error:
            raise SettingsError(
                f"Can't listen on {host}:{port} ({error}): set PORT to another number, or --host "
                "to an IPv4 address of this machine."
            ) from error
    return f"http://{host}:{port}"


def _prepared(settings: Settings) -> dict[str, str]:
    """The choice of engine and model as settings, so that it is made once; its weights are here."""
    profile = check_engine(settings)
    print(profile.why, file=sys.stderr, flush=True)
    if profile.engine == "llamacpp":
        resolve(settings)
        return {"ENGINE": profile.engine}
    return {"ENGINE": profile.engine, "MODEL_ID": profile.model_id}


def _greeting(doors: Doors, *, keyed: bool) -> str:
    headers = f"{_KEY} {_JSON}" if keyed else _JSON
    asked = f"""'{{"query": "{EXAMPLE}"}}'"""
    told = "\nReady. Ask the assistant:"
    told += f"\n  curl -s -X POST {doors.assistant}/exchange {headers} {asked}"
    if doors.v1:
        hello = """'{"messages": [{"role": "user", "content": "Hello"}]}'"""
        told += "\nor talk to the model as OpenAI's API:"
        told += f"\n  curl -s {doors.v1}/v1/chat/completions {headers} {hello}"
    return f"{told}\nCtrl-C ends it.\n"


def _print_answer(url: str, query: str) -> int:
    settings = Settings.from_env(os.environ)
    keys = settings.keys()
    headers = {"Authorization": f"Bearer {keys[0]}"} if keys else {}
    door, patience = f"{url}/exchange", settings.query_timeout + 10
    try:
        response = httpx2.post(
            door, json={"query": query}, headers=headers, timeout=patience, **LOCAL
        )
    except httpx2.HTTPError as error:
        raise EngineError(f"{door} can't be reached: {error}") from error
    if not response.is_success:
        with suppress(ValueError, LookupError, TypeError):
            raise EngineError(response.json()["error"]["message"])
        raise EngineError(f"{door} answered {response.status_code}: {response.text}")
    print(response.text)
    return 0
