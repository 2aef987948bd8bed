"""What `/v1/chat/completions` itself takes: over an engine that does nothing, by bare events."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import httpx2

from benchmarks.bench_turns import Line, compared, in_turns, seconds
from benchmarks.command_line import tool
from benchmarks.servers import noop_server

WARM, ROUNDS = 5, 40
FEW, MANY = 8, 512
"""Tokens of a short reply, and of a long one."""
NOTE = tool("note", "Keep a text.", text="string")
WAYS: Mapping[str, dict[str, Any]] = {
    "without tools": {},
    "with a tool": {"tools": [NOTE]},
    "a forced call": {"tools": [NOTE], "tool_choice": "required"},
}
MESSAGES = [{"role": "user", "content": "Keep a text."}]
DOORS = {"ours": "/chat/completions", "bare events": "/bare/chat/completions"}


def lines() -> Iterator[Line]:
    """The time of a short request, whole, and of a token in a long stream."""
    with noop_server() as url, httpx2.Client(base_url=f"{url}/v1", timeout=60) as client:
        for way, fields in WAYS.items():
            yield from _way(client, way, {"messages": MESSAGES, "model": "any", **fields})


def _way(client: httpx2.Client, way: str, fields: dict[str, Any]) -> Iterator[Line]:
    def took(door: str, tokens: int, stream: bool, _: int) -> float:
        wanted = {**fields, "max_tokens": tokens, "stream": stream}
        return seconds(lambda: client.post(DOORS[door], json=wanted).raise_for_status())

    whole = {door: partial(took, door, FEW, False) for door in DOORS}
    in_turns(whole, WARM)
    yield compared(f"a request, {way}", "ms", in_turns(whole, ROUNDS), scale=1e3)
    streams = {f"{door} {n}": partial(took, door, n, True) for door in DOORS for n in (FEW, MANY)}
    in_turns(streams, WARM)
    given = in_turns(streams, ROUNDS)
    of_tokens = {
        door: [
            (many - few) / (MANY - FEW)
            for few, many in zip(given[f"{door} {FEW}"], given[f"{door} {MANY}"], strict=True)
        ]
        for door in DOORS
    }
    yield compared(f"a streamed token, {way}", "µs", of_tokens, scale=1e6)
