"""Servers that run for one benchmark alone."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from tempfile import TemporaryDirectory, TemporaryFile
from time import sleep
from typing import IO

from function_calling.cli.serve import Doors, serving
from function_calling.cli.watchdog import is_ready
from function_calling.errors import EngineError

HOST = "127.0.0.1"
HIGHEST_PORT = 65535
NOOP = "benchmarks.bench_noop:Llama"


def free_port() -> int:
    """A port that is free now, as the next one is: the assistant's and the model's."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind((HOST, 0))
            port: int = first.getsockname()[1]
            if port < HIGHEST_PORT and second.connect_ex((HOST, port + 1)):
                return port


@contextmanager
def served(log: IO[bytes] | None = None, **settings: str) -> Iterator[Doors]:
    """Both services, or the assistant alone where `LLAMA_URL` is among the settings.

    Raises:
        FunctionCallingError: They did not start; says why.
    """
    with (
        nullcontext(log) if log else TemporaryFile() as file,
        serving(HOST, free_port(), os.environ | settings, log=file.fileno()) as (doors, processes),
    ):
        if not processes.wait_ready(doors):
            raise _failed(file)
        yield doors


@contextmanager
def noop_server() -> Iterator[str]:
    """The URL of the model's service over an engine that does nothing; raises as `served` does."""
    port = free_port()
    command = [sys.executable, "-m", "bentoml", "serve", NOOP, "--host", HOST, "--port", str(port)]
    with TemporaryFile() as log, TemporaryDirectory() as home:
        environ = {"ENGINE": "llamacpp", "BENTOML_HOME": home, "BENTOML_DO_NOT_TRACK": "True"}
        process = subprocess.Popen(command, env=os.environ | environ, stdout=log, stderr=log)
        try:
            while not is_ready(url := f"http://{HOST}:{port}"):
                if process.poll() is not None:
                    raise _failed(log)
                sleep(0.1)
            yield url
        finally:
            process.terminate()
            process.wait()


def _failed(log: IO[bytes]) -> EngineError:
    log.seek(0)
    return EngineError(log.read().decode(errors="replace"))
