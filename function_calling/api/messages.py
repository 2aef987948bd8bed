"""OpenAI's messages as the model half reads them: text, known roles, calls and results linked.

Histories come from many clients, and what a client once got wrong it sends again with every
request; so whatever has one sensible reading is read.
"""

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, TypeAlias

from pydantic_core import from_json

from function_calling.errors import wrong
from function_calling.model.words import Message

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}

_BESIDE_CONTENT = {
    "system": ("name",),
    "user": ("name",),
    "assistant": ("reasoning_content", "reasoning"),
    "tool": (),
}
"""What else is read of a message, as the first name says, under the first that is there."""

_PARTS = ("text", "refusal", "image_url", "input_audio", "file")
"""The types of OpenAI's parts of a message."""
_WANTED = "text, or parts of type text"
_ESCAPE = re.compile(r"(?:\\\\)+|\\(?:/|u([0-9a-fA-F]{4}))")

_Called: TypeAlias = tuple[dict[str, Any], list[Message]]
"""A call, and the place of its results."""
_Waiting: TypeAlias = dict[tuple[str, str], list[_Called]]
"""The calls that may lack a result, the next one last: by id, by name, and all of them."""


def conversation(messages: Sequence[Mapping[str, Any]]) -> list[Message]:
    """The messages with `content` as text, and with every result's `tool_call_id`.

    A result follows the message of its call, in the order of the calls: most models are told no
    ids, so the order alone says which call it answers. One that answers none stays where it is.

    Raises:
        RequestError: Names the message, its value and what was wanted.
    """
    parts: list[list[Message]] = []
    waiting: _Waiting = defaultdict(list)
    for index, told in enumerate(messages):
        message = _message(told, f"messages[{index}]")
        if message["role"] != "tool":
            called: list[_Called] = [(call, []) for call in message.get("tool_calls", ())]
            parts += [[message], *(results for _, results in called)]
            for call, results in reversed(called):
                for key in (("id", call["id"]), ("name", call["function"]["name"]), ("", "")):
                    waiting[key].append((call, results))
        elif found := _answered(told, waiting):
            call, results = found
            results.append(message | {"tool_call_id": call["id"], "name": call["function"]["name"]})
        else:
            identity = str(told.get("tool_call_id") or f"call_{index}")
            parts.append([message | {"tool_call_id": identity}])
    return list(chain.from_iterable(parts))


def _answered(result: Mapping[str, Any], waiting: _Waiting) -> _Called | None:
    """The call that a result answers: of those that are alike, the first of the last message.

    Some clients use the same ids in every turn. Older ones send none: their results answer the
    calls of their own name in order, or else all calls in order.
    """
    keys = [("name", str(result.get("name"))), ("", "")]
    if identity := result.get("tool_call_id"):
        keys = [("id", str(identity))]
    for key in keys:
        while waiting[key]:
            call, results = waiting[key].pop()
            if not results:
                return call, results
    return None


def _message(message: Mapping[str, Any], place: str) -> Message:
    role = _ROLES.get(str(message.get("role")))
    if role is None:
        raise wrong(f"{place}.role", message.get("role"), f"one of {', '.join(_ROLES)}")
    content = message.get("content")
    if content is None and role == "assistant":
        content = message.get("refusal")
    read = _data if role == "tool" else text_of
    result: Message = {"role": role, "content": read(content, f"{place}.content")}
    if key := next((key for key in _BESIDE_CONTENT[role] if message.get(key)), None):
        if not isinstance(message[key], str):
            raise wrong(f"{place}.{key}", message[key], "text")
        result[_BESIDE_CONTENT[role][0]] = message[key]
    if role == "assistant" and (calls := _calls(message, place)):
        result["tool_calls"] = calls
    return result


def text_of(content: Any, place: str, *, of_a_tool: bool = False) -> str:
    """The text of a content: that of its parts, or an object as JSON.

    What a tool has returned beside text, as a picture, is named, so that the model knows of it.

    Raises:
        RequestError: It is something else; names the part, its value and what was wanted.
    """
    match content:
        case None | str():
            return content or ""
        case dict():
            return json.dumps(content, ensure_ascii=False)
        case list():
            parts = ((part, f"{place}[{at}]") for at, part in enumerate(content))
            return "\n".join(_part_text(*each, of_a_tool=of_a_tool) for each in parts)
    raise wrong(place, content, _WANTED)


def _part_text(part: Any, place: str, *, of_a_tool: bool) -> str:
    text = part
    if isinstance(part, dict):
        text = part.get("refusal" if part.get("type") == "refusal" else "text")
        if of_a_tool and text is None and isinstance(part.get("type"), str):
            return f"[Left out: {part['type']}]"
    if not isinstance(text, str):
        raise wrong(place, part, _WANTED)
    return text


def _data(content: Any, place: str) -> str:
    """A tool's result as text; what is neither text nor parts of a message is shown as JSON."""
    parts = content if isinstance(content, list) else [content]
    if content and all(map(_is_part, parts)):
        return text_of(content, place, of_a_tool=True)
    return "" if content in (None, "") else json.dumps(content, ensure_ascii=False)


def _is_part(part: Any) -> bool:
    return isinstance(part, str) or (isinstance(part, dict) and part.get("type") in _PARTS)


def _calls(message: Mapping[str, Any], place: str) -> list[dict[str, Any]]:
    """The calls of an assistant's message: `tool_calls`, `function_call`, or `tool_call`.

    The last is a list of JSON texts, each a tool call, as some clients keep what they streamed.
    """
    keys = ("tool_calls", "function_call", "tool_call")
    key = next((key for key in keys if message.get(key)), None)
    if key is None:
        return []
    calls = [message[key]] if key == "function_call" else message[key]
    if not isinstance(calls, list):
        raise wrong(f"{place}.{key}", calls, "a list")
    return [_call(call, f"{place}.{key}[{index}]") for index, call in enumerate(calls)]


def _call(told: Any, place: str) -> dict[str, Any]:
    call = _read(told) if isinstance(told, str) else told
    function = call.get("function", call) if isinstance(call, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(function, dict) or not isinstance(name, str):
        raise wrong(place, told, "a function with a name")
    arguments = function.get("arguments") or "{}"
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    elif "\\" in arguments:
        # An escape could hide what spells a control token.
        arguments = plain_json(arguments)
    return {
        "id": str(call.get("id") or place),
        "function": {"name": name, "arguments": arguments},
    }


def plain_json(text: str) -> str:
    """The same JSON without escapes but those that it needs; half a surrogate pair is replaced."""

    def plain(escape: re.Match[str]) -> str:
        character = chr(int(escape[1], 16)) if escape[1] else escape[0][1]
        return escape[0] if character in '"\\' or character < " " else character

    # This way the halves of a pair become one character.
    return _ESCAPE.sub(plain, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _read(text: str) -> Any:
    try:
        return from_json(text)
    except ValueError:
        return None
