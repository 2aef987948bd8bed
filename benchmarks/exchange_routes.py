"""The two ways to ask the assistant: `POST /exchange`, whole, and `POST /chat`, in parts."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import httpx2

from function_calling.chat_events import (
    ChatEvent,
    DoneEvent,
    ErrorEvent,
    TextEvent,
    read_event,
)

COUNTED = {
    "rounds": "X-Rounds",
    "tool calls": "X-Tool-Calls",
    "prompt tokens": "X-Prompt-Tokens",
    "completion tokens": "X-Completion-Tokens",
}
TOLD = (*COUNTED.values(), "X-Grounding")

Timed: TypeAlias = tuple[float, ChatEvent]
"""An event, and the seconds from the question to it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a route replied to one query.

    Attributes:
        status: The HTTP status, 0 where the server broke off; for a chat that ends with an error,
            the one that it would have had at `/exchange`.
        answer: The text, or why there is none.
        seconds: From the question to the end.
        headers: What `/exchange` tells in headers, whichever route told it.
        events: A chat's.
        problems: What is wrong with the events, whatever they say.
    """

    status: int
    answer: str
    seconds: float
    headers: dict[str, str] = field(default_factory=dict)
    events: tuple[Timed, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def shown(self) -> list[str]:
        """All that a person had read of a chat after each of its texts."""
        texts = [event.text for _, event in self.events if isinstance(event, TextEvent)]
        return ["".join(texts[: end + 1]) for end in range(len(texts))]

    @property
    def first_text(self) -> float | None:
        """Seconds to a chat's first text."""
        return next((at for at, event in self.events if isinstance(event, TextEvent)), None)


def ask_exchange(client: httpx2.Client, query: str) -> Reply:
    """Post one query; a server that breaks off has not answered.

    Raises:
        ConnectError: There is no server.
    """
    start = time.perf_counter()
    try:
        response = client.post("/exchange", json={"query": query})
    except httpx2.ConnectError:
        raise
    except httpx2.TransportError as error:
        return Reply(0, _broken(error), time.perf_counter() - start)
    headers = {name: response.headers[name] for name in TOLD if name in response.headers}
    return Reply(response.status_code, response.text, time.perf_counter() - start, headers)


def ask_chat(client: httpx2.Client, query: str) -> Reply:
    """Post one query as a conversation, and read its events to the end.

    Raises:
        ConnectError: There is no server.
    """
    start = time.perf_counter()
    events: list[Timed] = []
    broken = ""
    try:
        for each in chat_events(client, [{"role": "user", "content": query}]):
            events.append(each)
    except httpx2.ConnectError:
        raise
    except httpx2.HTTPStatusError as error:
        refused = error.response
        return Reply(refused.status_code, refused.text, time.perf_counter() - start)
    except (httpx2.TransportError, ValueError) as error:
        broken = _broken(error)
    return _read(events, time.perf_counter() - start, broken)


def chat_events(client: httpx2.Client, messages: Sequence[dict[str, Any]]) -> Iterator[Timed]:
    """The events of one turn as they come.

    Raises:
        HTTPStatusError: The server refuses the messages.
        TransportError: The server is away, or breaks off.
        ValueError: It sends what is no event.
    """
    start = time.perf_counter()
    with client.stream("POST", "/chat", json={"messages": list(messages)}) as response:
        if response.is_error:
            response.read()
            response.raise_for_status()
        for line in response.iter_lines():
            if line:
                event = read_event(line.removeprefix("data: "))
                yield time.perf_counter() - start, event


ROUTES: dict[str, Callable[[httpx2.Client, str], Reply]] = {
    "/exchange": ask_exchange,
    "/chat": ask_chat,
}


def _broken(error: Exception) -> str:
    return f"({type(error).__name__}: {error})"


def _read(events: list[Timed], seconds: float, broken: str) -> Reply:
    """What a chat that was not refused came to."""
    ends = [event for _, event in events if isinstance(event, DoneEvent | ErrorEvent)]
    answer = "".join(event.text for _, event in events if isinstance(event, TextEvent))
    problems = [broken] if broken else []
    if len(ends) != 1 or events[-1][1] is not ends[0]:
        kinds = ", ".join(event.type for _, event in events)
        problems.append(f"does not end with one done or error: {kinds or 'no event'}")
    status, headers = 0, {}
    match ends:
        case [DoneEvent() as done]:
            status, headers = 200, _told(done)
        case [ErrorEvent(error=error)]:
            status = 400 if error.type == "invalid_request_error" else 500
            answer = f"{answer} {error.message}".strip()
    return Reply(status, answer or broken, seconds, headers, tuple(events), tuple(problems))


def _told(done: DoneEvent) -> dict[str, str]:
    values = (
        *(done.rounds, done.tool_calls, done.usage.prompt_tokens, done.usage.completion_tokens),
        done.grounding,
    )
    return dict(zip(TOLD, map(str, values), strict=True))
