"""Judge the assistant's answers on servers that run for the evaluation alone.

    python benchmarks/run_eval.py --kind plain,words

They convert at the evaluation's rates. With `--url` the server there is asked instead, which must
do so as well. All else, and the exit status, is `eval_exchange.py`'s.
"""

import argparse
import os
import signal
import socket
import sys
from pathlib import Path
from tempfile import TemporaryFile
from typing import NoReturn

# Run as a script, Python looks for modules in this folder instead of the project's.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import eval_exchange
from function_calling.cli.serve import serving
from function_calling.errors import FunctionCallingError

HOST = "127.0.0.1"
HIGHEST_PORT = 65535
TOOLS = "benchmarks.exchange_tools:tools"


def free_port() -> int:
    """A port that is free now, as the next one is: the assistant's and the model's."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind((HOST, 0))
            port: int = first.getsockname()[1]
            if port < HIGHEST_PORT and second.connect_ex((HOST, port + 1)):
                return port


def main(arguments: list[str]) -> int:
    """Serve if need be, ask and judge; the exit status."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--url")
    parser.add_argument("--again")
    asks_for_help = {"-h", "--help"} & set(arguments)
    known, _ = parser.parse_known_args(arguments)
    if asks_for_help or known.url or known.again:
        return eval_exchange.main(arguments)
    try:
        return _on_own_servers(arguments)
    except FunctionCallingError as error:
        print(error, file=sys.stderr)
        return 2


def _on_own_servers(arguments: list[str]) -> int:
    environ = {**os.environ, "TOOLS": TOOLS}
    with (
        TemporaryFile() as log,
        serving(HOST, free_port(), environ, log=log.fileno()) as (doors, processes),
    ):
        if not processes.wait_ready(doors):
            log.seek(0)
            print(log.read().decode(errors="replace"), file=sys.stderr)
            return 2
        return eval_exchange.main([*arguments, "--url", doors.assistant])


def stop(*_: object) -> NoReturn:
    """End the servers, too, when this process is told to end."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
