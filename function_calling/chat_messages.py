"""OpenAI's messages as the model half reads them: text, known roles, calls and results linked.

Histories come from many clients, and what a client once got wrong it sends again with every
request; so whatever has one sensible reading is read.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from function_calling.errors import RequestError, shown
from function_calling.messages import Message

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}


def conversation(messages: Sequence[Mapping[str, Any]]) -> list[Message]:
    """The messages with `content` as text, and with every result's `tool_call_id`.

    Raises:
        RequestError: Names the message, its value and what was wanted.
    """
    unanswered: list[str] = []
    return [_message(message, index, unanswered) for index, message in enumerate(messages)]


def _message(message: Mapping[str, Any], index: int, unanswered: list[str]) -> Message:
    place = f"messages[{index}]"
    role = _ROLES.get(str(message.get("role")))
    if role is None:
        raise RequestError(
            f"{place}.role={shown(message.get('role'))}: wanted one of {', '.join(_ROLES)}.",
            param="messages",
        )
    result: Message = {"role": role, "content": _text(message.get("content"), place)}
    if role == "assistant" and message.get("tool_calls"):
        result["tool_calls"] = _calls(message["tool_calls"], place)
        unanswered += [call["id"] for call in result["tool_calls"]]
    if role == "tool":
        # Older clients send results without ids: those answer the calls in order.
        called = message.get("tool_call_id") or next(iter(unanswered), f"call_{index}")
        result["tool_call_id"] = str(called)
        if called in unanswered:
            unanswered.remove(called)
    return result


def _text(content: Any, place: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, dict):
        return json.dumps(content, ensure_ascii=False)
    parts = content if isinstance(content, list) else [content]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise RequestError(
            f"{place}.content={shown(content)}: wanted text, or parts of type text.",
            param="messages",
        )
    return "".join(map(str, texts))


def _calls(calls: Any, place: str) -> list[dict[str, Any]]:
    if not isinstance(calls, list):
        raise RequestError(f"{place}.tool_calls={shown(calls)}: wanted a list.", param="messages")
    result = []
    for index, call in enumerate(calls):
        function = call.get("function") if isinstance(call, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(function, dict) or not isinstance(name, str):
            raise RequestError(
                f"{place}.tool_calls[{index}]={shown(call)}: wanted a function with a name.",
                param="messages",
            )
        arguments = function.get("arguments") or "{}"
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)
        identity = str(call.get("id") or f"{place}.{index}")
        result.append({"id": identity, "function": {"name": name, "arguments": arguments}})
    return result
