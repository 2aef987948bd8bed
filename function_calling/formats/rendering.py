"""Messages and tools as a prompt, in a format, through a model's chat template.

Where the template itself knows the format, it is given the messages as they are. Everywhere else
it frames plain turns only, and the format's own texts stand in them; so a model whose template
knows nothing of tools can still be offered some.
"""

import hashlib
import json
import re
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import takewhile
from typing import Any

from function_calling.errors import RequestError
from function_calling.formats.arguments import object_of
from function_calling.formats.format import Format
from function_calling.formats.template import ChatTemplate
from function_calling.model.words import Message, Tool

_STEP = re.compile(r"(?im)^[ \t]*(?:thought|action|final answer)[ \t]*:")
_OBSERVATION = re.compile(r"(?i)(?<!\s)\s*+observation:\s*+\Z")


def render(
    form: Format,
    template: ChatTemplate,
    messages: Sequence[Message],
    tools: Sequence[Tool],
    *,
    reminded: bool = False,
    closed: bool = False,
    options: Mapping[str, Any] | None = None,
) -> str:
    """The prompt for `messages`, up to where the assistant's turn begins.

    Args:
        form: The format of tools, calls and results.
        template: The model's chat template.
        messages: OpenAI messages whose `content` is text, results in the order of their calls.
        tools: The tools that the model is told of.
        reminded: Whether the last results are followed by the format's `after_results`.
        closed: Whether the last message is the reply, with whose turn the text then ends.
        options: More variables for the template.

    Raises:
        RequestError: The template refuses the messages.
    """
    tools = form.with_answer_tool(tools)
    turns = split_turns(form, [_attributed(template, message) for message in messages])
    if form.native(template):
        shown = [_openai_tool(tool) for tool in tools]
        # What it refuses is told in plain turns, and so are arguments that are no object.
        with suppress(RequestError, ValueError):
            told = fold(template, [_native(turn) for turn in turns])
            return template.render(told, shown, closed=closed, options=options)
    plain, written = _plain_turns(form, template, turns, tools, reminded=reminded)
    return template.render(fold(template, plain), closed=closed, options=options) + written


def split_turns(form: Format, messages: Sequence[Message]) -> list[Message]:
    """The messages as the format parts them.

    Where a turn holds one call, a message with several becomes a turn for each, followed by that
    call's result. A thought stays with the action that it leads to; other text before a call
    becomes a turn of its own.
    """
    if not form.calls_apart:
        return list(messages)
    turns: list[Message] = []
    left = deque(messages)
    while left:
        message = left.popleft()
        calls = message.get("tool_calls")
        if not calls:
            turns.append(message)
            continue
        silent = {**_without("reasoning_content", message), "content": ""}
        if message["content"] and not form.steps:
            # Templates ask whether there is a key "tool_calls".
            turns.append(_without("tool_calls", message))
            message = silent
        for call in calls:
            turns.append({**message, "tool_calls": [call]})
            message = silent
            if len(calls) > 1 and left and left[0].get("tool_call_id") == call["id"]:
                turns.append(left.popleft())
    return turns


def _without(key: str, message: Message) -> Message:
    return {each: value for each, value in message.items() if each != key}


def _attributed(template: ChatTemplate, message: Message) -> Message:
    """The message with who speaks before its text, where the template doesn't write that itself."""
    role, name = message["role"], message.get("name")
    if not name or role == "tool" or template.shows(role, "user", key="name"):
        return message
    content = f"{' '.join(name.split())}: {message['content']}"
    return {**_without("name", message), "content": content}


def fold(template: ChatTemplate, turns: Sequence[Message]) -> list[Message]:
    """The same turns, but for those that the template would refuse or leave out.

    The text of such a system turn stands in the user's turn behind it, neighbours of one role are
    one turn, and an assistant's that nothing precedes gets an empty one of the user's before it.
    """
    asked = ["user"] if any(turn["role"] == "user" for turn in turns) else []
    # Some write it with the user's turn that is last, and else not at all.
    goes_on = ["assistant"] if asked and turns[-1]["role"] != "user" else []
    first = template.shows("system", *asked, *goes_on)
    later = template.shows("system", "system", "user", "assistant", "system", "user")
    beside = template.shows("user", "user", "assistant", "assistant", "user")
    folded: list[Message] = []
    joins = False
    for turn in turns:
        before = folded[-1] if folded else {"role": ""}
        is_system = turn["role"] == "system"
        if is_system and before["role"] != "system" and not (later if folded else first):
            turn = {**turn, "role": "user"}
        if joins and before["role"] == turn["role"] and _is_text(before) and _is_text(turn):
            content = "\n\n".join(filter(None, (before["content"], turn["content"])))
            folded[-1] = {**turn, **before, "content": content}
        else:
            folded.append(turn)
        joins = not beside or (is_system and not later)
    place = len(list(takewhile(lambda it: it["role"] == "system", folded)))
    opening = [turn["role"] for turn in folded[max(place - 1, 0) : place + 1]]
    if opening[-1:] == ["assistant"] and not template.shows(*opening, "user"):
        folded.insert(place, {"role": "user", "content": ""})
    return folded


def _is_text(turn: Message) -> bool:
    return turn["role"] != "tool" and not turn.get("tool_calls")


# Where the template knows the format


def _native(message: Message) -> Message:
    """As templates want it: arguments parsed, and ids of nine letters, as Mistral's demand."""
    shown = dict(message)
    if "tool_call_id" in message:
        shown["tool_call_id"] = _short_id(message["tool_call_id"])
    if message.get("tool_calls"):
        shown["tool_calls"] = [
            {
                "id": _short_id(call["id"]),
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


def _parsed(arguments: str) -> dict[str, Any]:
    """Some templates would write the letters of a text as names of arguments."""
    if (parsed := object_of(arguments)) is None:
        raise ValueError
    return parsed


def _openai_tool(tool: Tool) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
        },
    }


# Where it frames plain turns


def _plain_turns(
    form: Format,
    template: ChatTemplate,
    messages: Sequence[Message],
    tools: Sequence[Tool],
    *,
    reminded: bool,
) -> tuple[list[Message], str]:
    """The messages as turns of text, and the assistant's own turn if it goes on behind results.

    Where the template doesn't know the role whose turn carries results, the user's does.
    """
    own = form.result_role == "assistant"
    result_role = "user" if own else form.result_role
    known = result_role in template.source or form.speaks(template.source)
    called = ("user", "assistant", result_role)
    if not known or not template.shows(*called, *called, "assistant", result_role):
        result_role = "user"
    turns: list[Message] = []
    previous = ""
    for message in _with_tools(form, messages, tools) if tools else messages:
        role, content = message["role"], _turn_text(form, message, previous)
        goes_on = previous == role == "tool"
        if own and turns and turns[-1]["role"] == "assistant":
            goes_on = role == "tool" or (previous, role) == ("tool", "assistant")
        if goes_on:
            before = turns[-1]["content"]
            # Clients that keep a model's own text send its last marker, too.
            before = _OBSERVATION.sub("", before) if previous == "assistant" else before
            turns[-1]["content"] = before + ("" if before.endswith("\n") else "\n") + content
        else:
            turn = {"role": result_role if role == "tool" else role, "content": content}
            turns.append(turn | _beside_content(message))
        previous = role
    if reminded:
        turns[-1]["content"] += form.after_results
    if own and previous == "tool" and turns[-1]["role"] == "assistant":
        return turns[:-1], turns[-1]["content"]
    return turns, ""


def _with_tools(form: Format, messages: Sequence[Message], tools: Sequence[Tool]) -> list[Message]:
    """The same messages with the tools told where the format tells them."""
    shapes = [_openai_tool(tool) for tool in tools]
    if form.tool_text == "function":
        shapes = [shape["function"] for shape in shapes]
    written = [
        json.dumps(shape, ensure_ascii=False, indent=form.tools_indent)
        for shape in ([shapes] if form.tools_listed else shapes)
    ]
    told = form.tools_prompt.replace("{names}", ",".join(tool.name for tool in tools))
    told = told.replace("{tools}", "\n".join(written))
    role = "system" if form.tools_turn == "system" else "user"
    places = [index for index, each in enumerate(messages) if each["role"] == role]
    if not places:
        return [{"role": role, "content": told}, *messages]
    place = places[-1 if form.tools_turn == "last user" else 0]
    content = messages[place]["content"]
    parts = [content, told] if role == "system" else [told, content]
    changed = {**messages[place], "content": "\n\n".join(filter(None, parts))}
    return [*messages[:place], changed, *messages[place + 1 :]]


def _turn_text(form: Format, message: Message, previous: str) -> str:
    """What stands in the message's turn, its calls included; `previous` is the role before it."""
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
        content += form.calls([(each["name"], each["arguments"]) for each in calls], content)
    return content


def _beside_content(message: Message) -> Message:
    """What was thought before the message and who speaks, for templates that show it."""
    keys = ("reasoning_content", "name") if message["role"] != "tool" else ()
    return {key: message[key] for key in keys if key in message}
