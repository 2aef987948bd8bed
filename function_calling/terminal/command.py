"""The command `chat`: a dialogue at a terminal, or one question and its answer."""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace

from platformdirs import user_state_path

from function_calling.assistant import Assistant
from function_calling.llama_client import llama_client
from function_calling.settings import Settings
from function_calling.terminal.dialogue import Dialogue
from function_calling.terminal.screen import Screen
from function_calling.terminal.talk import Talk
from function_calling.tool_sets import ToolSet


def chat_settings(environ: Mapping[str, str]) -> Settings:
    """The settings, with the server of OpenAI's own variables, if they name one, as `LLAMA_URL`.

    Raises:
        SettingsError: A variable's value can't be used.
    """
    settings = Settings.from_env(environ)
    if not (url := environ.get("OPENAI_BASE_URL", "").strip()):
        return settings
    return replace(
        settings,
        llama_url=url,
        llama_api_key=environ.get("OPENAI_API_KEY", "").strip(),
        llama_model=environ.get("OPENAI_MODEL_NAME", "").strip(),
    )


def chat(
    settings: Settings,
    question: str | None,
    tool_sets: Mapping[str, Callable[[Settings], ToolSet]],
) -> int:
    """Talk, or answer one question: `question`, or all of standard input if it is no terminal.

    Args:
        settings: With `llama_url`, where the model is.
        question: What is asked; None where a person or standard input asks.
        tool_sets: Our own tool sets by name.

    Returns:
        The exit status: 1 where one question was asked that has no answer.

    Raises:
        SettingsError: A tool set can't be had.
        KeyboardInterrupt: The process was told to end.
    """
    # What went wrong in a tool is shown beside its call; a trace would break into the dialogue.
    logging.getLogger("function_calling").addHandler(logging.NullHandler())
    dialogue = question is None and sys.stdin.isatty() and sys.stdout.isatty()
    if question is None and not dialogue:
        question = sys.stdin.buffer.read().decode(errors="replace")
    try:
        return asyncio.run(_chat(settings, question, tool_sets))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _chat(
    settings: Settings,
    question: str | None,
    tool_sets: Mapping[str, Callable[[Settings], ToolSet]],
) -> int:
    chatting = asyncio.current_task()
    assert chatting is not None
    # As an exception out of nowhere, these would look like Ctrl-C to whoever awaits a line.
    for ending in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(ending, chatting.cancel)
    async with llama_client(settings.llama_url, settings) as client:
        assistant = Assistant(settings, client, tool_sets)
        try:
            if question is None:
                history = user_state_path("function-calling") / "chat_history"
                await Dialogue(assistant, Screen(sys.stdout, sys.stdout), history).run()
                return 0
            return 0 if await Talk(assistant, Screen(sys.stdout, sys.stderr)).turn(question) else 1
        finally:
            assistant.close()
