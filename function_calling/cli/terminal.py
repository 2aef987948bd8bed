"""The terminal: what it shows is safe to show, and a person types lines, and a yes or no.

Control characters in what a model, a tool or a server wrote would move the cursor, set colours or
write to the clipboard, and those that turn the direction of writing could make a call look like
another one.
"""

import asyncio
import json
import os
import sys
import termios
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input.typeahead import clear_typeahead
from rich.console import Console

_CONTROLS = {
    **{code: 0x2400 + code for code in range(0x20) if code not in b"\t\n"},  # ␀ and its like
    **dict.fromkeys([*range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A)], "�"),
    ord("\r"): None,
}


def safe(text: str) -> str:
    """`text` with a visible sign in place of each control character but tabs and line ends."""
    return text.translate(_CONTROLS).encode(errors="replace").decode()


def one_line(text: str, most: int = 200) -> str:
    """`text` on one line of `most` characters, safe to show."""
    line = " ".join(text.split())
    return safe(line if len(line) <= most else f"{line[: most - 1]}…")


def call_text(name: str, arguments: str) -> str:
    """A call as code, whatever the model wrote as its arguments."""
    try:
        given = json.loads(arguments.strip() or "{}")
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        return one_line(f"{name}({arguments})")
    told = (f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in given.items())
    return one_line(f"{name}({', '.join(told)})")


class Screen:
    """Shows the answer, and all the rest as steps, without markup or commands to the terminal."""

    def __init__(self, answers: TextIO, steps: TextIO) -> None:
        self._answers = Console(file=answers)
        self._steps = Console(file=steps)
        self._waiting = self._steps.status("", spinner="dots", refresh_per_second=4)
        self._line_is_open = False

    def text(self, text: str) -> None:
        """Show the next part of the answer."""
        self._waiting.stop()
        self._answers.out(safe(text), end="", highlight=False)
        self._answers.file.flush()
        self._line_is_open = not text.endswith("\n")

    def step(self, text: str) -> None:
        """Show a call or a result on a line."""
        self._say(one_line(text), "dim")

    def tell(self, text: str) -> None:
        """Say something of our own."""
        self._say(safe(text))

    def complain(self, problem: str) -> None:
        """Say what went wrong."""
        self._say(one_line(problem, most=1000), "red")

    def wait(self) -> None:
        """Show that something goes on, until the next text."""
        if not self._line_is_open:
            self._waiting.start()

    def pause(self) -> None:
        """Leave the terminal to something else: nothing moves, and the cursor is in front."""
        self._waiting.stop()
        if self._line_is_open:
            self._answers.out("")
            self._line_is_open = False

    def _say(self, text: str, style: str | None = None) -> None:
        self.pause()
        self._steps.out(text, style=style, highlight=False)


class Keyboard:
    """The terminal's input, one line at a time, which may be completed to one of the commands.

    What was asked is kept in the file `history`, or until the end where that can't be written.
    """

    def __init__(self, history: Path, commands: Iterable[str]) -> None:
        self._lines: PromptSession[str] = PromptSession(
            history=_history(history),
            completer=WordCompleter(list(commands), sentence=True),
            complete_while_typing=False,
        )
        # Ctrl-C there ends the turn, as it does while the model writes.
        self._yes: PromptSession[str] = PromptSession(interrupt_exception=asyncio.CancelledError)

    async def line(self) -> str:
        """The next line.

        Raises:
            EOFError: There is none any more (Ctrl-D).
            KeyboardInterrupt: Ctrl-C on an empty line; on another, it empties the line.
        """
        while True:
            try:
                return await self._lines.prompt_async("> ")
            except KeyboardInterrupt:
                if not self._lines.default_buffer.text:
                    raise

    async def approve(self, name: str, arguments: Mapping[str, Any]) -> bool:
        """Whether the person says yes to a call; what was typed before is no answer."""
        clear_typeahead(self._yes.input)
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
        call = call_text(name, json.dumps(arguments, ensure_ascii=False, default=str))
        said = ""
        with suppress(EOFError):
            # Signals stay with whoever can stop the turn.
            said = await self._yes.prompt_async(f"{call}? [y/N] ", handle_sigint=False)
        return said.strip().lower() in ("y", "yes")


def _history(path: Path) -> History:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # For its owner alone.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600))
    except OSError:
        return InMemoryHistory()
    return FileHistory(path)
