"""The chunks of a streamed chat completion, in the order of OpenAI's own streams.

Role first, then reasoning, then text or calls, last `{}` with the finish reason. A call is an
opening with its id and name, then its arguments as they are written; a reply that begins with a
call opens it in its
first chunk.
"""

from collections.abc import Iterator
from typing import Any, Literal

from openai.types.chat.chat_completion_chunk import (
    Choice,
    ChoiceDelta,
    ChoiceDeltaFunctionCall,
    ChoiceDeltaToolCall,
    ChoiceDeltaToolCallFunction,
    ChoiceLogprobs,
)

from function_calling.logprobs_out import chat_logprobs
from function_calling.model.words import (
    Event,
    Finished,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallDelta,
)


class ChoiceChunks:
    """One choice of a stream, event by event.

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

    def choices(self, event: Event) -> Iterator[Choice]:
        """What the event becomes: a choice for each chunk."""
        deltas = self._deltas(event)
        if not self._started:
            self._started = True
            if isinstance(event, ToolCallDelta) and not self._whole_calls:
                deltas[0].content = None  # set, so that it is sent as null
            else:
                deltas.insert(0, ChoiceDelta(content=""))
            deltas[0].role = "assistant"
            deltas[0].refusal = None
        for delta in deltas:
            yield self._choice(delta, event, last=delta is deltas[-1])

    def _deltas(self, event: Event) -> list[ChoiceDelta]:
        match event:
            case ReasoningDelta():
                return [ChoiceDelta(**reasoning_content(event.text))]
            case TextDelta():
                return [ChoiceDelta(content=event.text)]
            case ToolCallDelta():
                return [] if self._whole_calls else [self._more(event)]
            case ToolCall():
                self._calls.append(event)
                return []
            case Finished():
                return [self._held_calls() if self._whole_calls else ChoiceDelta()]

    def _more(self, call: ToolCallDelta) -> ChoiceDelta:
        """The opening of a call, or more of its arguments."""
        opens = call.id != self._open
        self._open = call.id
        self._opened += opens
        if self._legacy:
            name = {"name": call.name} if opens else {}
            function_call = ChoiceDeltaFunctionCall(**name, arguments=call.arguments)
            return ChoiceDelta(function_call=function_call)
        index = self._opened - 1
        if opens:
            return ChoiceDelta(tool_calls=[_opening(index, call)])
        arguments = ChoiceDeltaToolCallFunction(arguments=call.arguments)
        return ChoiceDelta(tool_calls=[ChoiceDeltaToolCall(index=index, function=arguments)])

    def _held_calls(self) -> ChoiceDelta:
        if self._legacy and self._calls:
            call = self._calls[0]
            whole = ChoiceDeltaFunctionCall(name=call.name, arguments=call.arguments)
            return ChoiceDelta(function_call=whole)
        calls = [_opening(index, call) for index, call in enumerate(self._calls)]
        return ChoiceDelta(tool_calls=calls)

    def _choice(self, delta: ChoiceDelta, event: Event, *, last: bool) -> Choice:
        if self._whole_calls:
            delta.content = delta.content or ""
            delta.tool_calls = delta.tool_calls or []
        choice = Choice(index=self._index, delta=delta, finish_reason=None, logprobs=None)
        if isinstance(event, TextDelta) and last and self._logprobs:
            choice.logprobs = ChoiceLogprobs(content=chat_logprobs(event.logprobs), refusal=None)
        if isinstance(event, Finished) and last:
            choice.finish_reason = finish_reason(event.reason, legacy=self._legacy)
        return choice


def reasoning_content(text: str) -> dict[str, Any]:
    """The field for reasoning, which OpenAI's own API doesn't tell, as others name it."""
    return {"reasoning_content": text}


def finish_reason(
    reason: FinishReason, *, legacy: bool
) -> Literal["stop", "length", "tool_calls", "function_call"]:
    """Why a reply is over, with OpenAI's newer or older word for calls."""
    return "function_call" if legacy and reason == "tool_calls" else reason


def _opening(index: int, call: ToolCallDelta | ToolCall) -> ChoiceDeltaToolCall:
    function = ChoiceDeltaToolCallFunction(name=call.name, arguments=call.arguments)
    return ChoiceDeltaToolCall(index=index, id=call.id, type="function", function=function)
