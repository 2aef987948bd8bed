"""Replies as OpenAI's objects, for chat and for text: whole, or as the chunks of a stream.

The shapes are the OpenAI SDK's own types. Whole replies are made of the same events as streamed
ones, so the two can't differ.
"""

import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from openai.types import Completion, CompletionChoice, CompletionUsage
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessage,
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionTokenLogprob,
)
from openai.types.chat import chat_completion_chunk as chunk
from openai.types.chat.chat_completion import Choice, ChoiceLogprobs
from openai.types.chat.chat_completion_message import FunctionCall
from openai.types.chat.chat_completion_message_function_tool_call import Function
from openai.types.chat.chat_completion_token_logprob import TopLogprob
from openai.types.completion_choice import Logprobs
from openai.types.completion_usage import CompletionTokensDetails

from function_calling.api.stream import Told
from function_calling.model.words import (
    Event,
    Finished,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    TokenLogprob,
    ToolCall,
    ToolCallDelta,
    Usage,
)


@dataclass(slots=True)
class Reply:
    """All events of one reply."""

    reasoning: str = ""
    text: str = ""
    logprobs: list[TokenLogprob] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    reason: FinishReason = "stop"
    usage: Usage = field(default_factory=Usage)

    def add(self, event: Event) -> None:
        """Take in the next event."""
        match event:
            case ReasoningDelta():
                self.reasoning += event.text
            case TextDelta():
                self.text += event.text
                self.logprobs += event.logprobs
            case ToolCall():
                self.calls.append(event)
            case Finished():
                self.reason, self.usage = event.reason, event.usage


async def collected(events: AsyncIterator[Told]) -> list[Reply]:
    """The replies, whole, in their order."""
    replies: dict[int, Reply] = {}
    async for index, event in events:
        replies.setdefault(index, Reply()).add(event)
    return [replies[index] for index in sorted(replies)]


class ChatResponse:
    """One chat completion under way: its id, its time, its model.

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
            usage=_total(reply.usage for reply in replies),
        )

    def _choice(self, index: int, reply: Reply) -> Choice:
        content = reply.text or (None if reply.calls or reply.reasoning else "")
        reasoning = _reasoning_content(reply.reasoning) if reply.reasoning else {}
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
        reason = _finish_reason(reply.reason, legacy=self._legacy)
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
            yield self._chunk([], usage=_total(usages))

    def _chunk(self, choices: list[chunk.Choice], **usage: Any) -> ChatCompletionChunk:
        return ChatCompletionChunk(
            **self._head, object="chat.completion.chunk", choices=choices, **usage
        )


class ChoiceChunks:
    """One choice of a streamed chat completion, event by event, in the order of OpenAI's streams.

    Role first, then reasoning, then text or calls, last `{}` with the finish reason. A call is an
    opening with its id and name, then its arguments as they are written; a reply that begins with
    a call opens it in its first chunk.

    Args:
        index: The choice's index.
        logprobs: Whether text carries its tokens' probabilities.
        legacy: Whether the call is told as `function_call`.
        whole_calls: Whether all calls leave whole in the last delta, and every delta has
            `content` as text and `tool_calls` as a list. Older clients add up `delta.content`,
            count `delta.tool_calls`, and take the first calls for all, or the last delta for them.
    """

    def __init__(self, index: int, *, logprobs: bool, legacy: bool, whole_calls: bool) -> None:
        self._index = index
        self._logprobs = logprobs
        self._legacy = legacy
        self._whole_calls = whole_calls
        self._started = False
        self._calls: list[ToolCall] = []
        self._open = ""
        self._opened = 0

    def choices(self, event: Event) -> Iterator[chunk.Choice]:
        """What the event becomes: a choice for each chunk."""
        deltas = self._deltas(event)
        if not self._started:
            self._started = True
            if isinstance(event, ToolCallDelta) and not self._whole_calls:
                deltas[0].content = None  # set, so that it is sent as null
            else:
                deltas.insert(0, chunk.ChoiceDelta(content=""))
            deltas[0].role = "assistant"
            deltas[0].refusal = None
        for delta in deltas:
            yield self._choice(delta, event, last=delta is deltas[-1])

    def _deltas(self, event: Event) -> list[chunk.ChoiceDelta]:
        match event:
            case ReasoningDelta():
                return [chunk.ChoiceDelta(**_reasoning_content(event.text))]
            case TextDelta():
                return [chunk.ChoiceDelta(content=event.text)]
            case ToolCallDelta():
                return [] if self._whole_calls else [self._more(event)]
            case ToolCall():
                self._calls.append(event)
                return []
            case Finished():
                return [self._held_calls() if self._whole_calls else chunk.ChoiceDelta()]

    def _more(self, call: ToolCallDelta) -> chunk.ChoiceDelta:
        """The opening of a call, or more of its arguments."""
        opens = call.id != self._open
        self._open = call.id
        self._opened += opens
        if self._legacy:
            name = {"name": call.name} if opens else {}
            function_call = chunk.ChoiceDeltaFunctionCall(**name, arguments=call.arguments)
            return chunk.ChoiceDelta(function_call=function_call)
        index = self._opened - 1
        if opens:
            return chunk.ChoiceDelta(tool_calls=[_opening(index, call)])
        arguments = chunk.ChoiceDeltaToolCallFunction(arguments=call.arguments)
        return chunk.ChoiceDelta(
            tool_calls=[chunk.ChoiceDeltaToolCall(index=index, function=arguments)]
        )

    def _held_calls(self) -> chunk.ChoiceDelta:
        if self._legacy and self._calls:
            call = self._calls[0]
            whole = chunk.ChoiceDeltaFunctionCall(name=call.name, arguments=call.arguments)
            return chunk.ChoiceDelta(function_call=whole)
        calls = [_opening(index, call) for index, call in enumerate(self._calls)]
        return chunk.ChoiceDelta(tool_calls=calls)

    def _choice(self, delta: chunk.ChoiceDelta, event: Event, *, last: bool) -> chunk.Choice:
        if self._whole_calls:
            delta.content = delta.content or ""
            delta.tool_calls = delta.tool_calls or []
        choice = chunk.Choice(index=self._index, delta=delta, finish_reason=None, logprobs=None)
        if isinstance(event, TextDelta) and last and self._logprobs:
            choice.logprobs = chunk.ChoiceLogprobs(
                content=chat_logprobs(event.logprobs), refusal=None
            )
        if isinstance(event, Finished) and last:
            choice.finish_reason = _finish_reason(event.reason, legacy=self._legacy)
        return choice


class CompletionResponse:
    """One text completion under way: its id, its time, its model.

    Whole or in a stream it has one shape
    (https://platform.openai.com/docs/api-reference/completions/object); in a stream the finish
    reason is null until the last chunk.

    Args:
        model: The name of the model that replies.
        include_usage: Whether a stream ends with its usage; every chunk then has the field.
        logprobs: Whether text carries its tokens' probabilities.
        of_a_prompt: How many completions each prompt has.
    """

    def __init__(
        self,
        model: str,
        *,
        include_usage: bool = False,
        logprobs: bool = False,
        of_a_prompt: int = 1,
    ) -> None:
        self._head: dict[str, Any] = {
            "id": f"cmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": model,
            "object": "text_completion",
        }
        self._include_usage = include_usage
        self._logprobs = logprobs
        self._of_a_prompt = of_a_prompt

    async def whole(self, events: AsyncIterator[Told]) -> Completion:
        """All events in one object."""
        replies = await collected(events)
        choices = [
            self._choice(index, reply.text, reply.logprobs, reply.reason)
            for index, reply in enumerate(replies)
        ]
        usage = _total([reply.usage for reply in replies], self._of_a_prompt)
        return Completion(**self._head, choices=choices, usage=usage)

    async def chunks(self, events: AsyncIterator[Told]) -> AsyncIterator[Completion]:
        """The events as they come, and with `include_usage` last a chunk without choices."""
        usages: dict[int, Usage] = {}
        offsets: Counter[int] = Counter()
        no_usage: dict[str, Any] = {"usage": None} if self._include_usage else {}
        async for index, event in events:
            match event:
                case TextDelta():
                    choice = self._choice(index, event.text, event.logprobs, None, offsets[index])
                    offsets[index] += len(event.text)
                    yield Completion(**self._head, choices=[choice], **no_usage)
                case Finished():
                    usages[index] = event.usage
                    choice = self._choice(index, "", (), event.reason)
                    yield Completion(**self._head, choices=[choice], **no_usage)
        if self._include_usage:
            usage = _total([usages[index] for index in sorted(usages)], self._of_a_prompt)
            yield Completion(**self._head, choices=[], usage=usage)

    def _choice(
        self,
        index: int,
        text: str,
        logprobs: Sequence[TokenLogprob],
        reason: str | None,
        offset: int = 0,
    ) -> CompletionChoice:
        told = text_logprobs(logprobs, offset) if self._logprobs and logprobs else None
        # The SDK's type has no null, which stands in every chunk but the last.
        return CompletionChoice.construct(
            index=index, text=text, logprobs=told, finish_reason=reason
        )


def chat_logprobs(tokens: Sequence[TokenLogprob]) -> list[ChatCompletionTokenLogprob]:
    """What stands in `logprobs.content`."""
    return [
        ChatCompletionTokenLogprob(
            token=_token_text(token),
            bytes=list(_token_bytes(token)),
            logprob=token.logprob,
            top_logprobs=[
                TopLogprob(
                    token=_token_text(top), bytes=list(_token_bytes(top)), logprob=top.logprob
                )
                for top in token.top
            ],
        )
        for token in tokens
    ]


def text_logprobs(tokens: Sequence[TokenLogprob], offset: int) -> Logprobs:
    """What stands in a text completion's `logprobs`; `offset` characters were told before.

    The sampled token is always among its `top_logprobs`.
    """
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(_token_text(token))
    return Logprobs(
        tokens=[_token_text(token) for token in tokens],
        token_logprobs=[token.logprob for token in tokens],
        top_logprobs=[
            {_token_text(each): each.logprob for each in (*token.top, token)} for token in tokens
        ],
        text_offset=offsets,
    )


def _total(usages: Iterable[Usage], of_a_prompt: int | None = None) -> CompletionUsage:
    """What all replies cost: a prompt that several share, or else all of them, counts once."""
    each = list(usages)
    shared = of_a_prompt or len(each)
    prompt_tokens = sum(
        max(usage.prompt_tokens for usage in each[at : at + shared])
        for at in range(0, len(each), shared)
    )
    completion_tokens = sum(usage.completion_tokens for usage in each)
    reasoning_tokens = sum(usage.reasoning_tokens for usage in each)
    total = CompletionUsage(
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        total_tokens=prompt_tokens + completion_tokens,
    )
    if reasoning_tokens:
        details = CompletionTokensDetails(reasoning_tokens=reasoning_tokens)
        total.completion_tokens_details = details
    return total


def _call(call: ToolCall) -> ChatCompletionMessageFunctionToolCall:
    function = Function(name=call.name, arguments=call.arguments)
    return ChatCompletionMessageFunctionToolCall(id=call.id, type="function", function=function)


def _opening(index: int, call: ToolCallDelta | ToolCall) -> chunk.ChoiceDeltaToolCall:
    function = chunk.ChoiceDeltaToolCallFunction(name=call.name, arguments=call.arguments)
    return chunk.ChoiceDeltaToolCall(index=index, id=call.id, type="function", function=function)


def _reasoning_content(text: str) -> dict[str, Any]:
    """The field for reasoning, which OpenAI's own API doesn't tell, as others name it."""
    return {"reasoning_content": text}


def _finish_reason(
    reason: FinishReason, *, legacy: bool
) -> Literal["stop", "length", "tool_calls", "function_call"]:
    """Why a reply is over, with OpenAI's newer or older word for calls."""
    return "function_call" if legacy and reason == "tool_calls" else reason


def _token_bytes(token: TokenLogprob) -> bytes:
    """A token may be a part of a character; what is no text stands as surrogate escapes in it."""
    return token.token.encode(errors="surrogateescape")


def _token_text(token: TokenLogprob) -> str:
    return _token_bytes(token).decode(errors="replace")
