"""The two ways to ask the assistant, `POST /exchange` and `POST /chat`, read as the same events."""

from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any, TypeAlias

import httpx2
from pydantic import ValidationError

from function_calling.agent.events import (
    ChatEvent,
    DoneEvent,
    ErrorEvent,
    ErrorObject,
    TextEvent,
    read_event,
)
from function_calling.line_reader import LineReader

Timed: TypeAlias = tuple[float, ChatEvent]
"""An event, and the seconds from the question to it."""


def exchange_events(client: httpx2.Client, query: str) -> Iterator[Timed]:
    """The reply to one query as the events that a chat would have sent: its text and its end.

    How long model and tools took, its headers don't tell.

    Raises:
        HTTPStatusError: The server refuses the query.
        TransportError: The server is away, or breaks off.
        ValueError: A header is not as it should be.
        KeyError: A header is missing.
    """
    start = perf_counter()
    response = client.post("/exchange", json={"query": query})
    seconds = perf_counter() - start
    response.raise_for_status()
    yield seconds, TextEvent(text=response.text)
    end = {
        "rounds": response.headers["x-rounds"],
        "tool_calls": response.headers["x-tool-calls"],
        "usage": {
            "prompt_tokens": response.headers["x-prompt-tokens"],
            "completion_tokens": response.headers["x-completion-tokens"],
        },
        "timings": {"first_text": seconds, "model": 0, "tools": 0, "total": seconds},
        "grounding": response.headers["x-grounding"],
    }
    yield seconds, DoneEvent.model_validate(end)


def chat_events(client: httpx2.Client, messages: Sequence[dict[str, Any]]) -> Iterator[Timed]:
    """The events of one turn as they come.

    Raises:
        HTTPStatusError: The server refuses the messages.
        TransportError: The server is away, or breaks off.
        ValueError: It sends what is no event.
    """
    start = perf_counter()
    with client.stream("POST", "/chat", json={"messages": list(messages)}) as response:
        if response.is_error:
            response.read()
            response.raise_for_status()
        lines = LineReader()
        for part in response.iter_bytes():
            for line in filter(None, lines.feed(part)):
                event = read_event(line.removeprefix("data: "))
                yield perf_counter() - start, event


def ask(client: httpx2.Client, route: str, query: str) -> list[Timed]:
    """Put one query to `/exchange` or `/chat`, and read its events to the end.

    Whatever goes wrong on the way is an error event.

    Raises:
        ConnectError: There is no server.
    """
    start = perf_counter()
    events: list[Timed] = []
    came = exchange_events(client, query)
    if route == "/chat":
        came = chat_events(client, [{"role": "user", "content": query}])
    try:
        for each in came:
            events.append(each)
    except httpx2.ConnectError:
        raise
    except httpx2.HTTPStatusError as error:
        events.append((perf_counter() - start, _refusal(error.response)))
    except (httpx2.TransportError, LookupError, ValueError) as error:
        broken = ErrorObject(message=f"({type(error).__name__}: {error})", type="no_event")
        events.append((perf_counter() - start, ErrorEvent(error=broken)))
    return events


def _refusal(response: httpx2.Response) -> ErrorEvent:
    """What an error's body says; its status says whose error it is."""
    kind = "invalid_request_error" if response.is_client_error else "server_error"
    try:
        message = ErrorEvent.model_validate_json(response.text).error.message
    except ValidationError:
        message = response.text
    return ErrorEvent(error=ErrorObject(message=message, type=kind))
