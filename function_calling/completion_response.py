"""Replies as OpenAI's text-completion objects: whole, or as the chunks of a stream.

Both have one shape (https://platform.openai.com/docs/api-reference/completions/object); in a
stream the finish reason is null until the last chunk.
"""

import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

from openai.types import Completion, CompletionChoice

from function_calling.logprobs_out import text_logprobs
from function_calling.model.words import Finished, TextDelta, TokenLogprob, Usage
from function_calling.replies import Told, collected, together


class CompletionResponse:
    """One response under way: its id, its time, its model.

    Args:
        model: The name of the model that replies.
        include_usage: Whether a stream ends with its usage; every chunk then has the field.
        logprobs: Whether text carries its tokens' probabilities.
    """

    def __init__(self, model: str, *, include_usage: bool = False, logprobs: bool = False) -> None:
        self._head: dict[str, Any] = {
            "id": f"cmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": model,
            "object": "text_completion",
        }
        self._include_usage = include_usage
        self._logprobs = logprobs

    async def whole(self, events: AsyncIterator[Told]) -> Completion:
        """All events in one object."""
        replies = await collected(events)
        choices = [
            self._choice(index, reply.text, reply.logprobs, reply.reason)
            for index, reply in enumerate(replies)
        ]
        usage = together(reply.usage for reply in replies)
        return Completion(**self._head, choices=choices, usage=usage)

    async def chunks(self, events: AsyncIterator[Told]) -> AsyncIterator[Completion]:
        """The events as they come, and with `include_usage` last a chunk without choices."""
        usages: list[Usage] = []
        offsets: Counter[int] = Counter()
        no_usage: dict[str, Any] = {"usage": None} if self._include_usage else {}
        async for index, event in events:
            match event:
                case TextDelta():
                    choice = self._choice(index, event.text, event.logprobs, None, offsets[index])
                    offsets[index] += len(event.text)
                    yield Completion(**self._head, choices=[choice], **no_usage)
                case Finished():
                    usages.append(event.usage)
                    choice = self._choice(index, "", (), event.reason)
                    yield Completion(**self._head, choices=[choice], **no_usage)
        if self._include_usage:
            yield Completion(**self._head, choices=[], usage=together(usages))

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
