"""Messages and tools as a prompt, in a format, through a model's chat template.

Where the template itself knows the format, it is given the messages as they are. Everywhere else
it frames plain turns only, and the format's own texts stand in them; so a model whose template
knows nothing of tools can still be offered some.
"""

import json
from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json

from function_calling.formats.format import Format
from function_calling.formats.template import ChatTemplate
from function_calling.messages import Message, Tool


def render(
    form: Format, template: ChatTemplate, messages: Sequence[Message], tools: Sequence[Tool]
) -> str:
    """The prompt for `messages`, up to where the assistant's turn begins.

    Args:
        form: The format of tools, calls and results.
        template: The model's chat template.
        messages: OpenAI messages whose `content` is text.
        tools: The tools that the model is told of.

    Raises:
        RequestError: The template refuses the messages.
    """
    turns = _one_call_a_turn(messages) if form.calls_apart else list(messages)
    if form.native(template.source):
        return template.render(
            [_native(turn) for turn in turns], [_openai_tool(tool) for tool in tools]
        )
    plain = _plain(form, template, turns)
    return template.render(_with_tools(form, plain, tools) if tools else plain)


def _openai_tool(tool: Tool) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
        },
    }


def _native(message: Message) -> Message:
    """Templates write a call's arguments as JSON themselves, so they want them parsed."""
    if not message.get("tool_calls"):
        return message
    calls = [
        {
            "id": call["id"],
            "type": "function",
            "function": {
                "name": call["function"]["name"],
                "arguments": _parsed(call["function"]["arguments"]),
            },
        }
        for call in message["tool_calls"]
    ]
    return {**message, "tool_calls": calls}


def _parsed(arguments: str) -> Any:
    """A history may hold arguments that are no JSON; the model is then shown their text."""
    try:
        return from_json(arguments)
    except ValueError:
        return arguments


def _one_call_a_turn(messages: Sequence[Message]) -> list[Message]:
    """A turn with several calls becomes a turn for each, followed by that call's result."""
    told: set[int] = set()
    turns: list[Message] = []
    for index, message in enumerate(messages):
        calls = message.get("tool_calls") or []
        if calls and message.get("content"):
            turns.append({"role": "assistant", "content": message["content"]})
        for call in calls:
            turns.append({"role": "assistant", "content": "", "tool_calls": [call]})
            # The nearest that is left: some clients use the same ids in every turn.
            result = next(
                (
                    later
                    for later in messages[index + 1 :]
                    if later.get("tool_call_id") == call["id"] and id(later) not in told
                ),
                None,
            )
            if result is not None and len(calls) > 1:
                turns.append(result)
                told.add(id(result))
        if not calls and id(message) not in told:
            turns.append(message)
    return turns


def _plain(form: Format, template: ChatTemplate, messages: Sequence[Message]) -> list[Message]:
    """Calls and results as text in ordinary turns."""
    result_role = form.result_role if form.result_role in template.source else "user"
    turns: list[Message] = []
    previous = ""
    for message in messages:
        content = message["content"]
        if message.get("tool_calls"):
            functions = [call["function"] for call in message["tool_calls"]]
            content += form.before_call(content, 0)
            content += form.calls([(each["name"], each["arguments"]) for each in functions])
        role = message["role"]
        if role == "tool":
            content = form.result.replace("{content}", content)
            if previous == "tool":
                turns[-1]["content"] += "\n" + content
                continue
        turns.append({"role": result_role if role == "tool" else role, "content": content})
        previous = role
    return turns


def _with_tools(form: Format, turns: Sequence[Message], tools: Sequence[Tool]) -> list[Message]:
    """The same turns with the tools told where the format tells them."""
    listed = "\n".join(
        json.dumps(_openai_tool(tool), ensure_ascii=False, indent=form.tools_indent)
        for tool in tools
    )
    told = form.tools_prompt.replace("{tools}", listed)
    first = next((i for i, turn in enumerate(turns) if turn["role"] == form.tools_turn), None)
    if first is None:
        return [{"role": form.tools_turn, "content": told}, *turns]
    content = turns[first]["content"]
    parts = [content, told] if form.tools_turn == "system" else [told, content]
    changed = {"role": form.tools_turn, "content": "\n\n".join(filter(None, parts))}
    return [*turns[:first], changed, *turns[first + 1 :]]
