"""Replies as OpenAI's chat-completion objects: whole, or as the chunks of a stream.

The shapes are the OpenAI SDK's own types. Whole replies are made of the same events as streamed
ones, so the two can't differ.
"""

import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

from openai.types.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessage,
    ChatCompletionMessageFunctionToolCall,
)
from openai.types.chat.chat_completion import Choice, ChoiceLogprobs
from openai.types.chat.chat_completion_chunk import Choice as ChunkChoice
from openai.types.chat.chat_completion_message import FunctionCall
from openai.types.chat.chat_completion_message_function_tool_call import Function

from function_calling.chat_chunks import ChoiceChunks, finish_reason, reasoning_content
from function_calling.logprobs_out import chat_logprobs
from function_calling.model.words import Finished, ToolCall, Usage
from function_calling.replies import Reply, Told, collected, together


class ChatResponse:
    """One response under way: its id, its time, its model.

    Args:
        model: The name of the model that replies.
        include_usage: Whether a stream ends with its usage; every chunk then has the field.
        logprobs: Whether text carries its tokens' probabilities.
        legacy: Whether a call is told as `function_call`, for requests with `functions`.
        whole_calls: Whether calls leave a stream whole, in its last delta; see `ChoiceChunks`.
    """

    def __init__(
        self,
        model: str,
        *,
        include_usage: bool = False,
        logprobs: bool = False,
        legacy: bool = False,
        whole_calls: bool = False,
    ) -> None:
        self._head: dict[str, Any] = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": model,
        }
        self._include_usage = include_usage
        self._logprobs = logprobs
        self._legacy = legacy
        self._whole_calls = whole_calls

    async def whole(self, events: AsyncIterator[Told]) -> ChatCompletion:
        """All events in one object."""
        replies = await collected(events)
        return ChatCompletion(
            **self._head,
            object="chat.completion",
            choices=[self._choice(index, reply) for index, reply in enumerate(replies)],
            usage=together(reply.usage for reply in replies),
        )

    def _choice(self, index: int, reply: Reply) -> Choice:
        content = reply.text or (None if reply.calls or reply.reasoning else "")
        reasoning = reasoning_content(reply.reasoning) if reply.reasoning else {}
        message = ChatCompletionMessage(
            role="assistant", content=content, refusal=None, **reasoning
        )
        if reply.calls and self._legacy:
            call = reply.calls[0]
            message.function_call = FunctionCall(name=call.name, arguments=call.arguments)
        elif reply.calls:
            message.tool_calls = [_call(call) for call in reply.calls]
        logprobs = None
        if self._logprobs:
            logprobs = ChoiceLogprobs(content=chat_logprobs(reply.logprobs), refusal=None)
        reason = finish_reason(reply.reason, legacy=self._legacy)
        return Choice(index=index, message=message, finish_reason=reason, logprobs=logprobs)

    async def chunks(self, events: AsyncIterator[Told]) -> AsyncIterator[ChatCompletionChunk]:
        """The events as they come, and with `include_usage` last a chunk without choices."""
        choices: dict[int, ChoiceChunks] = {}
        usages: list[Usage] = []
        async for index, event in events:
            if index not in choices:
                choices[index] = ChoiceChunks(
                    index,
                    logprobs=self._logprobs,
                    legacy=self._legacy,
                    whole_calls=self._whole_calls,
                )
            for choice in choices[index].choices(event):
                yield self._chunk([choice], **({"usage": None} if self._include_usage else {}))
            if isinstance(event, Finished):
                usages.append(event.usage)
        if self._include_usage:
            yield self._chunk([], usage=together(usages))

    def _chunk(self, choices: list[ChunkChoice], **usage: Any) -> ChatCompletionChunk:
        return ChatCompletionChunk(
            **self._head, object="chat.completion.chunk", choices=choices, **usage
        )


def _call(call: ToolCall) -> ChatCompletionMessageFunctionToolCall:
    function = Function(name=call.name, arguments=call.arguments)
    return ChatCompletionMessageFunctionToolCall(id=call.id, type="function", function=function)
