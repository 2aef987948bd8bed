"""What grows faster than the thing that it depends on, and what a later round reads anew.

Each line but the last tells what one more costs up to a size, beside up to a quarter of it, over an
engine that does nothing: above 1 it grows faster than linear.
"""

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from itertools import pairwise
from statistics import median
from typing import Any

import httpx2
from openai import AsyncOpenAI

from benchmarks.bench_turns import Line, compared, in_turns, seconds
from benchmarks.command_line import tool
from benchmarks.exchange_cases import load_cases
from benchmarks.exchange_routes import chat_events
from benchmarks.servers import noop_server, served
from function_calling.agent.assistant import Assistant
from function_calling.agent.events import DoneEvent
from function_calling.agent.messages import read_query
from function_calling.engines import Engine
from function_calling.model.chat_model import load_chat_model
from function_calling.model.words import Piece, Sampling
from function_calling.settings import Settings
from openai_endpoints import openai_api_app
from tools import EXAMPLE, TOOL_SETS

ROUNDS = 15
LINEAR = 1.5
"""A ratio up to which it may be noise; of what grows with the square of a size it would be 4."""
QUESTIONS = 3
"""Of a kind."""


def lines() -> Iterator[Line]:
    """Ours alone first, then with the engine."""
    with noop_server() as url, httpx2.Client(base_url=f"{url}/v1", timeout=60) as model:
        for what, size, fields in (
            (
                "/v1, prompt",
                400_000,
                lambda n: {"messages": [{"role": "user", "content": "x" * n}]},
            ),
            ("/v1, tools", 128, _tools),
            ("/v1, rounds in the conversation", 64, _rounds),
        ):
            yield _growth(what, size, partial(_completed, model, fields))
        with (
            served(LLAMA_URL=url) as doors,
            httpx2.Client(base_url=doors.assistant, timeout=60) as client,
        ):
            yield _growth("/chat, messages before the question", 128, partial(_chatted, client))
    yield asyncio.run(_later_rounds())


def _growth(what: str, largest: int, work: Callable[[int], Any]) -> Line:
    """What one more costs up to the largest size, beside up to a quarter of it."""
    most, some, few = largest, largest // 4, largest // 16

    def timed(size: int, _: int) -> float:
        return seconds(partial(work, size))

    sides = {str(size): partial(timed, size) for size in (most, some, few)}
    in_turns(sides, 2)
    given = in_turns(sides, ROUNDS)
    at_most, at_some, at_few = (1e6 * median(took) for took in given.values())
    ours, other = (at_most - at_some) / (most - some), (at_some - at_few) / (some - few)
    note = f"{at_few / 1000:.3g}, {at_some / 1000:.3g} and {at_most / 1000:.3g} ms in all"
    line = Line(f"{what}: {some} to {most}", "µs each", ours, f"{few} to {some}", other, ROUNDS)
    faster = line.ratio is not None and line.ratio > LINEAR
    return replace(line, note=f"faster than linear: {note}" if faster else note)


def _completed(client: httpx2.Client, fields: Callable[[int], dict[str, Any]], size: int) -> None:
    asked = {"model": "any", "messages": [{"role": "user", "content": "Go on."}], "max_tokens": 8}
    client.post("/chat/completions", json=asked | fields(size)).raise_for_status()


def _tools(size: int) -> dict[str, Any]:
    unit = ["gram", "ounce"]
    tools = [tool(f"weigh_{each}", "Weigh it.", amount="number", unit=unit) for each in range(size)]
    return {"tools": tools, "tool_choice": "required"}


def _rounds(size: int) -> dict[str, Any]:
    messages: list[Any] = [{"role": "user", "content": "Weigh them all."}]
    for each in range(size):
        function = {"name": "weigh", "arguments": json.dumps({"amount": each})}
        call = {"id": f"call_{each}", "type": "function", "function": function}
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": f"call_{each}", "content": f"{each} g"})
    return {"messages": messages}


def _chatted(client: httpx2.Client, size: int) -> None:
    messages = []
    for each in range(1000, 1000 + size // 2):
        messages.append({"role": "user", "content": f"And {each} euros in yen?"})
        messages.append({"role": "assistant", "content": f"{each} euros are {3 * each} yen."})
    messages.append({"role": "user", "content": EXAMPLE})
    told = [event for _, event in chat_events(client, messages)]
    if not (isinstance(told[-1], DoneEvent) and told[-1].grounding == "ok"):
        raise ValueError(f"the question was not answered: {told}")


class Counting:
    """An engine, with the last piece of each of its generations.

    Attributes:
        rounds: The pieces of each request to `/v1`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.rounds: list[list[Piece]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """`/v1`, of which each request begins a round."""
        self.rounds.append([])
        await openai_api_app(scope, receive, send)

    async def generate(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """See `Engine.generate`."""
        pieces = self.rounds[-1]
        pieces.append(Piece(""))
        async with aclosing(self._engine.generate(prompt, sampling)) as generated:
            async for piece in generated:
                pieces[-1] = piece
                yield piece


async def _later_rounds() -> Line:
    """Ask the assistant, and compare what its later rounds read with what is new in them."""
    settings = Settings.from_env(os.environ)
    model = load_chat_model(settings)
    model.engine = engine = Counting(model.engine)
    openai_api_app.state.chat_model = model
    transport = httpx2.ASGITransport(app=engine.app)
    http = httpx2.AsyncClient(transport=transport, timeout=300)
    client = AsyncOpenAI(base_url="http://llama", api_key="none", http_client=http)
    assistant = Assistant(settings, client, TOOL_SETS)
    cases = load_cases()
    read, new = [], []
    for kind in ("plain", "several"):
        for case in [each for each in cases if each.kind == kind][:QUESTIONS]:
            engine.rounds.clear()
            await (await assistant.agent()).answer(read_query(case.query, len(case.query)))
            for before, after in pairwise(filter(None, engine.rounds)):
                read.append(sum(each.prompt_tokens - each.cached_tokens for each in after))
                known = before[-1].prompt_tokens + before[-1].completion_tokens
                new.append(after[0].prompt_tokens - known)
    model.engine.close()
    told = {"read": read, "new tokens of theirs": new}
    return compared("what later rounds read", "tokens", told, told=sum)
