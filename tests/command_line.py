"""The command line inside the test's own process, and as a process of its own."""

import io
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from function_calling.__main__ import main

PYTHON_M = [sys.executable, "-m", "function_calling"]
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    status: Any
    out: str
    err: str


Command = Callable[..., Done]


def commands(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """A fixture that runs commands; `given` is their standard input, as bytes, text or JSON.

    The signals that a command takes are given back.
    """

    def run(*arguments: object, given: Any = b"") -> Done:
        text = given if isinstance(given, bytes | str) else json.dumps(given)
        raw = text.encode() if isinstance(text, str) else text
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        try:
            status: Any = main([*map(str, arguments)])
        except SystemExit as ended:
            status = ended.code
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return Done(status, *capsys.readouterr())

    return run
