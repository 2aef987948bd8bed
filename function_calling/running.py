"""The commands `serve` and `ask`: run both servers, and ask the assistant."""

import argparse
import os
import subprocess
import sys
import time

import httpx2

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
