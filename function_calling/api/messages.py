"""OpenAI's messages as the model half reads them: text, known roles, calls and results linked.

Histories come from many clients, and what a client once got wrong it sends again with every
request; so whatever has one sensible reading is read.
"""

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, TypeAlias

from pydantic_core import from_json

from function_calling.errors import RequestError, wrong
from function_calling.model.words import Message

MOST_MESSAGES = 4096
"""Messages of a request at most, with the calls that have no result."""

_ROLES = {
    **{role: role for role in ("system", "user", "assistant", "tool")},
    **{"developer": "system", "function": "tool"},
}
_PARTS = (
    *("text", "input_text", "output_text", "refusal", "image_url", "input_image", "image"),
    *("input_audio", "file", "input_file", "document"),
)
"""The types of the parts of a content, in all protocols."""
_WANTED = "text, or parts of type text"
_ESCAPE = re.compile(r"(?:\\\\)+|\\(?:/|u([0-9a-fA-F]{4}))")

_Called: TypeAlias = tuple[dict[str, Any], list[Message]]
"""A call, and the place of its results."""


def conversation(messages: Sequence[Mapping[str, Any]]) -> list[Message]:
    """The messages with `content` as text, and with every result's `tool_call_id`.

    A result follows the message of its call, in the order of the calls: most models are told no
    ids, so the order alone says which call it answers. Of calls that are alike it answers the first
    of the last message, since some clients use the same ids in every turn. Older ones send none:
    their results answer all calls in order. One that answers none stays where it is.

    Raises:
        RequestError: Names the message, its value and what was wanted.
    """
    parts: list[list[Message]] = []
    # Those that may lack a result, the next one last, by id; and under "" all of them.
    waiting: defaultdict[str, list[_Called]] = defaultdict(list)
    for index, told in enumerate(messages):
        message = _message(told, f"messages[{index}]")
        if message["role"] != "tool":
            called: list[_Called] = [(call, []) for call in message.get("tool_calls", ())]
            parts += [[message], *(results for _, results in called)]
            for call, results in reversed(called):
                for key in (call["id"], ""):
                    waiting[key].append((call, results))
            continue
        identity = str(told.get("tool_call_id") or "")
        if found := _unanswered(waiting[identity]):
            call, results = found
            results.append(message | {"tool_call_id": call["id"], "name": call["function"]["name"]})
        else:
            parts.append([message | {"tool_call_id": identity or f"call_{index}"}])
    if len(parts) > MOST_MESSAGES:
        held = f"messages hold {len(parts)} messages and open calls"
        raise RequestError(f"{held}; wanted {MOST_MESSAGES} at most.", param="messages")
    return list(chain.from_iterable(parts))


def _unanswered(calls: list[_Called]) -> _Called | None:
    """The last of these calls that has no result; those behind it are dropped."""
    while calls:
        call, results = calls.pop()
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
    text = result_text(content) if role == "tool" else text_of(content, f"{place}.content")
    result: Message = {"role": role, "content": text}
    if role == "assistant" and (calls := _calls(message, place)):
        result["tool_calls"] = calls
    # What else is read, as the first name says, under the first that is there.
    names = {"assistant": ("reasoning_content", "reasoning"), "tool": ()}.get(role, ("name",))
    if key := next((name for name in names if message.get(name)), None):
        if not isinstance(message[key], str):
            raise wrong(f"{place}.{key}", message[key], "text")
        result[names[0]] = message[key]
    return result


def text_of(content: Any, place: str) -> str:
    """The text of a message's content, or that of its parts.

    Raises:
        RequestError: It is something else; names the part, its value and what was wanted.
    """
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise wrong(place, content, _WANTED)
    texts = []
    for index, part in enumerate(content):
        text = _part_text(part)
        if text is None:
            raise wrong(f"{place}[{index}]", part, _WANTED)
        texts.append(text)
    return "\n".join(texts)


def _part_text(part: Any) -> str | None:
    """The text of a part; None if it has none."""
    if isinstance(part, dict):
        part = part.get("refusal" if part.get("type") == "refusal" else "text")
    return part if isinstance(part, str) else None


def result_text(content: Any) -> str:
    """A tool's result as text; what is neither text nor parts of a content is shown as JSON.

    A part without text, as a picture, is named, so that the model knows of it.
    """
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, list) and content and all(map(_is_part, content)):
        texts = ((part, _part_text(part)) for part in content)
        return "\n".join(f"[Left out: {part['type']}]" if t is None else t for part, t in texts)
    return json.dumps(content, ensure_ascii=False)


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
    call = told
    if isinstance(told, str):
        with suppress(ValueError):
            call = from_json(told)
    match call:
        case {"function": {"name": str()} as function} | ({"name": str()} as function):
            arguments = function.get("arguments") or "{}"
        case _:
            raise wrong(place, told, "a function with a name")
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    elif "\\" in arguments:
        # An escape could hide what spells a control token.
        arguments = plain_json(arguments)
    return {
        "id": str(call.get("id") or place),
        "function": {"name": function["name"], "arguments": arguments},
    }


def plain_json(text: str) -> str:
    """The same JSON without escapes but those that it needs; half a surrogate pair is replaced."""

    def plain(escape: re.Match[str]) -> str:
        character = chr(int(escape[1], 16)) if escape[1] else escape[0][1]
        return escape[0] if character in '"\\' or character < " " else character

    # This way the halves of a pair become one character.
    return _ESCAPE.sub(plain, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
