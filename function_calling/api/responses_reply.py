"""A reply as OpenAI's response: items of thoughts, text and calls, whole or event by event.

https://platform.openai.com/docs/api-reference/responses-streaming. Thoughts are told as they are,
in `reasoning_text`; OpenAI tells a summary, which would be another text.
"""

import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from function_calling.api.reply import chat_logprobs
from function_calling.api.stream import NamedEvents, Shape, Told, new_id
from function_calling.errors import ApiError, RequestError
from function_calling.model.words import (
    Event,
    Finished,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallDelta,
)

_Json: TypeAlias = dict[str, Any]

_DEFAULTS: _Json = {
    **{"background": False, "store": False, "service_tier": "default", "truncation": "disabled"},
    **dict.fromkeys(("completed_at", "error", "incomplete_details", "usage", "max_tool_calls")),
    **dict.fromkeys(("previous_response_id", "prompt_cache_key", "safety_identifier")),
}
"""What a response says where nothing else is said."""
_NAMES = {
    "reasoning": ("rs", "reasoning_text"),
    "message": ("msg", "output_text"),
    "function_call": ("fc", "function_call_arguments"),
}
"""For each kind of item what its id begins with, and what its events are called."""


def error_body(error: ApiError) -> _Json:
    """OpenAI's error object, in which the model half's messages are the request's `input`."""
    body = error.body()
    if body["error"]["param"] == "messages":
        body["error"]["param"] = "input"
    return body


@dataclass
class ResponseTelling(NamedEvents):
    """One response under way. Its items grow in place: each event is to be written at once.

    Args:
        echo: What the response repeats of its request.
        logprobs: Whether text carries its tokens' probabilities.
        namespaced: The namespace of a function, and its name there, by the name that is called.
    """

    echo: Mapping[str, Any]
    logprobs: bool = False
    namespaced: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    _output: list[_Json] = field(default_factory=list, init=False)
    _item: _Json = field(default_factory=dict, init=False)
    _told: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        head = {"object": "response", "created_at": int(time.time()), "model": self.model}
        self._head = {"id": new_id("resp"), **head, **_DEFAULTS, **self.echo}

    async def whole(self, events: AsyncIterator[Told]) -> Shape:
        """The response, as the last event of a stream has it."""
        async for event in self.chunks(events):
            last = event
        return dict(last["response"])

    async def chunks(self, events: AsyncIterator[Told]) -> AsyncIterator[_Json]:
        """The events in OpenAI's order; a call that was cut is never done, so nobody makes it."""
        for name in ("created", "in_progress"):
            yield self._event(name, response=self._response("in_progress"))
        async for _, event in events:
            for told in self._events(event):
                yield told

    def failed(self, error: ApiError) -> str:
        """The event on which OpenAI's SDK raises, and that of the response's end."""
        code = "invalid_prompt" if isinstance(error, RequestError) else "server_error"
        failed = self._response("failed", error={"code": code, "message": error.message})
        body = error_body(error)
        raised = {**self._event("error"), **body["error"], **body, "type": "error"}
        return self.framed(raised) + self.framed(self._event("failed", response=failed))

    def _event(self, name: str, **fields: Any) -> _Json:
        self._told += 1
        return {"type": f"response.{name}", "sequence_number": self._told - 1, **fields}

    def _response(self, status: str, **fields: Any) -> _Json:
        return {**self._head, "status": status, "output": [*self._output], **fields}

    def _events(self, event: Event) -> Iterator[_Json]:
        match event:
            case ReasoningDelta():
                yield from self._more("reasoning", event.text, summary=[], content=[])
            case TextDelta():
                logprobs = chat_logprobs(event.logprobs)["content"] if self.logprobs else []
                new: _Json = {"role": "assistant", "content": []}
                yield from self._more("message", event.text, logprobs, **new)
            case ToolCallDelta():
                space, name = self.namespaced.get(event.name, ("", event.name))
                new = {"call_id": event.id, "name": name, "arguments": ""}
                new |= {"namespace": space} if space else {}
                yield from self._more("function_call", event.arguments, **new)
            case ToolCall():
                yield from self._close("completed")
            case Finished():
                yield from self._finish(event)

    def _more(
        self, kind: str, text: str, logprobs: Sequence[_Json] = (), **fields: Any
    ) -> Iterator[_Json]:
        """More of the item that is open; `fields` are what a new one has from the start."""
        if self._item.get("type") != kind:
            yield from self._close("completed")
            yield from self._open(kind, fields)
        told: _Json = {"delta": text}
        self._part[self._key] += text
        if kind == "message":
            told["logprobs"] = logprobs
            self._part["logprobs"] += logprobs
        if text or logprobs:
            yield self._event(f"{self._name}.delta", **self._place, **told)

    def _open(self, kind: str, fields: _Json) -> Iterator[_Json]:
        prefix, self._name = _NAMES[kind]
        head = {"id": new_id(prefix), "type": kind, "status": "in_progress"}
        item: _Json = {**head, **fields}
        self._item, self._part, self._key = item, item, "arguments"
        self._place = {"output_index": len(self._output), "item_id": item["id"]}
        yield self._event("output_item.added", output_index=len(self._output), item=item)
        if kind != "function_call":
            self._key, self._part = "text", {"type": self._name, "text": ""}
            if kind == "message":
                self._part |= {"annotations": [], "logprobs": []}
            item["content"].append(self._part)
            self._place["content_index"] = 0
            yield self._event("content_part.added", **self._place, part=self._part)

    def _close(self, status: str) -> Iterator[_Json]:
        if not self._item:
            return
        item, part = self._item, self._part
        written = {key: part[key] for key in (self._key, "logprobs") if key in part}
        yield self._event(f"{self._name}.done", **self._place, **written)
        if part is not item:
            yield self._event("content_part.done", **self._place, part=part)
        item["status"] = status
        yield self._event("output_item.done", output_index=len(self._output), item=item)
        self._output.append(item)
        self._item = {}

    def _finish(self, finished: Finished) -> Iterator[_Json]:
        """The end; a reply that says nothing is an empty message."""
        usage = finished.usage
        told: _Json = {
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
            if self._item.get("type") == "function_call":
                self._item = {}
        else:
            status, told["completed_at"] = "completed", int(time.time())
            kinds = {item["type"] for item in self._output} | {self._item.get("type", "reasoning")}
            if kinds == {"reasoning"}:
                yield from self._events(TextDelta(""))
        yield from self._close(status)
        yield self._event(status, response=self._response(status, **told))
