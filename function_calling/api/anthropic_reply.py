"""Replies and errors as Anthropic's objects, whole or as the events of a stream.

https://docs.anthropic.com/en/docs/build-with-claude/streaming: a message is a list of blocks, which
a stream opens, fills and closes one by one.
"""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

from function_calling.api.reply import Reply
from function_calling.api.stream import NamedEvents, Shape, Told, new_id
from function_calling.errors import ApiError
from function_calling.model.words import (
    Event,
    Finished,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)

_ERRORS = {
    **{401: "authentication_error", 403: "permission_error", 404: "not_found_error"},
    **{413: "request_too_large", 429: "rate_limit_error", 503: "overloaded_error"},
}
"""https://docs.anthropic.com/en/api/errors: the types of errors with a status of their own."""

_Object = dict[str, Any]

_SIGNED: _Object = {"signature": "unsigned"}
"""Of thoughts. Nobody checks it, but thoughts without one are told to no model as its own."""


def error_body(error: ApiError, request: str = "") -> _Object:
    """An error as Anthropic's clients read it; `request` is the request's id, if it has one."""
    status, message = error.status, error.message
    kind = _ERRORS.get(status, "invalid_request_error" if status < 500 else "api_error")
    if error.code == "context_length_exceeded":
        # Errors have no code there: by these words of Anthropic's own, agents know to shorten it.
        message = f"prompt is too long: {message}"
    told: _Object = {"type": kind, "message": message}
    if error.param == "thread":
        # Then Anthropic's SDK sends the whole conversation.
        told["details"] = {"error_code": "thread_unsupported_request"}
    return {"type": "error", "error": told, "request_id": request or new_id("req")}


@dataclass
class MessageResponse(NamedEvents):
    """One message under way.

    Args:
        max_tokens: The tokens that it may have.
        input_tokens: Those of the prompt, as a stream tells them at its start.

    Attributes:
        request: The request's id.
    """

    max_tokens: int
    input_tokens: int = 0
    request: str = field(default_factory=lambda: new_id("req"), init=False)
    _index: int = field(default=-1, init=False)
    _open: str = field(default="", init=False)

    async def whole(self, events: AsyncIterator[Told]) -> Shape:
        """All events in one object; a call that isn't complete is not in it."""
        reply = Reply()
        async for _, event in events:
            reply.add(event)
        content: list[_Object] = []
        if reply.reasoning:
            content.append({"type": "thinking", "thinking": reply.reasoning, **_SIGNED})
        if reply.text:
            content.append({"type": "text", "text": reply.text})
        for call in reply.calls:
            content.append(_block(call)[1] | {"input": json.loads(call.arguments)})
        ending = self._ending(reply.end) | {"usage": _usage(reply.end.usage)}
        return self._message(content) | ending

    async def chunks(self, events: AsyncIterator[Told]) -> AsyncIterator[Shape]:
        """The events as they come."""
        begun = {
            "stop_reason": None,
            "stop_sequence": None,
            "usage": _usage(Usage(self.input_tokens)),
        }
        yield {"type": "message_start", "message": self._message([]) | begun}
        async for _, event in events:
            for told in self._events(event):
                yield told

    def failed(self, error: ApiError) -> str:
        """An error in mid-stream as the event `error`."""
        return self.framed(error_body(error, self.request))

    def _events(self, event: Event) -> Iterator[_Object]:
        match event:
            case Finished():
                yield from self._close()
                usage = _usage(event.usage)
                yield {"type": "message_delta", "delta": self._ending(event), "usage": usage}
                yield {"type": "message_stop"}
            case ToolCall():
                yield from self._close()
            case _:
                name, opened, delta = _block(event)
                if name != self._open:
                    yield from self._close()
                    self._open = name
                    self._index += 1
                    yield self._of_block("start", content_block=opened)
                if not isinstance(event, ToolCallDelta) or event.arguments:
                    yield self._of_block("delta", delta=delta)

    def _close(self) -> Iterator[_Object]:
        """End the block that is open, if one is."""
        if self._open == "thinking":
            yield self._of_block("delta", delta={"type": "signature_delta", **_SIGNED})
        if self._open:
            yield self._of_block("stop")
        self._open = ""

    def _of_block(self, what: str, **told: Any) -> _Object:
        return {"type": f"content_block_{what}", "index": self._index, **told}

    def _message(self, content: list[_Object]) -> _Object:
        head = {"id": new_id("msg"), "type": "message", "role": "assistant", "model": self.model}
        return head | {"content": content}

    def _ending(self, event: Finished) -> _Object:
        """Why the message is over."""
        reason = "end_turn" if event.stop is None else "stop_sequence"
        if event.reason == "tool_calls":
            reason = "tool_use"
        elif event.reason == "length":
            spent = event.usage.completion_tokens >= self.max_tokens
            reason = "max_tokens" if spent else "model_context_window_exceeded"
        return {"stop_reason": reason, "stop_sequence": event.stop}


def _block(
    event: ReasoningDelta | TextDelta | ToolCallDelta | ToolCall,
) -> tuple[str, _Object, _Object]:
    """Of an event: a name of its block, the block while it is empty, and what is added to it."""
    match event:
        case ReasoningDelta():
            opened = {"type": "thinking", "thinking": "", "signature": ""}
            return "thinking", opened, {"type": "thinking_delta", "thinking": event.text}
        case TextDelta():
            return "text", {"type": "text", "text": ""}, {"type": "text_delta", "text": event.text}
    identity = f"toolu_{event.id.removeprefix('call_')}"
    call: _Object = {"type": "tool_use", "id": identity, "name": event.name, "input": {}}
    return identity, call, {"type": "input_json_delta", "partial_json": event.arguments}


def _usage(usage: Usage) -> _Object:
    told: _Object = {"input_tokens": usage.prompt_tokens, "output_tokens": usage.completion_tokens}
    if usage.reasoning_tokens:
        told["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return told
