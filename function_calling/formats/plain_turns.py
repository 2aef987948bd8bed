"""Calls and results as text in the plain turns of any chat template."""

import json
import re
from collections.abc import Sequence
from textwrap import indent
from typing import Any

from function_calling.formats.format import Format
from function_calling.formats.template import ChatTemplate
from function_calling.model.words import Message, Tool

_STEP = re.compile(r"(?im)^[ \t]*(?:thought|action|final answer)[ \t]*:")
_OBSERVATION = re.compile(r"(?i)\s*observation:\s*\Z")


def plain_turns(
    form: Format,
    template: ChatTemplate,
    messages: Sequence[Message],
    tools: Sequence[Tool],
    *,
    reminded: bool = False,
) -> tuple[list[Message], str]:
    """The messages as turns of text, and the assistant's own turn if it goes on behind results.

    Args:
        form: The format of tools, calls and results.
        template: Frames the turns.
        messages: OpenAI messages whose `content` is text.
        tools: The tools that the model is told of; may be none.
        reminded: Whether the last results are followed by `after_results`.
    """
    results = form.result_role if form.knows_results(template.source) else "user"
    turns: list[Message] = []
    previous = ""
    for message in _with_tools(form, messages, tools) if tools else messages:
        role, content = message["role"], turn_text(form, message, previous)
        behind = bool(turns) and previous == role == "tool"
        if results == "assistant":
            behind = bool(turns) and turns[-1]["role"] == "assistant" and "tool" in (role, previous)
            behind = behind and role in ("tool", "assistant")
        if behind:
            turns[-1]["content"] = _joined(turns[-1]["content"], content)
        elif role == "tool" and results == "assistant":
            turns.append({"role": "user", "content": content})
        else:
            turn = {"role": results if role == "tool" else role, "content": content}
            turns.append(turn | reasoning_of(message))
        previous = role
    if reminded:
        turns[-1]["content"] += form.after_results
    if results == "assistant" and previous == "tool" and turns[-1]["role"] == "assistant":
        return turns[:-1], turns[-1]["content"]
    return turns, ""


def reasoning_of(message: Message) -> Message:
    """What was thought before the message, for templates that show it."""
    return {key: message[key] for key in ("reasoning_content",) if key in message}


def turn_text(form: Format, message: Message, previous: str) -> str:
    """What stands in the message's turn, its calls included.

    Args:
        form: The format of calls and results.
        message: Its `content` is text.
        previous: The role of the message before it; "" if there is none.
    """
    content: str = message["content"]
    if message["role"] == "tool":
        return form.result.replace("{content}", content)
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    if form.steps and message["role"] == "assistant" and content and not _STEP.search(content):
        if calls:
            content = f"Thought: {content}"
        elif previous == "tool":
            content = f"Final Answer: {content}"
    if calls:
        content += form.before_call(content).removesuffix(form.calls_open)
        content += form.calls([(each["name"], each["arguments"]) for each in calls])
    return content


def _joined(before: str, content: str) -> str:
    """One turn's text goes on; clients that keep a model's own text send its last marker too."""
    before = _OBSERVATION.sub("", before)
    return before + ("" if before.endswith("\n") else "\n") + content


def _with_tools(form: Format, messages: Sequence[Message], tools: Sequence[Tool]) -> list[Message]:
    """The same messages with the tools told where the format tells them."""
    told = form.tools_prompt.replace("{names}", ",".join(tool.name for tool in tools))
    told = told.replace(
        "{tools}", form.tools_separator.join(tool_text(form, tool) for tool in tools)
    )
    role = "system" if form.tools_turn == "system" else "user"
    places = [index for index, each in enumerate(messages) if each["role"] == role]
    if not places:
        return [{"role": role, "content": told}, *messages]
    place = places[-1 if form.tools_turn == "last user" else 0]
    content = messages[place]["content"]
    parts = [content, told] if role == "system" else [told, content]
    changed = {"role": role, "content": "\n\n".join(filter(None, parts))}
    return [*messages[:place], changed, *messages[place + 1 :]]


def tool_text(form: Format, tool: Tool) -> str:
    """What the model is told of a tool."""
    shape = openai_tool(tool)
    value = shape if form.tool_text == "object" else shape["function"]
    text = json.dumps(value, ensure_ascii=False, indent=form.tools_indent)
    return indent(text, form.tools_margin)


def openai_tool(tool: Tool) -> dict[str, Any]:
    """A tool as OpenAI's API has it."""
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
        },
    }
