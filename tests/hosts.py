"""Servers on addresses of their own, as on machines of their own."""

import os
import random
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Any

import httpx2
import psutil
import uvicorn
from command_line import PYTHON_M
from conftest import SERVERS_ENVIRONMENT
from starlette.types import ASGIApp

from function_calling.cli.watchdog import is_ready

ROOT = Path(__file__).resolve().parent.parent
QUERY = "I want to exchange 42 US dollars to Canadian dollars"
START_SECONDS = 120
NEVER_GIVEN = (20_000, 32_000)
"""Ports below those that the system gives to connections."""
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin"])
"""Where programs are: this environment's first, and HAProxy."""


@dataclass(frozen=True)
class Host:
    """A server process that listens on one address alone."""

    address: str
    port: int
    process: psutil.Popen
    log: Path

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://{self.address}:{self.port}"

    def wait_ready(self) -> None:
        """Wait until it answers; show its log if it ends instead, or takes too long."""
        ending = time.monotonic() + START_SECONDS
        while not is_ready(self.url):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < ending, self.log.read_text()
            time.sleep(0.2)

    def exchange(self, query: str = QUERY) -> httpx2.Response:
        """Post a query to the assistant there."""
        return httpx2.post(f"{self.url}/exchange", json={"query": query}, timeout=300)

    def kill(self) -> None:
        """End all its processes at once, as when a machine loses its power."""
        kill(self.process)


def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    """Wait for it."""
    ending = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ending
        time.sleep(0.05)


def kill(process: psutil.Popen) -> None:
    """End a process and those that it started; BentoML's workers are groups of their own."""
    family = [*process.children(recursive=True), process] if process.is_running() else []
    for each in family:
        each.kill()
    psutil.wait_procs(family)


def free_port(address: str) -> int:
    """A port that is free there, and that no connection takes before a server does."""
    while True:
        port = random.randrange(*NEVER_GIVEN)
        with socket.socket() as trial:
            if trial.connect_ex((address, port)):
                return port


@contextmanager
def served_by_uvicorn(app: ASGIApp) -> Iterator[int]:
    """Serve an app in a thread, as BentoML does but for its start and its end; the port."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def host(
    folder: Path, service: str, address: str, port: int | None = None, **settings: str
) -> Iterator[Host]:
    """Serve `module:Service`, of this project or of its tests, on one loopback address.

    Its log and its metrics are kept in `folder`.
    """
    command = [sys.executable, "-m", "bentoml", "serve", service]
    command += ["--host", address, "--port", "{port}"]
    settings["PYTHONPATH"] = f"{ROOT}{os.pathsep}{ROOT / 'tests'}"
    # A server that starts removes the metrics there.
    settings["BENTOML_HOME"] = str(folder / f"{service.split(':')[1]}-{address}")
    with listening(folder, command, address, port, **settings) as each:
        yield each


@contextmanager
def both(folder: Path, **settings: str) -> Iterator[tuple[Host, Host]]:
    """The assistant and the model, as `make serve` starts them."""
    command, port = [*PYTHON_M, "serve", "--port", "{port}"], free_port("127.0.0.1")
    with listening(folder, command, "127.0.0.1", port, **settings) as assistant:
        model = replace(assistant, port=port + 1)
        model.wait_ready()
        assistant.wait_ready()
        yield assistant, model


@contextmanager
def listening(
    folder: Path,
    command: list[str],
    address: str,
    port: int | None = None,
    cwd: Path = ROOT,
    **environ: str,
) -> Iterator[Host]:
    """Run a server; at the end it is asked to stop, and killed if it does not.

    Args:
        folder: Where its log is kept.
        command: Where it has `{port}`, as in a variable's value, the port is put.
        address: One of this machine's loopback addresses.
        port: The port there; by default a free one.
        cwd: Where the command runs.
        environ: Environment variables for it.
    """
    port = port or free_port(address)
    log = folder / f"{address}-{port}.log"
    with log.open("ab") as output:
        process = psutil.Popen(
            [each.replace("{port}", str(port)) for each in command],
            cwd=cwd,
            env=SERVERS_ENVIRONMENT
            | {"PATH": PATH}
            | {name: value.replace("{port}", str(port)) for name, value in environ.items()},
            stdout=output,
            stderr=output,
        )
    try:
        yield Host(address, port, process, log)
    finally:
        if process.poll() is None:
            process.terminate()
            psutil.wait_procs([process], timeout=30)
        kill(process)
