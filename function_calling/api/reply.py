"""Replies as OpenAI's objects, for chat and for text: whole, or as the chunks of a stream.

Whole replies are made of the same events as streamed ones, so the two can't differ. Reasoning is
told as `reasoning_content`, as others name it: OpenAI's own API has no field for it.
"""

import secrets
import time
from abc import abstractmethod
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar

from function_calling.api.stream import Shape, Telling, Told
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
    end: Finished = field(default_factory=lambda: Finished("stop", Usage()))

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
                self.end = event


@dataclass
class ApiResponse(Telling):
    """One response under way: its id, its time, its model.

    Args:
        include_usage: Whether a stream ends with its usage; every chunk then has the field.
        logprobs: Whether text carries its tokens' probabilities.
        of_a_prompt: How many replies each prompt has; None where all replies are of one.
    """

    id_prefix: ClassVar[str]
    whole_object: ClassVar[str]
    chunk_object: ClassVar[str]

    _: KW_ONLY
    include_usage: bool = False
    logprobs: bool = False
    of_a_prompt: int | None = None

    def __post_init__(self) -> None:
        self._id = f"{self.id_prefix}-{secrets.token_hex(12)}"
        self._created = int(time.time())

    async def whole(self, events: AsyncIterator[Told]) -> Shape:
        """All events in one object."""
        replies: defaultdict[int, Reply] = defaultdict(Reply)
        async for index, event in events:
            replies[index].add(event)
        choices = [self._whole_choice(index, replies[index]) for index in sorted(replies)]
        usage = self._total({index: reply.end.usage for index, reply in replies.items()})
        return self._object(self.whole_object, choices, {"usage": usage})

    async def chunks(self, events: AsyncIterator[Told]) -> AsyncIterator[Shape]:
        """The events as they come, and with `include_usage` last a chunk without choices."""
        usages: dict[int, Usage] = {}
        no_usage = {"usage": None} if self.include_usage else {}
        async for index, event in events:
            for choice in self._chunk_choices(index, event):
                yield self._object(self.chunk_object, [choice], no_usage)
            if isinstance(event, Finished):
                usages[index] = event.usage
        if self.include_usage:
            yield self._object(self.chunk_object, [], {"usage": self._total(usages)})

    def _object(self, name: str, choices: list[Any], usage: Mapping[str, Any]) -> Shape:
        return {
            "id": self._id,
            "object": name,
            "created": self._created,
            "model": self.model,
            "choices": choices,
            **usage,
        }

    @abstractmethod
    def _whole_choice(self, index: int, reply: Reply) -> Any:
        """The choice that a reply is."""

    @abstractmethod
    def _chunk_choices(self, index: int, event: Event) -> Iterator[Any]:
        """What an event becomes: a choice for each chunk."""

    def _total(self, of_replies: Mapping[int, Usage]) -> dict[str, Any]:
        """What all replies cost: a prompt that several share counts once."""
        usages = [of_replies[index] for index in sorted(of_replies)]
        shared = self.of_a_prompt or len(usages)
        prompt_tokens = sum(
            max(usage.prompt_tokens for usage in usages[at : at + shared])
            for at in range(0, len(usages), shared)
        )
        completion_tokens = sum(usage.completion_tokens for usage in usages)
        reasoning_tokens = sum(usage.reasoning_tokens for usage in usages)
        total: dict[str, Any] = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        }
        if reasoning_tokens:
            total["completion_tokens_details"] = {"reasoning_tokens": reasoning_tokens}
        return total


@dataclass
class ChatResponse(ApiResponse):
    """One chat completion under way.

    Args:
        legacy: Whether a call is told as `function_call`, for requests with `functions`.
        whole_calls: Whether calls leave a stream whole, in its last delta, and every delta has
            `content` as text and `tool_calls` as a list. Older clients add up `delta.content`,
            count `delta.tool_calls`, and take the first calls for all, or the last delta for them.
    """

    id_prefix = "chatcmpl"
    whole_object, chunk_object = "chat.completion", "chat.completion.chunk"

    _: KW_ONLY
    legacy: bool = False
    whole_calls: bool = False
    _choices: dict[int, "ChoiceChunks"] = field(default_factory=dict, init=False)

    def _whole_choice(self, index: int, reply: Reply) -> dict[str, Any]:
        content = reply.text or (None if reply.calls or reply.reasoning else "")
        message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
        if reply.reasoning:
            message["reasoning_content"] = reply.reasoning
        if reply.calls and self.legacy:
            message["function_call"] = _function(reply.calls[0])
        elif reply.calls:
            message["tool_calls"] = [_tool_call(call) for call in reply.calls]
        return {
            "index": index,
            "message": message,
            "logprobs": chat_logprobs(reply.logprobs) if self.logprobs else None,
            "finish_reason": self.finish_reason(reply.end.reason),
        }

    def _chunk_choices(self, index: int, event: Event) -> Iterator[dict[str, Any]]:
        if index not in self._choices:
            self._choices[index] = ChoiceChunks(self, index)
        return self._choices[index].choices(event)

    def finish_reason(self, reason: FinishReason) -> str:
        """Why a reply is over, with OpenAI's newer or older word for calls."""
        return "function_call" if self.legacy and reason == "tool_calls" else reason


@dataclass(slots=True)
class ChoiceChunks:
    """One choice of a streamed chat completion, event by event, in the order of OpenAI's streams.

    Role first, then reasoning, then text or calls, last `{}` with the finish reason. A call is an
    opening with its id and name, then its arguments as they are written; a reply that begins with
    a call opens it in its first chunk.
    """

    response: ChatResponse
    index: int
    _started: bool = field(default=False, init=False)
    _calls: list[ToolCall] = field(default_factory=list, init=False)
    _open: str = field(default="", init=False)
    _opened: int = field(default=0, init=False)

    def choices(self, event: Event) -> Iterator[dict[str, Any]]:
        """What the event becomes: a choice for each chunk."""
        deltas = self._deltas(event)
        if not self._started:
            self._started = True
            if isinstance(event, ToolCallDelta) and not self.response.whole_calls:
                deltas[0]["content"] = None
            else:
                deltas.insert(0, {"content": ""})
            deltas[0] |= {"role": "assistant", "refusal": None}
        for delta in deltas:
            yield self._choice(delta, event, last=delta is deltas[-1])

    def _deltas(self, event: Event) -> list[dict[str, Any]]:
        match event:
            case ReasoningDelta():
                return [{"reasoning_content": event.text}]
            case TextDelta():
                return [{"content": event.text}]
            case ToolCallDelta():
                return [] if self.response.whole_calls else [self._more(event)]
            case ToolCall():
                self._calls.append(event)
                return []
            case Finished():
                return [self._held_calls() if self.response.whole_calls else {}]

    def _more(self, call: ToolCallDelta) -> dict[str, Any]:
        """The opening of a call, or more of its arguments."""
        opens = call.id != self._open
        self._open = call.id
        self._opened += opens
        function = _function(call) if opens else {"arguments": call.arguments}
        if self.response.legacy:
            return {"function_call": function}
        told = _tool_call(call) if opens else {"function": function}
        return {"tool_calls": [{"index": self._opened - 1, **told}]}

    def _held_calls(self) -> dict[str, Any]:
        if self.response.legacy and self._calls:
            return {"function_call": _function(self._calls[0])}
        calls = [{"index": index, **_tool_call(call)} for index, call in enumerate(self._calls)]
        return {"tool_calls": calls}

    def _choice(self, delta: dict[str, Any], event: Event, *, last: bool) -> dict[str, Any]:
        if self.response.whole_calls:
            delta = {"content": "", "tool_calls": [], **delta}
        logprobs, reason = None, None
        if isinstance(event, TextDelta) and last and self.response.logprobs:
            logprobs = chat_logprobs(event.logprobs)
        if isinstance(event, Finished) and last:
            reason = self.response.finish_reason(event.reason)
        return {"index": self.index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}


@dataclass
class CompletionResponse(ApiResponse):
    """One text completion under way.

    Whole or in a stream it has one shape
    (https://platform.openai.com/docs/api-reference/completions/object); in a stream the finish
    reason is null until the last chunk.
    """

    id_prefix = "cmpl"
    whole_object = chunk_object = "text_completion"

    _offsets: Counter[int] = field(default_factory=Counter, init=False)

    def _whole_choice(self, index: int, reply: Reply) -> dict[str, Any]:
        return self._choice(index, reply.text, reply.logprobs, reply.end.reason)

    def _chunk_choices(self, index: int, event: Event) -> Iterator[dict[str, Any]]:
        match event:
            case TextDelta():
                yield self._choice(index, event.text, event.logprobs, None)
                self._offsets[index] += len(event.text)
            case Finished():
                yield self._choice(index, "", (), event.reason)

    def _choice(
        self, index: int, text: str, logprobs: Sequence[TokenLogprob], reason: str | None
    ) -> dict[str, Any]:
        told = None
        if self.logprobs and logprobs:
            told = text_logprobs(logprobs, self._offsets[index])
        return {"index": index, "text": text, "logprobs": told, "finish_reason": reason}


def chat_logprobs(tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    """What stands in a chat completion's `logprobs`."""
    content = [
        {**_chat_token(token), "top_logprobs": [_chat_token(top) for top in token.top]}
        for token in tokens
    ]
    return {"content": content, "refusal": None}


def _chat_token(token: TokenLogprob) -> dict[str, Any]:
    return {
        "token": _token_text(token),
        "bytes": list(_token_bytes(token)),
        "logprob": token.logprob,
    }


def text_logprobs(tokens: Sequence[TokenLogprob], offset: int) -> dict[str, Any]:
    """What stands in a text completion's `logprobs`; `offset` characters were told before.

    The sampled token is always among its `top_logprobs`.
    """
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(_token_text(token))
    return {
        "tokens": [_token_text(token) for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [
            {_token_text(each): each.logprob for each in (*token.top, token)} for token in tokens
        ],
        "text_offset": offsets,
    }


def _token_bytes(token: TokenLogprob) -> bytes:
    """A token may be a part of a character; what is no text stands as surrogate escapes in it."""
    return token.token.encode(errors="surrogateescape")


def _token_text(token: TokenLogprob) -> str:
    return _token_bytes(token).decode(errors="replace")


def _tool_call(call: ToolCallDelta | ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": _function(call)}


def _function(call: ToolCallDelta | ToolCall) -> dict[str, str]:
    return {"name": call.name, "arguments": call.arguments}
