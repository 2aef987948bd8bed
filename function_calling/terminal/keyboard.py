"""What a person types: lines with a history, and the yes or no to a call."""

import asyncio
import json
import os
import sys
import termios
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input.typeahead import clear_typeahead

from function_calling.terminal.safe_text import call_text


class Keyboard:
    """The terminal's input, one line at a time.

    Args:
        history: The file that keeps what was asked; without one that can be written, what is
            asked is kept until the end.
        commands: What a line may begin with, to be completed.
    """

    def __init__(self, history: Path, commands: Iterable[str]) -> None:
        self._lines: PromptSession[str] = PromptSession(
            history=_history(history),
            completer=WordCompleter(list(commands), sentence=True),
            complete_while_typing=False,
        )
        # Ctrl-C there ends the turn, as it does while the model writes.
        self._answers: PromptSession[str] = PromptSession(
            interrupt_exception=asyncio.CancelledError
        )

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
        clear_typeahead(self._answers.input)
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
        call = call_text(name, json.dumps(arguments, ensure_ascii=False, default=str))
        try:
            # Signals stay with whoever can stop the turn.
            said = await self._answers.prompt_async(f"{call}? [y/N] ", handle_sigint=False)
        except EOFError:
            return False
        return said.strip().lower() in ("y", "yes")


def _history(path: Path) -> History:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # For its owner alone.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600))
    except OSError:
        return InMemoryHistory()
    return FileHistory(path)
