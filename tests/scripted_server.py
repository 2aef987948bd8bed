"""A model server that says what a test wrote down for it, behind the real OpenAI client."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
from openai import AsyncOpenAI

PROMPT_TOKENS, COMPLETION_TOKENS = 10, 5


@dataclass(frozen=True)
class Turn:
    """One HTTP reply: events of a stream, or an error with its JSON body."""

    events: tuple[dict[str, Any] | str, ...] = ()
    status: int = 200
    body: dict[str, Any] = field(default_factory=dict)
    breaks: Exception | None = None
    hangs: bool = False
    unreachable: bool = False
    headers: dict[str, str] = field(default_factory=dict)


def says(text: str, finish_reason: str = "stop") -> Turn:
    """The model answers in words, streamed in pieces."""
    pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
    return _stream([{"content": piece} for piece in pieces], finish_reason)


def calls(*wanted: tuple[str, Any], ids: str = "a", finish_reason: str = "tool_calls") -> Turn:
    """The model wants tools; arguments that are text are sent as they are, broken or not."""
    pieces: list[dict[str, Any]] = []
    for index, (name, arguments) in enumerate(wanted):
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        opened = {"id": f"{ids}{index}", "type": "function", "function": {"name": name}}
        pieces.append({"index": index, **opened})
        for at in range(0, len(text), 5):
            pieces.append({"index": index, "function": {"arguments": text[at : at + 5]}})
    return _stream([{"tool_calls": [piece]} for piece in pieces], finish_reason)


def streams(*fragments: dict[str, Any]) -> Turn:
    """The model wants tools, in these fragments of calls."""
    return _stream([{"tool_calls": [each]} for each in fragments], "tool_calls")


def fails(status: int, message: str, code: str | None = None, param: Any = None) -> Turn:
    """The server refuses with an error of OpenAI's shape."""
    error = {"message": message, "code": code, "param": param}
    return Turn(status=status, body={"error": error})


def breaks_off() -> Turn:
    """The stream starts, and stops short of its end."""
    return Turn(events=(_chunk({"content": "The"}),))


def hangs() -> Turn:
    """A sentence, and then nothing more comes."""
    return Turn(events=(_chunk({"content": "Well. So"}),), hangs=True)


def unreachable() -> Turn:
    """There is no server."""
    return Turn(unreachable=True)


class ScriptedServer(httpx2.AsyncBaseTransport):
    """Plays turns in order; a request more than there are turns is an error of the test.

    Attributes:
        requests: The bodies of the requests so far.
        hanging: Set once a stream hangs.
        closed: How many streams were let go of before their end.
    """

    def __init__(self, *turns: Turn) -> None:
        self._turns = list(turns)
        self.requests: list[dict[str, Any]] = []
        self.hanging = asyncio.Event()
        self.closed = 0

    def client(self, transport: httpx2.AsyncBaseTransport | None = None) -> AsyncOpenAI:
        """A client that reaches this server alone."""
        http_client = httpx2.AsyncClient(transport=transport or self)
        return AsyncOpenAI(
            base_url="http://model/v1", api_key="none", max_retries=0, http_client=http_client
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """List the one model, or play the next turn."""
        if request.url.path == "/v1/models":
            return httpx2.Response(200, json={"object": "list", "data": [{"id": "scripted"}]})
        self.requests.append(json.loads(await request.aread()))
        turn = self._turns.pop(0)
        if turn.unreachable:
            raise httpx2.ConnectError("refused")
        if turn.status != 200:
            return httpx2.Response(turn.status, json=turn.body, headers=turn.headers)
        headers = {"content-type": "text/event-stream"}
        return httpx2.Response(200, headers=headers, stream=_Stream(turn, self))


class _Stream(httpx2.AsyncByteStream):
    def __init__(self, turn: Turn, server: ScriptedServer) -> None:
        self._turn = turn
        self._server = server
        self._ended = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for event in self._turn.events:
            text = event if isinstance(event, str) else json.dumps(event)
            yield f"data: {text}\n\n".encode()
        if self._turn.hangs:
            self._server.hanging.set()
            await asyncio.Event().wait()
        if self._turn.breaks:
            raise self._turn.breaks
        self._ended = True

    async def aclose(self) -> None:
        self._server.closed += not self._ended


def _stream(deltas: list[dict[str, Any]], finish_reason: str) -> Turn:
    usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": COMPLETION_TOKENS}
    total = {"total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS}
    last = {**_chunk({}), "choices": [], "usage": usage | total}
    chunks = [_chunk(delta) for delta in deltas]
    return Turn(events=(*chunks, _chunk({}, finish_reason), last, "[DONE]"))


def _chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": "scripted",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    }
