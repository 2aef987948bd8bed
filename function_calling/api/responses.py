"""OpenAI's responses: requests, and replies whole or event by event.

https://platform.openai.com/docs/api-reference/responses/create, and `responses-streaming` beside
it. Nothing is stored, so what needs an earlier response is refused by name. A reply is several
items: thoughts, a message, each call. In the `input` they are one turn of the assistant again.
Functions may come in namespaces, as Codex sends those of MCP servers; the model calls them by one
name, and the client reads two. Thoughts are told as they are, in `reasoning_text`; OpenAI tells a
summary, which would be another text. Some clients keep of a thought the encrypted content alone, so
who asks for that gets the thought in it, plain.
"""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import AliasChoices, Field, model_validator

from function_calling.api.messages import MOST_MESSAGES, conversation, text_of
from function_calling.api.request import NO_THINKING, ApiRequest, content_format
from function_calling.api.response import Json, NamedEvents, new_id
from function_calling.api.tools import offered, other_kind, placed, tool_choice, unread
from function_calling.errors import ApiError, RequestError, wrong
from function_calling.model.words import (
    Event,
    Finished,
    Message,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallDelta,
)

_ROLES = ("system", "developer", "user", "assistant")
_NAMESPACE = "namespace"
_ITEMS = ("message", "reasoning", "function_call", "function_call_output")
_ENCRYPTED = "reasoning.encrypted_content"
_PLAIN = "plain:"
"""Begins what stands where OpenAI has an encrypted thought; what begins otherwise is another's."""


class ResponsesRequest(ApiRequest):
    """A request for a response; what is null in it is not there."""

    unsupported: ClassVar = {
        **dict.fromkeys(("conversation", "moderation", "previous_response_id", "prompt"), ()),
        **{"background": (False,), "n": (1,)},
    }
    parts: ClassVar = {**ApiRequest.parts, "reasoning": "effort", "text": "format"}

    input: str | Annotated[list[Json], Field(min_length=1, max_length=MOST_MESSAGES)]
    instructions: str | None = None
    tools: Sequence[Json] = ()
    tool_choice: str | Json = "auto"
    parallel_tool_calls: bool = True
    text: Json = Field(default_factory=dict)
    reasoning: Json = Field(default_factory=dict)
    max_tokens: Annotated[int, Field(ge=1)] | None = Field(
        None, validation_alias=AliasChoices("max_output_tokens", "max_tokens")
    )
    metadata: dict[str, str] = Field(default_factory=dict)
    include: Sequence[str] = ()
    tool_format: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, values: Mapping[str, Any]) -> Json:
        return {name: value for name, value in values.items() if value is not None}

    @property
    def ignored(self) -> list[str]:
        """The parameters that had no effect, and what had none within one."""
        effort = () if self.reasoning.get("effort") in (None, "none") else ("reasoning.effort",)
        include = ("include",) if {*self.include} - {_ENCRYPTED} else ()
        unused = unread(tool for _, tool, _ in self._unpacked())
        return [*super().ignored, *include, *effort, *unused]

    @property
    def ignored_tools(self) -> list[str]:
        """The tools that are no functions."""
        return list(filter(None, (other_kind(tool) for _, tool, _ in self._unpacked())))

    def prompt(self) -> Json:
        """See `ChatRequest.prompt`."""
        functions = [
            (place, {**tool, "name": _full_name(space, tool.get("name"))} if space else tool)
            for place, tool, space in self._unpacked()
            if not other_kind(tool)
        ]
        tools = offered(functions, "tools")
        return {
            "messages": conversation(self._messages()),
            "tools": tools,
            "choice": tool_choice(self.tool_choice, self.parallel_tool_calls, tools),
            "content": content_format(self.text.get("format"), "text.format"),
            "tool_format": self.tool_format,
            "template_options": NO_THINKING if self.reasoning.get("effort") == "none" else {},
        }

    def _unpacked(self) -> Iterator[tuple[str, Mapping[str, Any], str]]:
        """Each tool behind its place, those of a namespace one by one; and that namespace."""
        for place, tool in placed(self.tools, "tools"):
            if tool.get("type") != _NAMESPACE:
                yield place, tool, ""
                continue
            space, inner = tool.get("name"), tool.get("tools")
            if not isinstance(space, str) or not space:
                raise wrong(f"{place}.name", space, "the name of a namespace")
            if not isinstance(inner, list) or not all(map(_is_flat, inner)):
                raise wrong(f"{place}.tools", inner, "a list of tools, each with its name in it")
            yield from ((inside, each, space) for inside, each in placed(inner, f"{place}.tools"))

    def _messages(self) -> list[Message]:
        """The chat messages that `instructions` and `input` stand for."""
        told = self.input
        messages = [{"role": "system", "content": self.instructions}] if self.instructions else []
        items = [{"role": "user", "content": told}] if isinstance(told, str) else told
        for index, item in enumerate(items):
            _add(messages, item, f"input[{index}]")
        if not messages:
            raise wrong("input", told, "an item beside thoughts that are encrypted")
        return messages

    def response(self, model: str) -> "ResponsesResponse":
        """The response to it, by the model of this name, which repeats much of the request."""
        (sampling,) = self.samplings()
        effort = self.reasoning.get("effort")
        echo = {
            "instructions": self.instructions,
            "max_output_tokens": sampling.max_tokens,
            "metadata": self.metadata,
            "parallel_tool_calls": self.parallel_tool_calls,
            "reasoning": {"effort": "none" if effort == "none" else None, "summary": None},
            "text": {"format": self.text.get("format") or {"type": "text"}},
            "tool_choice": self.tool_choice,
            "tools": [
                it for it in self.tools if it.get("type") == _NAMESPACE or not other_kind(it)
            ],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
        }
        names = {
            _full_name(space, tool["name"]): (space, tool["name"])
            for _, tool, space in self._unpacked()
            if space and not other_kind(tool)
        }
        return ResponsesResponse(model, echo, names, _ENCRYPTED in self.include)


def _is_flat(tool: Any) -> bool:
    return isinstance(tool, dict) and "function" not in tool


def _full_name(space: Any, name: Any) -> Any:
    """By which the model knows a function; one name alone may stand in several namespaces."""
    return f"{space}__{name}" if space and isinstance(name, str) else name


def _add(messages: list[Message], item: Mapping[str, Any], place: str) -> None:
    """Add an item, as a message or to the turn that the last message is."""
    match item.get("type") or "message":
        case "message" if item.get("role") not in _ROLES:
            raise wrong(f"{place}.role", item.get("role"), f"one of {', '.join(_ROLES)}")
        case "message":
            message = _message(messages, item["role"], behind=("tool_calls",))
            message["content"] = text_of(item.get("content"), f"{place}.content")
        case "reasoning":
            # Where both are empty, thoughts are told encrypted alone; another model's stay so.
            key = "content" if item.get("content") else "summary"
            sealed = str(item.get("encrypted_content"))
            own = sealed.removeprefix(_PLAIN) if sealed.startswith(_PLAIN) else ""
            if thoughts := text_of(item.get(key), f"{place}.{key}") or own:
                turn = _message(messages, "assistant")
                turn["reasoning_content"] = turn.get("reasoning_content", "") + thoughts
        case "function_call" if not isinstance(item.get("name"), str):
            raise wrong(f"{place}.name", item.get("name"), "a function's name")
        case "function_call":
            turn = _message(messages, "assistant", behind=("content", "tool_calls"))
            name = _full_name(item.get("namespace"), item["name"])
            function = {"name": name, "arguments": item.get("arguments")}
            call = {"id": item.get("call_id"), "function": function}
            turn.setdefault("tool_calls", []).append(call)
        case "function_call_output":
            result = {"tool_call_id": item.get("call_id"), "content": item.get("output")}
            messages.append({"role": "tool", **result})
        case kind:
            whole = "each whole, as clients send them with store=false"
            raise wrong(f"{place}.type", kind, f"one of {', '.join(_ITEMS)}, {whole}")


def _message(messages: list[Message], role: str, *, behind: Collection[str] = ()) -> Message:
    """A new message; or the last, if it is a turn of the assistant's that can hold this, too.

    Some clients tell the text of a turn behind its calls.

    Args:
        behind: What may stand in the turn already, beside thoughts.
    """
    last = messages[-1] if role == "assistant" and messages else {}
    begun = (last.keys() & {"content", "tool_calls"}).difference(behind)
    if last.get("role") != role or begun:
        messages.append({"role": role})
    return messages[-1]


_KINDS = {
    ReasoningDelta: ("reasoning", "rs", "reasoning_text"),
    TextDelta: ("message", "msg", "output_text"),
    ToolCallDelta: ("function_call", "fc", "function_call_arguments"),
}
"""For each event its item's type, what the item's id begins with, and how events are called."""


@dataclass
class ResponsesResponse(NamedEvents):
    """One response under way, whose stream has OpenAI's events, in OpenAI's order.

    Its items grow in place. A call that was cut is never done, so nobody makes it.

    Args:
        echo: What the response repeats of its request.
        namespaced: The namespace of a function, and its name there, by the name that is called.
        encrypted: Whether thoughts also stand where OpenAI encrypts them.
    """

    echo: Mapping[str, Any]
    namespaced: Mapping[str, tuple[str, str]]
    encrypted: bool
    _output: list[Json] = field(default_factory=list, init=False)
    _open: type[Event] | None = field(default=None, init=False)
    _told: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        head = {"id": new_id("resp"), "object": "response", "created_at": int(time.time())}
        begun = {"model": self.model, "status": "in_progress", "output": self._output}
        unsaid = ("completed_at", "error", "incomplete_details", "previous_response_id", "usage")
        nothing = {**dict.fromkeys(unsaid), "background": False, "store": False}
        self._response: Json = {**head, **begun, **nothing, **self.echo}

    def whole(self) -> Json:
        """See `ApiResponse.whole`."""
        return self._response

    def failed(self, error: ApiError) -> str:
        """The event on which OpenAI's SDK raises, and that of the response's end."""
        code = "invalid_prompt" if isinstance(error, RequestError) else "server_error"
        body = error.body()
        raised = {**self._event("error"), **body["error"], **body, "type": "error"}
        ended = self._ended("failed", error={"code": code, "message": error.message})
        return self.framed(raised) + self.framed(ended)

    def _event(self, name: str, **fields: Any) -> Json:
        self._told += 1
        return {"type": f"response.{name}", "sequence_number": self._told - 1, **fields}

    def _ended(self, status: str, **fields: Any) -> Json:
        """The last event, which holds all."""
        if self._open:
            self._output.pop()
        self._response |= {"status": status, **fields}
        return self._event(status, response=self._response)

    def chunks(self, index: int, event: Event) -> Iterator[Json]:
        """See `ApiResponse.chunks`."""
        if not self._told:
            for name in ("created", "in_progress"):
                yield self._event(name, response=self._response)
        match event:
            case Finished():
                yield from self._finish(event)
            case ToolCall():
                yield from self._close("completed")
            case _:
                if self._open is not type(event):
                    yield from self._close("completed")
                    yield from self._new(event)
                yield from self._more(event)

    def _new(self, event: ReasoningDelta | TextDelta | ToolCallDelta) -> Iterator[Json]:
        """Open an item; but for a call its text is in a part of it."""
        self._open = type(event)
        kind, prefix, name = _KINDS[self._open]
        item: Json = {"id": new_id(prefix), "type": kind, "status": "in_progress"}
        match event:
            case ToolCallDelta():
                space, own = self.namespaced.get(event.name, ("", event.name))
                item |= {"call_id": event.id, "name": own, "arguments": ""}
                item |= {"namespace": space} if space else {}
            case TextDelta():
                item |= {"role": "assistant", "content": []}
            case ReasoningDelta():
                item |= {"summary": [], "content": []}
        self._place = {"output_index": len(self._output), "item_id": item["id"]}
        self._output.append(item)
        yield self._event("output_item.added", output_index=len(self._output) - 1, item=item)
        self._written = item
        if self._open is not ToolCallDelta:
            self._written = {"type": name, "text": ""}
            self._written |= {"annotations": [], "logprobs": []} if kind == "message" else {}
            item["content"].append(self._written)
            self._place["content_index"] = 0
            yield self._event("content_part.added", **self._place, part=self._written)

    def _more(self, event: ReasoningDelta | TextDelta | ToolCallDelta) -> Iterator[Json]:
        """Add to the item that is open."""
        key = "arguments" if isinstance(event, ToolCallDelta) else "text"
        more = getattr(event, key)
        self._written[key] += more
        if more:
            told: Json = {"logprobs": []} if isinstance(event, TextDelta) else {}
            name = _KINDS[type(event)][2]
            yield self._event(f"{name}.delta", **self._place, delta=more, **told)

    def _close(self, status: str) -> Iterator[Json]:
        """End the item that is open, if one is."""
        if self._open is None:
            return
        item, part, name = self._output[-1], self._written, _KINDS[self._open][2]
        written = {key: part[key] for key in ("arguments", "text", "logprobs") if key in part}
        yield self._event(f"{name}.done", **self._place, **written)
        if part is not item:
            yield self._event("content_part.done", **self._place, part=part)
        item["status"] = status
        if self.encrypted and self._open is ReasoningDelta:
            item["encrypted_content"] = _PLAIN + part["text"]
        yield self._event("output_item.done", output_index=len(self._output) - 1, item=item)
        self._open = None

    def _finish(self, finished: Finished) -> Iterator[Json]:
        """The end; a reply that says nothing is an empty message."""
        usage = finished.usage
        told: Json = {
            "usage": {
                "input_tokens": usage.prompt_tokens,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": usage.completion_tokens,
                "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
                "total_tokens": usage.prompt_tokens + usage.completion_tokens,
            }
        }
        if finished.reason == "length":
            status, told["incomplete_details"] = "incomplete", {"reason": "max_output_tokens"}
        else:
            status, told["completed_at"] = "completed", int(time.time())
            if all(item["type"] == "reasoning" for item in self._output):
                yield from self.chunks(0, TextDelta(""))
        if self._open is not ToolCallDelta:
            yield from self._close(status)
        yield self._ended(status, **told)
