"""The chat with a person at the terminal: questions, commands, and what the keys do.

Ctrl-C stops the turn that runs, and with it the model and the tools; Ctrl-D ends the chat.
"""

import asyncio
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from function_calling.assistant import Assistant
from function_calling.errors import ApiError
from function_calling.terminal.keyboard import Keyboard
from function_calling.terminal.safe_text import one_line
from function_calling.terminal.screen import Screen
from function_calling.terminal.talk import Talk

COMMANDS = {
    "/tools": "list what the model can call",
    "/new": "begin a new conversation",
    "/help": "list the commands",
    "/quit": "end the chat, as Ctrl-D does",
}
LEAVE = "Ctrl-D or /quit ends the chat."


class Dialogue:
    """A chat from its greeting to its end.

    Args:
        assistant: Answers.
        screen: Shows what happens.
        history: The file that keeps what was asked.
    """

    def __init__(self, assistant: Assistant, screen: Screen, history: Path) -> None:
        self._assistant = assistant
        self._screen = screen
        self._keyboard = Keyboard(history, COMMANDS)
        self._talk = Talk(assistant, screen, self._keyboard.approve)

    async def run(self) -> None:
        """Go on until the person ends it."""
        await self._greet()
        while True:
            try:
                line = (await self._keyboard.line()).strip()
            except KeyboardInterrupt:
                self._screen.tell(LEAVE)
                continue
            except EOFError:
                return
            if line == "/quit":
                return
            # "/etc/hosts" begins a question.
            if line.startswith("/") and "/" not in line[1:]:
                self._obey(line)
            elif line:
                await self._stoppable(self._talk.turn(line))

    async def _greet(self) -> None:
        client = self._assistant.client
        try:
            model = (await self._assistant.agent()).model
            self._screen.tell(f"{model} at {client.base_url}. /help lists the commands.")
        except ApiError as error:
            self._screen.complain(error.message)

    def _obey(self, command: str) -> None:
        if command == "/help":
            self._screen.tell("\n".join(f"{name:8}{does}" for name, does in COMMANDS.items()))
        elif command == "/tools":
            known = self._assistant.toolbox.descriptions
            self._screen.tell("\n".join(f"{name}: {does}" for name, does in known.items()))
        elif command == "/new":
            self._talk.memory.clear()
            self._screen.tell("A new conversation begins.")
        else:
            told = one_line(command, most=40)
            self._screen.complain(f"There is no command {told}: /help lists them.")

    async def _stoppable(self, turn: Coroutine[Any, Any, bool]) -> None:
        """Run a turn that Ctrl-C stops."""
        loop = asyncio.get_running_loop()
        running = asyncio.create_task(turn)
        loop.add_signal_handler(signal.SIGINT, running.cancel)
        try:
            await asyncio.wait({running})
        finally:
            loop.remove_signal_handler(signal.SIGINT)
        if running.cancelled():
            self._screen.tell("Stopped.")
        else:
            running.result()
