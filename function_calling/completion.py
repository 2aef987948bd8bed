"""One chat completion from an OpenAI-compatible server: streamed, joined, its failures named.

Streamed, though it is only wanted whole: a server notices that nobody waits any more only where
it streams, so that a cancelled query stops the model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import openai
from openai.types.chat import ChatCompletionChunk

from function_calling.errors import ApiError, EngineError, RequestError
from function_calling.messages import Usage

# What the caller of a query can do something about; other 4xx are the operator's (a wrong key).
CALLERS_FAULTS = (400, 413, 422)
UNREACHABLE, BROKEN = "model_unreachable", "model_stream_broken"


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call as the model wrote it; `arguments` may be no JSON at all."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model said, and what it wants called."""

    text: str
    calls: tuple[Call, ...]
    finish_reason: str
    usage: Usage


async def complete(client: openai.AsyncOpenAI, request: dict[str, Any]) -> Reply:
    """The model's reply; one that is cut at `max_tokens` is asked for once more with double.

    Args:
        client: Knows the server.
        request: The fields of a chat completion request, with `max_tokens`, without `stream`.

    Raises:
        EngineError: The server is away (503), too slow (504) or broken (502), or the reply is
            too long.
        RequestError: The server can't serve such a request; the status is its own.
    """
    reply = await _repeated_if_lost(client, request)
    if reply.finish_reason != "length":
        return reply
    room = 2 * request["max_tokens"]
    longer = await _repeated_if_lost(client, {**request, "max_tokens": room})
    if longer.finish_reason == "length":
        raise EngineError(f"The model's reply is longer than {room} tokens.", status=502)
    return replace(longer, usage=added(reply.usage, longer.usage))


def added(one: Usage, other: Usage) -> Usage:
    """The tokens of both."""
    return Usage(
        one.prompt_tokens + other.prompt_tokens, one.completion_tokens + other.completion_tokens
    )


async def _repeated_if_lost(client: openai.AsyncOpenAI, request: dict[str, Any]) -> Reply:
    """A completion changes nothing, so one whose connection was lost is safe to ask for again."""
    try:
        return await _joined(client, request)
    except EngineError as error:
        if error.code not in (UNREACHABLE, BROKEN):
            raise
    return await _joined(client, request)


async def _joined(client: openai.AsyncOpenAI, request: dict[str, Any]) -> Reply:
    """The whole of one streamed completion."""
    pieces = _Pieces()
    lost = UNREACHABLE
    try:
        # The client's own retries would wait, and repeat what was too slow already.
        stream = await client.with_options(max_retries=0).chat.completions.create(
            **request, stream=True, stream_options={"include_usage": True}
        )
        lost = BROKEN
        async with stream:
            async for chunk in stream:
                pieces.add(chunk)
    except openai.APIError as error:
        raise _named(error, lost) from error
    except ValueError as error:
        raise _lost(BROKEN) from error
    if not pieces.finish_reason:
        raise _lost(BROKEN)
    return pieces.reply()


def _named(error: openai.APIError, lost: str) -> ApiError:
    """A client library's error as one of ours."""
    if isinstance(error, openai.APITimeoutError):
        return EngineError("The model server took too long to reply.", status=504)
    if isinstance(error, openai.APIConnectionError):
        return _lost(lost)
    said = error.body.get("message") if isinstance(error.body, Mapping) else None
    message = str(said or error.message)
    status = getattr(error, "status_code", 502)
    if status in CALLERS_FAULTS:
        return RequestError(message, param=error.param, code=error.code, status=status)
    if status == 429:
        return EngineError(f"The model server is busy: {message}", status=503)
    kept = status if status in (503, 504) else 502
    return EngineError(f"The model server failed: {message}", code=error.code, status=kept)


def _lost(code: str) -> EngineError:
    if code == UNREACHABLE:
        return EngineError("The model server can't be reached.", code=code, status=503)
    return EngineError("The model server broke off its reply.", code=code, status=502)


@dataclass(slots=True)
class _Pieces:
    """The parts of a reply received so far."""

    text: list[str] = field(default_factory=list)
    calls: dict[int, Call] = field(default_factory=dict)
    finish_reason: str = ""
    usage: Usage = field(default_factory=Usage)

    def add(self, chunk: ChatCompletionChunk) -> None:
        if chunk.usage:
            self.usage = Usage(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
        for choice in chunk.choices:
            self.text.append(choice.delta.content or "")
            self.finish_reason = choice.finish_reason or self.finish_reason
            for delta in choice.delta.tool_calls or ():
                call = self.calls.get(delta.index, Call("", "", ""))
                written = delta.function
                self.calls[delta.index] = Call(
                    call.id or delta.id or "",
                    call.name + ((written and written.name) or ""),
                    call.arguments + ((written and written.arguments) or ""),
                )

    def reply(self) -> Reply:
        # Some servers name no id, but a result must refer to one.
        calls = tuple(
            replace(call, id=call.id or f"call_{index}") for index, call in self.calls.items()
        )
        return Reply("".join(self.text), calls, self.finish_reason, self.usage)
