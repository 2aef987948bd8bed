"""The commands `serve` and `ask`, which run both servers, and the model's server for a chat."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx2

from function_calling.errors import EngineError
from function_calling.serving import Doors, is_ready, serving
from function_calling.settings import Settings

EXAMPLE = "I want to exchange 42 US dollars to Canadian dollars"


def serve(options: argparse.Namespace) -> int:
    """Serve until a server ends or the user ends it; the exit status."""
    with serving(options.host, options.port, os.environ) as (doors, processes):
        if processes.wait_ready(doors):
            print(_greeting(doors), flush=True)
        while (status := processes.exited()) is None:
            time.sleep(0.5)
    print(f"A server ended with status {status}; its output above says why.", file=sys.stderr)
    return 1


def _greeting(doors: Doors) -> str:
    lines = [
        "",
        "Ready. Ask the assistant:",
        f"  curl -s -X POST {doors.assistant}/exchange -H 'content-type: application/json' "
        f"""-d '{{"query": "{EXAMPLE}"}}'""",
    ]
    if doors.v1:
        lines += [
            "or talk to the model as OpenAI's API:",
            f"  curl -s {doors.v1}/v1/chat/completions -H 'content-type: application/json' "
            """-d '{"messages": [{"role": "user", "content": "Hello"}]}'""",
        ]
    return "\n".join([*lines, "Ctrl-C stops both.", ""])


def ask(options: argparse.Namespace) -> int:
    """Print the answer of the running assistant, or of one served for it; the exit status."""
    url = f"http://{options.host}:{options.port}"
    if is_ready(url):
        return _print_answer(url, options.query)
    with serving(options.host, options.port, os.environ, log=subprocess.DEVNULL) as running:
        doors, processes = running
        if not processes.wait_ready(doors):
            print("A server did not start; `make serve` shows why.", file=sys.stderr)
            return 1
        return _print_answer(doors.assistant, options.query)


@contextmanager
def model_server(host: str, port: int, environ: Mapping[str, str]) -> Iterator[str]:
    """The URL of the model's running server, or of one that is served meanwhile.

    Args:
        host: Where it listens.
        port: The assistant's port; the model's is the next one.
        environ: The environment that holds the settings.

    Raises:
        SettingsError: As `serving`, where no server runs.
        WeightsError: The same.
        EngineError: The server did not start.
    """
    url = f"http://{host}:{port + 1}"
    if is_ready(url):
        yield url
        return
    with serving(host, port, environ, log=subprocess.DEVNULL, assistant=False) as running:
        doors, processes = running
        print(f"Starting the model at {url}.", file=sys.stderr)
        if not processes.wait_ready(doors):
            raise EngineError("The model's server did not start; `make serve` shows why.")
        yield doors.v1


def _print_answer(url: str, query: str) -> int:
    timeout = Settings.from_env(os.environ).query_timeout + 10
    try:
        response = httpx2.post(f"{url}/exchange", json={"query": query}, timeout=timeout)
    except httpx2.HTTPError as error:
        print(f"{url}/exchange can't be reached: {error}", file=sys.stderr)
        return 1
    if response.is_success:
        print(response.text)
        return 0
    try:
        print(response.json()["error"]["message"], file=sys.stderr)
    except (ValueError, LookupError, TypeError):
        print(f"{url}/exchange answered {response.status_code}: {response.text}", file=sys.stderr)
    return 1
