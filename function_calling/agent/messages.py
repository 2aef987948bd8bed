"""A conversation as OpenAI's `messages`: checked when it comes in, written as servers accept it.

Its turns are those that people keep: `system` (or `developer`) first, if at all, then `user`,
`assistant`, and `tool` messages behind the calls that they answer; a `user` message is last, or
where a person was asked for a yes, an `assistant` message with calls that lack a result.
(https://platform.openai.com/docs/api-reference/chat/create)
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from function_calling.errors import RequestError, shown
from function_calling.settings import Settings
from function_calling.toolbox.toolbox import ToolResult

ROLES = ("system", "developer", "user", "assistant", "tool")
MOST_MESSAGES = 200


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call as the model wrote it; `arguments` may be no JSON at all."""

    id: str
    name: str
    arguments: str

    @property
    def key(self) -> tuple[str, str]:
        """The same for calls that differ in spelling alone: white space, escapes, order."""
        try:
            members = json.loads(self.arguments, parse_float=str)  # exactly
            return self.name, json.dumps(members, sort_keys=True)
        except (ValueError, RecursionError):
            return self.name, self.arguments


def calls_message(text: str | None, calls: Iterable[Call]) -> dict[str, Any]:
    """The model's calls as a message of the history."""
    return {
        "role": "assistant",
        "content": text or None,
        "tool_calls": [_called(call) for call in calls],
    }


def _called(call: Call) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def calls_of(message: Mapping[str, Any]) -> list[Call]:
    """The calls that a message of the history has."""
    return [
        Call(each["id"], each["function"]["name"], each["function"]["arguments"])
        for each in message.get("tool_calls", ())
    ]


def as_servers_take(messages: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The history, with `{}` for arguments that are no JSON object, which many servers refuse."""
    for message in messages:
        each = {key: value for key, value in message.items() if key != "ok"}
        calls = (replace(it, arguments=_object_text(it.arguments)) for it in calls_of(each))
        yield calls_message(each["content"], calls) if "tool_calls" in each else each


def results_messages(told: Iterable[tuple[Call, ToolResult]]) -> list[dict[str, Any]]:
    """What came of the calls as messages of the history; `ok` says whether one found something."""
    return [
        {
            "role": "tool",
            "tool_call_id": call.id,
            "content": result.content,
            "ok": result.ok and not result.final,
        }
        for call, result in told
    ]


def prompted(messages: Sequence[dict[str, Any]], system_prompt: str) -> list[dict[str, Any]]:
    """The conversation behind a system prompt, to which those in it are added."""
    own = [each["content"] for each in messages if each["role"] == "system"]
    turns = [each for each in messages if each["role"] != "system"]
    return [{"role": "system", "content": "\n\n".join([system_prompt, *own])}, *turns]


def question_at(messages: Sequence[Mapping[str, Any]]) -> int:
    """The place of the last question; -1 where there is none."""
    return max((at for at, each in enumerate(messages) if each["role"] == "user"), default=-1)


def read_query(query: str, most: int) -> list[dict[str, Any]]:
    """A question alone, of `most` characters at most, as a conversation.

    Raises:
        RequestError: It is empty or too long.
    """
    _check_question(query, "query", most)
    return [{"role": "user", "content": query}]


def read_messages(
    messages: Any, settings: Settings, approvals: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    """The conversation, its contents as plain text.

    Args:
        settings: Bound the last question, and what there is up to it and again behind it.
        approvals: What was said to open calls, by id; None where nobody can be asked.

    Raises:
        RequestError: They are no conversation, or a part is too long; `param` names the part.
    """
    if not isinstance(messages, list) or not messages:
        raise _wrong("messages", messages, "a list of messages")
    read: list[dict[str, Any]] = []
    waiting: set[str] = set()
    for index, message in enumerate(messages):
        at = f"messages[{index}]"
        read.append(_read(message, at, waiting, first=index == 0))
    _check_approvals(approvals or {}, waiting)
    if read[-1]["role"] != "user" and (approvals is None or not waiting):
        raise _wrong(f"messages[{len(read) - 1}].role", read[-1]["role"], "user, as the last one")
    asked = question_at(read)
    if asked < 0:
        raise _wrong("messages[0].role", read[0]["role"], "user, before a call")
    _check_question(read[asked]["content"], f"messages[{asked}].content", settings.max_query_length)
    for part in (read[: asked + 1], read[asked + 1 :]):
        if len(part) > MOST_MESSAGES:
            raise _long("messages", len(part), MOST_MESSAGES, "messages")
        if (size := len(json.dumps(part, ensure_ascii=False))) > settings.max_chat_length:
            raise _long("messages", size, settings.max_chat_length)
    return read


def _check_approvals(approvals: Mapping[str, Any], waiting: Collection[str]) -> None:
    for call, said in approvals.items():
        if call not in waiting or not isinstance(said, bool):
            calls = ", ".join(sorted(waiting)) or "none"
            wanted = f"true or false for calls that lack a result: {calls}"
            raise _wrong("approvals", {call: said}, wanted)


def _check_question(text: str, param: str, most: int) -> None:
    if not text.strip():
        raise RequestError(f"{param} is empty; wanted a question.", param=param)
    if len(text) > most:
        raise _long(param, len(text), most)


def _read(message: Any, at: str, waiting: set[str], *, first: bool) -> dict[str, Any]:
    """One message; `waiting` are the calls whose results must follow, and is kept up to date."""
    if not isinstance(message, dict):
        raise _wrong(at, message, "an object with role and content")
    role = message.get("role")
    if role not in ROLES:
        raise _wrong(f"{at}.role", role, f"one of {', '.join(ROLES)}")
    if role == "tool":
        return _result(message, at, waiting)
    if waiting:
        raise _wrong(f"{at}.role", role, f"tool, with the result of {', '.join(sorted(waiting))}")
    if role in ("system", "developer"):
        role = "system"
        if not first:
            raise _wrong(f"{at}.role", role, "user, assistant or tool: only the first may be this")
    if role != "assistant" or not message.get("tool_calls"):
        return {"role": role, "content": _text(message, at)}
    calls = _calls(message["tool_calls"], f"{at}.tool_calls")
    waiting.update(call["id"] for call in calls)
    text = None if message.get("content") is None else _text(message, at)
    return {"role": role, "content": text, "tool_calls": calls}


def _result(message: dict[str, Any], at: str, waiting: set[str]) -> dict[str, Any]:
    answered = message.get("tool_call_id")
    if not isinstance(answered, str) or answered not in waiting:
        raise _wrong(f"{at}.tool_call_id", answered, "the id of a call before it")
    waiting.discard(answered)
    result = {"role": "tool", "tool_call_id": answered, "content": _text(message, at)}
    return result | ({"ok": message["ok"]} if isinstance(message.get("ok"), bool) else {})


def _text(message: dict[str, Any], at: str) -> str:
    """The message's content, also where it comes as a list of text parts."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [{"text": content}]
    texts: list[Any] = [part.get("text") if isinstance(part, dict) else None for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise _wrong(f"{at}.content", content, "text")
    return "\n".join(texts)


def _calls(calls: Any, at: str) -> list[dict[str, Any]]:
    if not isinstance(calls, list):
        raise _wrong(at, calls, "a list of tool calls")
    read: list[dict[str, Any]] = []
    for index, call in enumerate(calls):
        try:
            function = call["function"]
            id_, name, arguments = str(call["id"]), str(function["name"]), function["arguments"]
        except (LookupError, TypeError):
            arguments = None
        if not isinstance(arguments, str):
            wanted = "id, function.name and function.arguments as text"
            raise _wrong(f"{at}[{index}]", call, wanted)
        if any(each["id"] == id_ for each in read):
            raise _wrong(f"{at}[{index}].id", id_, "an id that no other call has")
        read.append(_called(Call(id_, name, arguments)))
    return read


def _object_text(arguments: str) -> str:
    """`arguments`, or `{}` where they are no JSON object: many servers refuse such a history."""
    try:
        return arguments if isinstance(json.loads(arguments), dict) else "{}"
    except (ValueError, RecursionError):
        return "{}"


def _wrong(param: str, value: Any, wanted: str) -> RequestError:
    return RequestError(f"{param} is {shown(value)}; wanted {wanted}.", param=param)


def _long(param: str, size: int, most: int, unit: str = "characters") -> RequestError:
    return RequestError(f"{param} has {size} {unit}; wanted {most} at most.", param=param)
