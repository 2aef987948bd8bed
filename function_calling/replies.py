"""Replies to one request: generated side by side, told one by one or together."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TypeAlias

from openai.types import CompletionUsage
from openai.types.completion_usage import CompletionTokensDetails

from function_calling.model.words import (
    Event,
    Finished,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    TokenLogprob,
    ToolCall,
    Usage,
)

Told: TypeAlias = tuple[int, Event]
"""An event, and which of the replies it belongs to."""
_Queue: TypeAlias = asyncio.Queue[Told | Exception | None]


async def side_by_side(
    replies: Sequence[AsyncGenerator[Event, None]],
) -> AsyncGenerator[Told, None]:
    """The events of all replies as they come; the first error ends all of them.

    Closing it closes every reply. A reply runs ahead of the reader by two events at most.
    """
    told: _Queue = asyncio.Queue(maxsize=1)
    tellers = [asyncio.create_task(_tell(told, *each)) for each in enumerate(replies)]
    running = len(tellers)
    try:
        while running:
            match await told.get():
                case None:
                    running -= 1
                case Exception() as error:
                    raise error
                case event:
                    yield event
    finally:
        for teller in tellers:
            teller.cancel()
        await asyncio.gather(*tellers, return_exceptions=True)


async def _tell(told: _Queue, index: int, reply: AsyncGenerator[Event, None]) -> None:
    """Pass on the reply's events, and then its error, or None for its good end."""
    try:
        async with aclosing(reply):
            async for event in reply:
                await told.put((index, event))
    except Exception as error:
        await told.put(error)
    else:
        await told.put(None)


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


def together(usages: Iterable[Usage]) -> CompletionUsage:
    """What all replies cost: the prompt, which they share, counts once."""
    each = list(usages)
    prompt_tokens = max(usage.prompt_tokens for usage in each)
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
