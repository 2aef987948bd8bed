"""The command line: `python -m function_calling serve` and `… ask "…"`."""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

import httpx2

from function_calling.errors import FunctionCallingError
from function_calling.serving import Doors, is_ready, serving
from function_calling.settings import Settings

EXAMPLE = "I want to exchange 42 US dollars to Canadian dollars"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m function_calling", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="serve the assistant and the model's /v1")
    serve.set_defaults(run=_serve)
    ask = commands.add_parser(
        "ask", help="ask the assistant; serves it for the question if need be"
    )
    ask.add_argument("query", nargs="?", default=EXAMPLE)
    ask.set_defaults(run=_ask)
    for command in (serve, ask):
        command.add_argument("--host", default="127.0.0.1", help="address (default: %(default)s)")
        command.add_argument(
            "--port", type=int, default=3000, help="the assistant's; /v1 has the next one"
        )
    options = parser.parse_args(arguments)
    # A closed terminal hangs up, and a script's background job ignores Ctrl-C unless told.
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _interrupt)
    try:
        status: int = options.run(options)
    except FunctionCallingError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return status


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _serve(options: argparse.Namespace) -> int:
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


def _ask(options: argparse.Namespace) -> int:
    url = f"http://{options.host}:{options.port}"
    if is_ready(url):
        return _print_answer(url, options.query)
    with serving(options.host, options.port, os.environ, log=subprocess.DEVNULL) as running:
        doors, processes = running
        if not processes.wait_ready(doors):
            print("A server did not start; `make serve` shows why.", file=sys.stderr)
            return 1
        return _print_answer(doors.assistant, options.query)


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


if __name__ == "__main__":
    sys.exit(main())
