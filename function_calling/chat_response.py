"""A reply as OpenAI's chat-completion objects: whole, or as the chunks of a stream.

The shapes are the OpenAI SDK's own types. The whole reply is made of the same events as the
streamed one, so the two can't differ.
"""

import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

from openai.types import CompletionUsage
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessage,
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionMessageToolCallUnion,
)
from openai.types.chat.chat_completion import Choice
from openai.types.chat.chat_completion_chunk import Choice as ChunkChoice
from openai.types.chat.chat_completion_chunk import (
    ChoiceDelta,
    ChoiceDeltaToolCall,
    ChoiceDeltaToolCallFunction,
)
from openai.types.chat.chat_completion_message_function_tool_call import Function

from function_calling.messages import Event, Finished, FinishReason, TextDelta, ToolCall, Usage


class ChatResponse:
    """One response under way: its id, its time, its model.

    Args:
        model: The name of the model that replies.
        include_usage: Whether a stream ends with its usage; every chunk then has the field.
    """

    def __init__(self, model: str, *, include_usage: bool = False) -> None:
        self._head: dict[str, Any] = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": model,
        }
        self._include_usage = include_usage

    async def whole(self, events: AsyncIterator[Event]) -> ChatCompletion:
        """All events in one object."""
        text, end = "", Finished("stop", Usage())
        calls: list[ChatCompletionMessageToolCallUnion] = []
        async for event in events:
            match event:
                case TextDelta():
                    text += event.text
                case ToolCall():
                    calls.append(_call(event))
                case Finished():
                    end = event
        message = ChatCompletionMessage(
            role="assistant", content=text or (None if calls else ""), refusal=None
        )
        if calls:
            message.tool_calls = calls
        choice = Choice(index=0, message=message, finish_reason=end.reason, logprobs=None)
        return ChatCompletion(
            **self._head, object="chat.completion", choices=[choice], usage=_usage(end.usage)
        )

    async def chunks(self, events: AsyncIterator[Event]) -> AsyncIterator[ChatCompletionChunk]:
        """The events as they come, in the order of OpenAI's own streams.

        Role first, then text or calls, each call as one delta with its id and name and one with
        its arguments, then the finish reason, and with `include_usage` a chunk without choices.
        """
        calls = 0
        started = False
        async for event in events:
            if not started:
                content = None if isinstance(event, ToolCall) else ""
                yield self._chunk(ChoiceDelta(role="assistant", content=content))
                started = True
            match event:
                case TextDelta():
                    yield self._chunk(ChoiceDelta(content=event.text))
                case ToolCall():
                    for delta in _call_deltas(calls, event):
                        yield self._chunk(ChoiceDelta(tool_calls=[delta]))
                    calls += 1
                case Finished():
                    yield self._chunk(ChoiceDelta(), event.reason)
                    if self._include_usage:
                        yield self._object([], usage=_usage(event.usage))

    def _chunk(self, delta: ChoiceDelta, reason: FinishReason | None = None) -> ChatCompletionChunk:
        choice = ChunkChoice(index=0, delta=delta, finish_reason=reason, logprobs=None)
        return self._object([choice], **({"usage": None} if self._include_usage else {}))

    def _object(self, choices: list[ChunkChoice], **usage: Any) -> ChatCompletionChunk:
        return ChatCompletionChunk(
            **self._head, object="chat.completion.chunk", choices=choices, **usage
        )


def _call(call: ToolCall) -> ChatCompletionMessageFunctionToolCall:
    function = Function(name=call.name, arguments=call.arguments)
    return ChatCompletionMessageFunctionToolCall(id=call.id, type="function", function=function)


def _call_deltas(index: int, call: ToolCall) -> list[ChoiceDeltaToolCall]:
    opening = ChoiceDeltaToolCallFunction(name=call.name, arguments="")
    rest = ChoiceDeltaToolCallFunction(arguments=call.arguments)
    return [
        ChoiceDeltaToolCall(index=index, id=call.id, type="function", function=opening),
        ChoiceDeltaToolCall(index=index, function=rest),
    ]


def _usage(usage: Usage) -> CompletionUsage:
    return CompletionUsage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
    )
