"""The command `chat`: a dialogue with a person at a terminal, or one question and its answer.

The loop runs in this process, so a tool can ask the person for a yes. Ctrl-C stops the turn that
runs, and with it the model and the tools; Ctrl-D ends the chat.
"""

import argparse
import asyncio
import logging
import os
import re
import signal
import sys
from collections.abc import Mapping
from contextlib import aclosing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from platformdirs import user_state_path

from function_calling.agent.assistant import Assistant
from function_calling.agent.events import (
    ChatEvent,
    DoneEvent,
    TextEvent,
    ToolCallEvent,
    ToolResultEvent,
)
from function_calling.agent.messages import read_query
from function_calling.agent.model_call import llama_client
from function_calling.cli.serve import server_url
from function_calling.cli.terminal import Keyboard, Screen, call_text
from function_calling.errors import ApiError, RequestError
from function_calling.settings import Settings
from function_calling.toolbox.toolbox import Approve
from tools import TOOL_SETS

COMMANDS = {
    "/tools": "list what the model can call",
    "/new": "begin a new conversation",
    "/help": "list the commands",
    "/quit": "end the chat, as Ctrl-D does",
}
LEAVE = "Ctrl-D or /quit ends the chat."
SHORTENED = "The conversation is too long for the model: its oldest turn is left out from now on."
# OpenAI's code; other servers say it in words alone.
_TOO_LONG = "context_length_exceeded"
_TOO_LONG_WORDS = re.compile(r"context (length|size|window)|too (long|many tokens)", re.IGNORECASE)


def chat(options: argparse.Namespace) -> int:
    """Talk, or answer one question: the one given, or all of standard input if it is no terminal.

    The exit status is 1 where one question was asked that has no answer.
    """
    # What went wrong in a tool is shown beside its call; a trace would break into the dialogue.
    for name in ("function_calling", "mcp", "client"):  # the package mcp has two roots
        logging.getLogger(name).addHandler(logging.NullHandler())
    environ = {**os.environ, **({"TOOLS": options.tools} if options.tools else {})}
    settings = chat_settings(environ)
    question = options.question
    if question is None and not (sys.stdin.isatty() and sys.stdout.isatty()):
        question = sys.stdin.buffer.read().decode(errors="replace")
    if not settings.llama_url:
        settings = replace(settings, llama_api_key=next(iter(settings.keys()), ""))
    own = server_url(options.host, options.port, environ, assistant=False)
    with nullcontext(settings.llama_url) if settings.llama_url else own as url:
        try:
            return asyncio.run(_chat(replace(settings, llama_url=url), question))
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None


def chat_settings(environ: Mapping[str, str]) -> Settings:
    """The settings, with the server of OpenAI's own variables, if they name one, as `LLAMA_URL`."""
    if environ.get("OPENAI_BASE_URL", "").strip():
        ours = ("LLAMA_URL", "LLAMA_API_KEY", "LLAMA_MODEL")
        names = ("OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODEL_NAME")
        theirs = (environ.get(name, "") for name in names)
        environ = {**environ, **dict(zip(ours, theirs, strict=True))}
    return Settings.from_env(environ)


async def _chat(settings: Settings, question: str | None) -> int:
    chatting = asyncio.current_task()
    assert chatting is not None
    # As an exception out of nowhere, these would look like Ctrl-C to whoever awaits a line.
    for ending in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(ending, chatting.cancel)
    async with llama_client(settings.llama_url, settings) as client:
        assistant = Assistant(settings, client, TOOL_SETS)
        try:
            if question is None:
                await Dialogue(assistant, user_state_path("function-calling")).run()
                return 0
            talk = Talk(assistant, Screen(sys.stdout, sys.stderr))
            return 0 if await talk.turn(question) else 1
        finally:
            assistant.close()


class Talk:
    """A conversation; `messages` are its questions and answers so far, as they were shown.

    Also of a turn that was stopped or that failed: the text so far, or before there is any, what
    the tools said; one that showed neither leaves nothing. Calls are left out, as in what `/chat`
    is sent: they would fill a small context, and a tool can be asked again. `approve` is None where
    nobody is there who could say a yes.
    """

    def __init__(
        self, assistant: Assistant, screen: Screen, approve: Approve | None = None
    ) -> None:
        self.messages: list[dict[str, Any]] = []
        self._assistant = assistant
        self._screen = screen
        self._approve = approve

    async def turn(self, question: str) -> bool:
        """Answer `question`, or tell what went wrong; whether there was an answer."""
        while True:
            events: list[ChatEvent] = []
            try:
                await self._answer(question, events)
                return True
            except ApiError as error:
                called = any(isinstance(event, ToolCallEvent) for event in events)
                if called or not self._shortened(error):
                    self._screen.complain(error.message)
                    return False
                self._screen.tell(SHORTENED)
            finally:
                self._screen.pause()
                if shown := _shown(events):
                    self.messages += (
                        {"role": "user", "content": question},
                        {"role": "assistant", "content": shown},
                    )

    async def _answer(self, question: str, shown: list[ChatEvent]) -> None:
        asked = read_query(question, self._assistant.settings.max_query_length)
        agent = await self._assistant.agent(approve=self._approve)
        self._screen.wait()
        async with aclosing(agent.run([*self.messages, *asked])) as events:
            async for event in events:
                shown.append(event)
                match event:
                    case ToolCallEvent():
                        self._screen.step(call_text(event.name, event.arguments))
                    case ToolResultEvent():
                        self._screen.step(f"{'→' if event.ok else '✗'} {_told(event)}")
                        self._screen.wait()
                    case TextEvent():
                        self._screen.text(event.text)

    def _shortened(self, error: ApiError) -> bool:
        """Whether the conversation was too long, and is shorter now: its oldest turn is gone."""
        too_long = error.code == _TOO_LONG or _TOO_LONG_WORDS.search(error.message)
        if not (isinstance(error, RequestError) and too_long and self.messages):
            return False
        del self.messages[:2]
        return True


def _told(result: ToolResultEvent) -> str:
    return result.summary or result.content


def _shown(events: list[ChatEvent]) -> str:
    """What the model shall know that it said in a turn."""
    if text := "".join(event.text for event in events if isinstance(event, TextEvent)):
        return text if isinstance(events[-1], DoneEvent) else f"{text}…"
    results = [event for event in events if isinstance(event, ToolResultEvent)]
    return " ".join(_told(result) for result in results if result.ok)


class Dialogue:
    """A chat with a person at the terminal; the folder `state` keeps what was asked."""

    def __init__(self, assistant: Assistant, state: Path) -> None:
        self._assistant = assistant
        self._screen = Screen(sys.stdout, sys.stdout)
        self._keyboard = Keyboard(state / "chat_history", COMMANDS)
        self._talk = Talk(assistant, self._screen, self._approve)

    async def run(self) -> None:
        """Greet, and go on until the person ends it."""
        try:
            model = await self._assistant.model_name()
            url = self._assistant.client.base_url
            self._screen.tell(f"{model} at {url}. /help lists the commands.")
        except ApiError as error:
            self._screen.complain(error.message)
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
                await self._obey(line)
            elif line:
                await self._turn(line)

    async def _obey(self, command: str) -> None:
        if command == "/help":
            self._screen.tell("\n".join(f"{name:8}{does}" for name, does in COMMANDS.items()))
        elif command == "/tools":
            _, toolbox = await self._assistant.offered()
            known = toolbox.descriptions.items()
            self._screen.tell("\n".join(f"{name}: {does}" for name, does in known))
        elif command == "/new":
            self._talk.messages.clear()
            self._screen.tell("A new conversation begins.")
        else:
            self._screen.complain(f"There is no command {command[:40]}: /help lists them.")

    async def _approve(self, name: str, arguments: Mapping[str, Any]) -> bool:
        self._screen.pause()
        return await self._keyboard.approve(name, arguments)

    async def _turn(self, question: str) -> None:
        """A turn that Ctrl-C stops."""
        loop = asyncio.get_running_loop()
        running = asyncio.create_task(self._talk.turn(question))
        loop.add_signal_handler(signal.SIGINT, running.cancel)
        try:
            await asyncio.wait({running})
        finally:
            loop.remove_signal_handler(signal.SIGINT)
        if running.cancelled():
            self._screen.tell("Stopped.")
        else:
            running.result()
