"""Messages and tools as a prompt, in a format, through a model's chat template.

Where the template itself knows the format, it is given the messages as they are. Everywhere else
it frames plain turns only, and the format's own texts stand in them; so a model whose template
knows nothing of tools can still be offered some.
"""

import hashlib
from collections.abc import Mapping, Sequence
from itertools import islice, takewhile
from typing import Any

from pydantic_core import from_json

from function_calling.formats.format import Format
from function_calling.formats.plain_turns import openai_tool, plain_turns, reasoning_of, turn_text
from function_calling.formats.template import ChatTemplate
from function_calling.model.words import Message, Tool


def render(
    form: Format,
    template: ChatTemplate,
    messages: Sequence[Message],
    tools: Sequence[Tool],
    *,
    reminded: bool = False,
    reply: Message | None = None,
    options: Mapping[str, Any] | None = None,
) -> str:
    """The prompt for `messages`, up to where the assistant's turn begins.

    Args:
        form: The format of tools, calls and results.
        template: The model's chat template.
        messages: OpenAI messages whose `content` is text.
        tools: The tools that the model is told of.
        reminded: Whether the last results are followed by the format's `after_results`.
        reply: What the assistant says in that turn; the text then goes on to the turn's end.
        options: More variables for the template.

    Raises:
        RequestError: The template refuses the messages.
    """
    tools = form.with_answer_tool(tools)
    turns = split_turns(form, messages)
    if form.native(template.source):
        told = [_native(form, turn) for turn in (*turns, *([reply] if reply else ()))]
        shown = [openai_tool(tool) for tool in tools]
        return template.render(told, shown, closed=bool(reply), options=options)
    plain, written = plain_turns(form, template, turns, tools, reminded=reminded)
    if reply is None:
        return template.render(plain, options=options) + written
    said = written + turn_text(form, reply, turns[-1]["role"] if turns else "")
    turn = {"role": "assistant", "content": said, **reasoning_of(reply)}
    return template.render([*plain, turn], closed=True, options=options)


def _native(form: Format, message: Message) -> Message:
    """Templates write a call's arguments as JSON themselves, so they want them parsed."""
    shown = dict(message)
    if form.short_ids and "tool_call_id" in message:
        shown["tool_call_id"] = _short_id(message["tool_call_id"])
    if message.get("tool_calls"):
        shown["tool_calls"] = [
            {
                "id": _short_id(call["id"]) if form.short_ids else call["id"],
                "type": "function",
                "function": {
                    "name": call["function"]["name"],
                    "arguments": _parsed(call["function"]["arguments"]),
                },
            }
            for call in message["tool_calls"]
        ]
    return shown


def _short_id(identity: str) -> str:
    return hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()[:9]


def _parsed(arguments: str) -> Any:
    """A history may hold arguments that are no JSON; the model is then shown their text."""
    try:
        return from_json(arguments)
    except ValueError:
        return arguments


def split_turns(form: Format, messages: Sequence[Message]) -> list[Message]:
    """The messages as the format parts them.

    Where a turn holds one call, a message with several becomes a turn for each, followed by that
    call's result. A thought stays with the action that it leads to; other text before a call
    becomes a turn of its own.
    """
    if not form.calls_apart:
        return list(messages)
    told: set[int] = set()
    turns: list[Message] = []
    for index, message in enumerate(messages):
        calls = message.get("tool_calls") or []
        content = message["content"]
        if calls and content and not form.steps:
            # Templates ask whether there is a key "tool_calls".
            turns.append(_without("tool_calls", message))
            message, content = _without("reasoning_content", message), ""
        for call in calls:
            turns.append({**message, "content": content, "tool_calls": [call]})
            message, content = _without("reasoning_content", message), ""
            result = next(
                (
                    later
                    for later in takewhile(_is_result, islice(messages, index + 1, None))
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


def _without(key: str, message: Message) -> Message:
    return {each: value for each, value in message.items() if each != key}


def _is_result(message: Message) -> bool:
    return bool(message["role"] == "tool")
