"""What our `/v1` costs beside llama.cpp's own server: the same wheel, model and settings, in turns.

    python benchmarks/door.py --clients 1,4,16

Told are tokens a second of all clients together and the median time to the first token, ours,
llama.cpp's and their ratio; then when the first piece of a forced call's arguments comes, beside
the first text of a plain reply.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile
from typing import Any, NamedTuple, TypeVar

import httpx2
from openai import AsyncOpenAI

# Run as a script, Python looks for modules in this folder instead of the project's.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.command_line import positive
from benchmarks.run_eval import HOST, free_port
from function_calling.cli.serve import serving
from function_calling.engines import load_engine
from function_calling.settings import Settings

COUNT = "Write the numbers from {} on, with a comma after each."
WRITTEN = 48
"""Tokens of a reply."""
NOTE = {
    "type": "function",
    "function": {
        "name": "note",
        "description": "Keep a text.",
        "parameters": {
            "type": "object",
            "properties": {"text": {"type": "string", "minLength": 300, "maxLength": 300}},
            "required": ["text"],
        },
    },
}

Result = TypeVar("Result")


class Reply(NamedTuple):
    """When its first piece came, in seconds from the request, and how many tokens it has."""

    first: float
    tokens: int


async def asked(client: AsyncOpenAI, number: int, **fields: Any) -> Reply:
    """A reply, streamed to its end."""
    begun, first, tokens = time.perf_counter(), 0.0, 0
    stream = await client.chat.completions.create(
        model="any",
        messages=[{"role": "user", "content": COUNT.format(number)}],
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
        **fields,
    )
    async for chunk in stream:
        for choice in chunk.choices:
            calls = choice.delta.tool_calls or ()
            written = [choice.delta.content, *(each.function.arguments for each in calls)]
            if any(written) and not first:
                first = time.perf_counter() - begun
        tokens = chunk.usage.completion_tokens if chunk.usage else tokens
    return Reply(first, tokens)


async def loaded(client: AsyncOpenAI, clients: int, turn: int) -> tuple[float, list[float]]:
    """Tokens a second of so many clients together, and each reply's time to its first token."""
    waiting = iter(range(2 * clients * turn + 1, 2 * clients * (turn + 1) + 1))

    async def ask_on() -> list[Reply]:
        return [await asked(client, number, max_tokens=WRITTEN) for number in waiting]

    begun = time.perf_counter()
    replies = list(chain(*await asyncio.gather(*(ask_on() for _ in range(clients)))))
    seconds = time.perf_counter() - begun
    return sum(each.tokens for each in replies) / seconds, [each.first for each in replies]


@contextmanager
def servers() -> Iterator[dict[str, AsyncOpenAI]]:
    """A client of ours, and one of llama.cpp's own server."""
    engine: Any = load_engine(Settings.from_env(os.environ)).engine
    transport = httpx2.AsyncHTTPTransport(uds=engine.socket)
    http = httpx2.AsyncClient(transport=transport, timeout=None)
    theirs = AsyncOpenAI(base_url="http://llamacpp/v1", api_key=engine.key, http_client=http)
    with (
        TemporaryFile() as log,
        serving(HOST, free_port(), dict(os.environ), log=log.fileno()) as (doors, processes),
    ):
        if not processes.wait_ready(doors):
            log.seek(0)
            raise SystemExit(log.read().decode(errors="replace"))
        ours = AsyncOpenAI(base_url=f"{doors.v1}/v1", api_key="none", timeout=600)
        yield {"ours": ours, "llama.cpp": theirs}
    engine.close()


async def in_turns(
    sides: Mapping[str, Callable[[int], Awaitable[Result]]], rounds: int
) -> dict[str, list[Result]]:
    """What each side gives for the number of each round; who begins, changes."""
    given: dict[str, list[Result]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: 1 if number % 2 else -1]:
            given[name].append(await sides[name](number))
    return given


async def measure(both: Mapping[str, AsyncOpenAI], clients: list[int], rounds: int) -> None:
    """Print the tables."""
    for client in both.values():
        await asked(client, 0, max_tokens=1)
    print(f"{'':<10} {'tokens a second':>27} {'first token, ms':>27}")
    print(f"{'clients':<10}" + f" {'ours':>8} {'llama.cpp':>10} {'ratio':>7}" * 2)
    for count in clients:
        loads = {name: partial(loaded, client, count) for name, client in both.items()}
        given = await in_turns(loads, rounds)
        speeds = [median(speed for speed, _ in given[name]) for name in both]
        firsts = [1000 * median(chain(*(each for _, each in given[name]))) for name in both]
        row = "".join(f" {a:>8.1f} {b:>10.1f} {a / b:>7.2f}" for a, b in (speeds, firsts))
        print(f"{count:<10}{row}", flush=True)
    text = partial(asked, both["ours"], max_tokens=4)
    call = partial(asked, both["ours"], tools=[NOTE], tool_choice="required")
    await call(0)
    replies = await in_turns({"text": text, "call": call}, 2 * rounds)
    first, piece = (1000 * median(each.first for each in told) for told in replies.values())
    print(f"first text {first:.0f} ms, first piece of a call {piece:.0f} ms: {piece / first:.2f}")


def main(arguments: list[str]) -> None:
    """Start both servers, and measure."""
    parser = argparse.ArgumentParser(description="Measure /v1 beside llama.cpp's own server.")
    parser.add_argument("--clients", default="1,4,16", help="counts, separated by commas")
    parser.add_argument("--rounds", type=positive, default=3, help="how often each is measured")
    wanted = parser.parse_args(arguments)
    with servers() as both:
        asyncio.run(measure(both, [int(each) for each in wanted.clients.split(",")], wanted.rounds))


if __name__ == "__main__":
    main(sys.argv[1:])
