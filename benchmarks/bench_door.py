"""Our `/v1` beside llama.cpp's own server: the same wheel, model and settings, in turns."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import httpx2
from openai import OpenAI

from benchmarks.bench_turns import Line, compared, in_turns
from benchmarks.command_line import at_once, percentile, tool
from benchmarks.servers import served
from function_calling.engines import load_engine
from function_calling.settings import Settings

TURNS: Mapping[int, int] = {1: 48, 4: 6, 16: 5}
"""Clients at once, and how many turns each side has; in a turn each client gets one reply.

Of two equal replies one may take a quarter longer: with 24 turns the ratio of one client was
anything from 0.90 to 0.97.
"""
TOOL_TURNS = {clients: max(2, turns // 4) for clients, turns in TURNS.items()}
WRITTEN = 16
"""Tokens of a reply."""
FORCED = 6
"""Calls that each side makes."""
COUNT = "Write the numbers that follow {}, ten of them."
CONVERT = "Convert {} US dollars to euros."
CURRENCY = ["CAD", "CHF", "EUR", "GBP", "JPY", "USD"]
NAME = "convert_currency"
TOOL = tool(
    *(NAME, "Convert an amount of money."),
    from_currency=CURRENCY,
    to_currency=CURRENCY,
    amount={"type": "integer", "minimum": 0, "maximum": 9999},
)
SCHEMA = TOOL["function"]["parameters"]
SCHEMA["additionalProperties"] = False


class Load(NamedTuple):
    """Tokens a second of all clients together, and each reply's seconds to its first token."""

    speed: float
    firsts: list[float]


def lines() -> Iterator[Line]:
    """Speed and first token by clients, and the time of a forced call."""
    with both_servers() as both:
        offered = {"tools": [TOOL]}
        for way, fields, rounds in ("", {}, TURNS), (", a tool offered", offered, TOOL_TURNS):
            for client in both.values():
                _asked(client, fields, 0)
            for clients, turns in rounds.items():
                sides = {
                    name: partial(_loaded, client, fields, clients) for name, client in both.items()
                }
                yield from _load_lines(f"{clients} at once{way}", in_turns(sides, turns))
        calls = {name: partial(_forced, name, client) for name, client in both.items()}
        # The first one compiles the grammar.
        given = {name: took[1:] for name, took in in_turns(calls, 1 + FORCED).items()}
        yield compared("a forced call, whole", "ms", given, scale=1e3)


@contextmanager
def both_servers() -> Iterator[dict[str, OpenAI]]:
    """A client of ours, and one of llama.cpp's own server."""
    engine: Any = load_engine(Settings.from_env(os.environ)).engine
    transport = httpx2.HTTPTransport(uds=engine.socket)
    http = httpx2.Client(transport=transport, timeout=600)
    theirs = OpenAI(
        base_url="http://llamacpp/v1", api_key=engine.key, http_client=http, max_retries=0
    )
    with served() as doors:
        ours = OpenAI(base_url=f"{doors.v1}/v1", api_key="none", timeout=600, max_retries=0)
        yield {"ours": ours, "llama.cpp": theirs}
    engine.close()


def _asked(client: OpenAI, fields: dict[str, Any], number: int) -> tuple[float, int]:
    """Seconds to a streamed reply's first token, and how many tokens it has."""
    begun, first, tokens = perf_counter(), 0.0, 0
    stream = client.chat.completions.create(
        model="any",
        messages=[{"role": "user", "content": COUNT.format(number)}],
        temperature=0,
        max_tokens=WRITTEN,
        stream=True,
        stream_options={"include_usage": True},
        **fields,
    )
    for chunk in stream:
        for choice in chunk.choices:
            if (choice.delta.content or choice.delta.tool_calls) and not first:
                first = perf_counter() - begun
        tokens = chunk.usage.completion_tokens if chunk.usage else tokens
    return first, tokens


def _loaded(client: OpenAI, fields: dict[str, Any], clients: int, turn: int) -> Load:
    """What so many clients get, by prompts that were not asked before."""
    first = 1000 * clients + 100 * turn
    numbers = range(first, first + clients)
    begun = perf_counter()
    replies = list(at_once(partial(_asked, client, fields), numbers, clients))
    took = perf_counter() - begun
    return Load(sum(tokens for _, tokens in replies) / took, [first for first, _ in replies])


def _load_lines(what: str, given: Mapping[str, list[Load]]) -> Iterator[Line]:
    yield compared(
        f"{what}: speed",
        "tokens/s",
        {name: [each.speed for each in got] for name, got in given.items()},
    )
    firsts = {name: [first for each in got for first in each.firsts] for name, got in given.items()}
    for percent in (50, 95):
        told = partial(percentile, percent=percent)
        yield compared(f"{what}: first token p{percent}", "ms", firsts, scale=1e3, told=told)


def _forced(side: str, client: OpenAI, number: int) -> float:
    """Seconds of a named tool's call from us, or of the same JSON from llama.cpp."""
    fields: dict[str, Any] = {
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": NAME}},
    }
    if side != "ours":
        held = {"name": NAME, "schema": SCHEMA, "strict": True}
        fields = {"response_format": {"type": "json_schema", "json_schema": held}}
    begun = perf_counter()
    reply: Any = client.chat.completions.create(
        model="any",
        messages=[{"role": "user", "content": CONVERT.format(number + 10)}],
        temperature=0,
        max_tokens=200,
        **fields,
    )
    took = perf_counter() - begun
    message = reply.choices[0].message
    written = message.tool_calls[0].function.arguments if side == "ours" else message.content
    if json.loads(written).keys() != SCHEMA["properties"].keys():
        raise ValueError(f"{side} wrote {written!r}, which the schema does not allow")
    return took
