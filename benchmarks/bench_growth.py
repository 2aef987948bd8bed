"""What grows faster than the thing that it depends on, and what a later round reads anew.

Each line but the last tells what one more costs up to a size, beside up to a quarter of it: above 1
it grows faster than linear. Our own parts are measured over an engine that does nothing.
"""

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

import httpx2
from openai import AsyncOpenAI

from benchmarks.bench_turns import Line, compared, in_turns, seconds
from benchmarks.exchange_cases import load_cases
from benchmarks.exchange_routes import chat_events
from benchmarks.servers import noop_server, served
from function_calling.agent.assistant import Assistant
from function_calling.agent.events import DoneEvent
from function_calling.agent.messages import read_query
from function_calling.engines import Engine
from function_calling.engines.grammar_guard import GrammarGuard
from function_calling.formats.call_list import CallList
from function_calling.formats.hermes import HERMES
from function_calling.model.chat_model import ChatModel, load_chat_model
from function_calling.model.words import Piece, Sampling
from function_calling.settings import Settings
from openai_endpoints import openai_api_app
from tools import EXAMPLE, TOOL_SETS

ROUNDS, READINGS = 15, 2
LINEAR = 1.5
"""A ratio up to which it may be noise; of what grows with the square of a size it would be 4."""
QUESTIONS = 6
PARAMETERS = {
    "type": "object",
    "properties": {
        "amount": {"type": "number"},
        "unit": {"type": "string", "enum": ["gram", "ounce"]},
    },
    "required": ["amount"],
}


def lines() -> Iterator[Line]:
    """Ours first, then the engine's."""
    with noop_server() as url, httpx2.Client(base_url=f"{url}/v1", timeout=60) as model:
        for what, size, fields in (
            ("/v1, prompt", 400_000, _long_prompt),
            ("/v1, tools", 128, _tools),
            ("/v1, rounds in the conversation", 64, _rounds),
        ):
            yield _growth(what, size, partial(_completed, model, fields))
        with (
            served(LLAMA_URL=url) as doors,
            httpx2.Client(base_url=doors.assistant, timeout=60) as client,
        ):
            yield _growth("/chat, messages before the question", 128, partial(_chatted, client))
    yield _growth("grammar, tools", 128, _compiled)
    yield from asyncio.run(_of_engine())


def _sizes(largest: int) -> tuple[int, ...]:
    return largest, largest // 4, largest // 16


def _growth(what: str, largest: int, work: Callable[[int, int], Any]) -> Line:
    """How the time of `work` grows with a size; it is told the round as well."""

    def timed(size: int, number: int) -> float:
        return seconds(partial(work, size, number))

    sides = {str(size): partial(timed, size) for size in _sizes(largest)}
    in_turns(sides, 2)
    return _line(what, largest, in_turns(sides, ROUNDS))


def _line(what: str, largest: int, given: Mapping[str, Sequence[float]]) -> Line:
    """What one more costs up to the largest size, beside up to a quarter of it."""
    most, some, few = _sizes(largest)
    at_most, at_some, at_few = (1e6 * median(took) for took in given.values())
    ours, other = (at_most - at_some) / (most - some), (at_some - at_few) / (some - few)
    note = f"{at_few / 1000:.3g}, {at_some / 1000:.3g} and {at_most / 1000:.3g} ms in all"
    n = len(given[str(most)])
    line = Line(f"{what}: {some} to {most}", "µs each", ours, f"{few} to {some}", other, n, note)
    faster = line.ratio is not None and line.ratio > LINEAR
    return replace(line, note=f"faster than linear: {note}") if faster else line


def _completed(
    client: httpx2.Client, fields: Callable[[int], dict[str, Any]], size: int, _: int
) -> None:
    asked = {"model": "any", "messages": [{"role": "user", "content": "Go on."}], "max_tokens": 8}
    client.post("/chat/completions", json=asked | fields(size)).raise_for_status()


def _long_prompt(size: int) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "x" * size}]}


def _tools(size: int) -> dict[str, Any]:
    tools = [{"name": f"weigh_{each}", "parameters": PARAMETERS} for each in range(size)]
    return {
        "tools": [{"type": "function", "function": tool} for tool in tools],
        "tool_choice": "required",
    }


def _rounds(size: int) -> dict[str, Any]:
    messages: list[Any] = [{"role": "user", "content": "Weigh them all."}]
    for each in range(size):
        function = {"name": "weigh", "arguments": json.dumps({"amount": each})}
        call = {"id": f"call_{each}", "type": "function", "function": function}
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": f"call_{each}", "content": f"{each} g"})
    return {"messages": messages}


def _chatted(client: httpx2.Client, size: int, _: int) -> None:
    messages = []
    for each in range(1000, 1000 + size // 2):
        messages.append({"role": "user", "content": f"And {each} euros in yen?"})
        messages.append({"role": "assistant", "content": f"{each} euros are {3 * each} yen."})
    messages.append({"role": "user", "content": EXAMPLE})
    told = [event for _, event in chat_events(client, messages)]
    if not (isinstance(told[-1], DoneEvent) and told[-1].grounding == "ok"):
        raise ValueError(f"the question was not answered: {told}")


def _compiled(size: int, number: int) -> None:
    """Compile the grammar of a reply that must call one of so many tools, which are new ones."""
    schemas = {f"weigh_{size}_{number}_{each}": PARAMETERS for each in range(size)}
    names = tuple(schemas)
    GrammarGuard(Sampling(constraint=CallList(HERMES, names, names, schemas, 32).constraint()))


@dataclass(slots=True)
class Generation:
    """What llama.cpp tells of one generation: tokens of its prompt, read of them, and written."""

    prompt: int = 0
    read: int = 0
    written: int = 0


class Counting:
    """An engine, with what each of its generations took.

    Attributes:
        rounds: The generations of each request to `/v1`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.rounds: list[list[Generation]] = []
        self.count, self.close = engine.count, engine.close
        self.busy, self.waiting = engine.busy, engine.waiting

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """`/v1`, of which each request begins a round."""
        self.rounds.append([])
        await openai_api_app(scope, receive, send)

    async def generate(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """See `Engine.generate`."""
        self.rounds[-1].append(Generation())
        async with aclosing(self._engine.generate(prompt, sampling)) as pieces:
            async for piece in pieces:
                tokens = piece.prompt_tokens
                self.rounds[-1][-1] = Generation(
                    tokens, tokens - piece.cached_tokens, piece.completion_tokens
                )
                yield piece


async def _of_engine() -> list[Line]:
    model = load_chat_model(Settings.from_env(os.environ))
    model.engine = counters = Counting(model.engine)
    try:
        return [await _reading(model, counters), await _later_rounds(model, counters)]
    finally:
        model.engine.close()


async def _reading(model: ChatModel, counters: Counting) -> Line:
    """How the engine reads prompts that it does not know, by their length."""
    chance, largest = Random(0), 512
    given: dict[str, list[float]] = {str(size): [] for size in _sizes(largest)}
    for _ in range(READINGS):
        for size, took in given.items():
            # Two tokens each, a space and a digit.
            prompt = "".join(f" {chance.randrange(10)}" for _ in range(int(size) // 2))
            counters.rounds.append([])
            begun = perf_counter()
            async for _piece in model.engine.generate(prompt, Sampling(max_tokens=1)):
                pass
            took.append(perf_counter() - begun)
    return _line("the engine, tokens of a prompt", largest, given)


async def _later_rounds(model: ChatModel, counters: Counting) -> Line:
    """Ask the assistant, and compare what its later rounds read with what is new in them."""
    openai_api_app.state.chat_model = model
    transport = httpx2.ASGITransport(app=counters.app)
    http = httpx2.AsyncClient(transport=transport, timeout=300)
    client = AsyncOpenAI(base_url="http://llama", api_key="none", http_client=http)
    assistant = Assistant(Settings.from_env(os.environ), client, TOOL_SETS)
    read, new = [], []
    for query in (*_some("plain"), *_some("several")):
        agent = await assistant.agent()
        counters.rounds.clear()
        await agent.answer(read_query(query, len(query)))
        for before, after in zip(counters.rounds, counters.rounds[1:], strict=False):
            read.append(sum(each.read for each in after))
            new.append(after[0].prompt - before[-1].prompt - before[-1].written)
    told = {"read": read, "new tokens of theirs": new}
    return compared("what later rounds read", "tokens", told, told=sum)


def _some(kind: str) -> list[str]:
    return [each.query for each in load_cases() if each.kind == kind][: QUESTIONS // 2]
