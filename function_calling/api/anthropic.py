"""Anthropic's messages: requests, and replies and errors whole or event by event.

https://docs.anthropic.com/en/api/messages, and `messages-count-tokens` beside it. The sampling
parameters of chat are taken too, and their ranges. What has no effect is told in headers, but for
`cache_control`, which never changes a reply. A message is a list of blocks, which a stream opens,
fills and closes one by one.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import AliasChoices, Field

from function_calling.api.messages import MOST_MESSAGES, conversation, result_text
from function_calling.api.request import NO_THINKING, TEXTS, ApiRequest, content_format
from function_calling.api.response import Json, NamedEvents, new_id
from function_calling.api.tools import offered, other_kind, placed, tool_choice, unread
from function_calling.errors import ApiError, wrong
from function_calling.model.words import (
    Event,
    Finished,
    Message,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)

MOST_STOPS = 64
"""Stop sequences of a request at most."""
REQUEST_ID = "request-id"
"""The header in which Anthropic's clients look for the id of their request."""

_BLOCKS = {
    "user": ("text", "tool_result"),
    "assistant": ("text", "tool_use", "thinking", "redacted_thinking"),
    "system": ("text",),
}
"""The types of the blocks that a message of each role may hold."""


class CountRequest(ApiRequest):
    """What makes a prompt: a request for the number of its tokens."""

    unsupported: ClassVar = {
        **dict.fromkeys(("compaction", "container", "output_format", "thread"), ()),
        **{"mcp_servers": ([],), "n": (1,)},
    }
    parts: ClassVar = {"thinking": "type", "output_config": "format"}

    messages: Annotated[list[Json], Field(min_length=1, max_length=MOST_MESSAGES)]
    system: str | list[Any] | None = None
    tools: list[Json] | None = None
    tool_choice: Json | None = None
    thinking: Json | None = None
    output_config: Json | None = None
    cache_control: Any = None
    stop: Annotated[Annotated[list[str], Field(max_length=MOST_STOPS)] | None, TEXTS] = Field(
        None, validation_alias=AliasChoices("stop_sequences", "stop")
    )

    @property
    def ignored(self) -> list[str]:
        """See `ApiRequest.ignored`."""
        return [*super().ignored, *unread(self._own_tools())]

    @property
    def ignored_tools(self) -> list[str]:
        """The tools of other types, which Anthropic's servers would run."""
        return list(filter(None, map(other_kind, self._own_tools())))

    def _own_tools(self) -> list[Json]:
        """The tools, of which those of type "custom" are what others call functions."""
        return [
            {**tool, "type": "function"} if tool.get("type") == "custom" else tool
            for tool in self.tools or []
        ]

    def prompt(self) -> Json:
        """See `ChatRequest.prompt`."""
        told = _turn("system", self.system, "system") if self.system else []
        for index, message in enumerate(self.messages):
            role, place = message.get("role"), f"messages[{index}]"
            if not isinstance(role, str) or role not in _BLOCKS:
                raise wrong(f"{place}.role", role, f"one of {', '.join(_BLOCKS)}")
            told += _turn(role, message.get("content"), f"{place}.content")
        if told[-1]["role"] == "assistant":
            wanted = "the user's message last: what the model says can't be begun for it"
            raise wrong(f"messages[{len(self.messages) - 1}].role", "assistant", wanted)
        functions = [it for it in placed(self._own_tools(), "tools") if not other_kind(it[1])]
        tools = offered(functions, "tools")
        thinks = (self.thinking or {}).get("type") != "disabled"
        choice = self.tool_choice or {"type": "auto"}
        parallel = not choice.get("disable_parallel_tool_use")
        return {
            "messages": conversation(told),
            "tools": tools,
            "choice": tool_choice(choice, parallel, tools),
            "content": content_format(
                (self.output_config or {}).get("format"), "output_config.format"
            ),
            "template_options": {} if thinks else NO_THINKING,
        }


class MessagesRequest(CountRequest):
    """A request for a message."""

    max_tokens: Annotated[int, Field(ge=1)]

    def response(self, model: str) -> "MessageResponse":
        """The response to it, by the model of this name."""
        return MessageResponse(model, self.max_tokens)


def _turn(role: str, content: Any, place: str) -> list[Message]:
    """A message as OpenAI has it: results are messages of their own, before the user's text.

    Places end with the block's type, as Anthropic's: by it, agents know which picture they must
    leave out.
    """
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(blocks, list):
        raise wrong(place, content, "text or a list of blocks")
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[Json] = []
    results: list[Message] = []
    for index, block in enumerate(blocks):
        match role, block:
            case _, {"type": "text", "text": str() as text}:
                texts.append(text)
            case "assistant", {"type": "thinking", "thinking": str() as thought}:
                thoughts.append(thought)
            case "assistant", {"type": "redacted_thinking"}:
                pass
            case "assistant", {"type": "tool_use", "name": str() as name, "input": dict() as given}:
                function = {"name": name, "arguments": given}
                calls.append({"id": block.get("id"), "function": function})
            case "user", {"type": "tool_result"}:
                results.append(_result(block))
            case _:
                kind = block.get("type") if isinstance(block, dict) else None
                at = f"{place}[{index}]" + (f".{kind:.40}" if isinstance(kind, str) else "")
                wanted = f"a block of type {' or '.join(_BLOCKS[role])}, with its fields"
                raise wrong(at, block, wanted)
    turn: Message = {"role": role, "content": "\n".join(texts), "tool_calls": calls}
    turn["reasoning_content"] = "\n".join(thoughts)
    return [*results, turn] if texts or not results else results


def _result(block: Json) -> Message:
    """A tool's result; of an error the model reads that it is one."""
    told = block.get("content")
    told = f"Error: {result_text(told)}" if block.get("is_error") else told
    return {"role": "tool", "tool_call_id": block.get("tool_use_id"), "content": told}


_ERRORS = {
    **{401: "authentication_error", 403: "permission_error", 404: "not_found_error"},
    **{413: "request_too_large", 429: "rate_limit_error", 503: "overloaded_error"},
}
"""https://docs.anthropic.com/en/api/errors: the types of errors with a status of their own."""
_SIGNED: Json = {"signature": "unsigned"}
"""Of thoughts. Nobody checks it, but thoughts without one are told to no model as its own."""


def error_body(error: ApiError, request: str = "") -> Json:
    """An error as Anthropic's clients read it; `request` is the request's id, if it has one."""
    status, message = error.status, error.message
    kind = _ERRORS.get(status, "invalid_request_error" if status < 500 else "api_error")
    if error.code == "context_length_exceeded":
        # Errors have no code there: by these words of Anthropic's own, agents know to shorten it.
        message = f"prompt is too long: {message}"
    told: Json = {"type": kind, "message": message}
    if error.param == "thread":
        # Then Anthropic's SDK sends the whole conversation.
        told["details"] = {"error_code": "thread_unsupported_request"}
    return {"type": "error", "error": told, "request_id": request or new_id("req")}


@dataclass
class MessageResponse(NamedEvents):
    """One message under way, whose blocks grow in place.

    Args:
        max_tokens: The tokens that it may have.

    Attributes:
        input_tokens: Those of the prompt, as a stream tells them at its start.
    """

    max_tokens: int
    input_tokens: int = field(default=0, init=False)
    _open: type[Event] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._content: list[Json] = []
        head = {"id": new_id("msg"), "type": "message", "role": "assistant", "model": self.model}
        ending = {"stop_reason": None, "stop_sequence": None}
        self._message: Json = {**head, "content": self._content, **ending}
        self.headers = {REQUEST_ID: new_id("req")}

    def whole(self) -> Json:
        """See `ApiResponse.whole`; a call that isn't complete is not in it."""
        return self._message

    def failed(self, error: ApiError) -> str:
        """An error in mid-stream as the event `error`."""
        return self.framed(error_body(error, self.headers[REQUEST_ID]))

    def chunks(self, index: int, event: Event) -> Iterator[Json]:
        """See `ApiResponse.chunks`."""
        if "usage" not in self._message:
            self._message["usage"] = _usage(Usage(self.input_tokens))
            yield {"type": "message_start", "message": self._message}
        match event:
            case Finished():
                cut = self._open is ToolCallDelta
                yield from self._close()
                if cut:
                    self._content.pop()
                ending, usage = self._ending(event), _usage(event.usage)
                self._message |= {**ending, "usage": usage}
                yield {"type": "message_delta", "delta": ending, "usage": usage}
                yield {"type": "message_stop"}
            case ToolCall():
                self._content[-1]["input"] = json.loads(event.arguments)
                yield from self._close()
            case _:
                if self._open is not type(event):
                    yield from self._close()
                    self._open = type(event)
                    self._content.append(_empty_block(event))
                    yield self._of_block("start", content_block=self._content[-1])
                if delta := self._added(event):
                    yield self._of_block("delta", delta=delta)

    def _added(self, event: ReasoningDelta | TextDelta | ToolCallDelta) -> Json | None:
        """What an event adds to the block that is open, where it does."""
        if isinstance(event, ToolCallDelta):
            delta = {"type": "input_json_delta", "partial_json": event.arguments}
            return delta if event.arguments else None
        kind = self._content[-1]["type"]
        self._content[-1][kind] += event.text
        return {"type": f"{kind}_delta", kind: event.text}

    def _close(self) -> Iterator[Json]:
        """End the block that is open, if one is."""
        if self._open is ReasoningDelta:
            self._content[-1] |= _SIGNED
            yield self._of_block("delta", delta={"type": "signature_delta", **_SIGNED})
        if self._open:
            yield self._of_block("stop")
        self._open = None

    def _of_block(self, what: str, **told: Any) -> Json:
        return {"type": f"content_block_{what}", "index": len(self._content) - 1, **told}

    def _ending(self, event: Finished) -> Json:
        """Why the message is over."""
        reason = "end_turn" if event.stop is None else "stop_sequence"
        if event.reason == "tool_calls":
            reason = "tool_use"
        elif event.reason == "length":
            spent = event.usage.completion_tokens >= self.max_tokens
            reason = "max_tokens" if spent else "model_context_window_exceeded"
        return {"stop_reason": reason, "stop_sequence": event.stop}


def _empty_block(event: Event) -> Json:
    """The block that an event opens."""
    match event:
        case ReasoningDelta():
            return {"type": "thinking", "thinking": "", "signature": ""}
        case ToolCallDelta():
            identity = f"toolu_{event.id.removeprefix('call_')}"
            return {"type": "tool_use", "id": identity, "name": event.name, "input": {}}
    return {"type": "text", "text": ""}


def _usage(usage: Usage) -> Json:
    told: Json = {"input_tokens": usage.prompt_tokens, "output_tokens": usage.completion_tokens}
    if usage.reasoning_tokens:
        told["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return told
