"""The command line inside the test's own process, and as a process of its own."""

import io
import signal
import sys

import pytest

from function_calling.__main__ import main

PYTHON_M = [sys.executable, "-m", "function_calling"]
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(*arguments: str) -> int:
    """The exit status of a command; the signals that it takes are given back."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        return main(arguments)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def standard_input(content: bytes | str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put this where the command reads standard input."""
    raw = content.encode() if isinstance(content, str) else content
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
