"""Several replies to one request: side by side, counted together, all ended at once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest
from scripted_engine import Fails, Fills, Hangs, ScriptedEngine, chatml_model
from v1_client import TODAY, USER, Serve, error_of, events_of, post, serving, streamed_choices

from function_calling.api.stream import side_by_side
from function_calling.errors import EngineError
from function_calling.model.words import Event, Sampling, ToolChoice

serve = pytest.fixture(serving)
ASKED = {"messages": [USER]}
FORCED = {"tools": [TODAY], "tool_choice": "required", "parallel_tool_calls": False}
BROKE = EngineError("It broke.")


async def choices_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The choices of a whole response."""
    return list((await post({**ASKED, **body})).json()["choices"])


async def test_streamed_replies_come_side_by_side_and_each_whole(serve: Serve) -> None:
    """Their chunks come mixed; role, content and reason stand under each one's own index."""
    texts = ["abcdef" * 3, "uvwxyz" * 3]
    serve(*texts)
    choices = await streamed_choices({**ASKED, "n": 2})
    indices = [choice["index"] for choice in choices]
    assert indices != sorted(indices)
    for index, text in enumerate(texts):
        own = [choice for choice in choices if choice["index"] == index]
        assert own[0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
        assert "".join(choice["delta"].get("content", "") for choice in own) == text
        assert [choice["finish_reason"] for choice in own[-2:]] == [None, "stop"]


async def test_every_reply_may_call(serve: Serve) -> None:
    """Each call has an id of its own; in a stream, each reply counts its calls from 0."""
    serve(*[Fills()] * 4)
    choices = await choices_of({"n": 2, **FORCED})
    assert len({choice["message"]["tool_calls"][0]["id"] for choice in choices}) == 2
    assert [choice["finish_reason"] for choice in choices] == ["tool_calls"] * 2
    places = {
        (choice["index"], call["index"])
        for choice in await streamed_choices({**ASKED, "n": 2, **FORCED})
        for call in choice["delta"].get("tool_calls", [])
    }
    assert places == {(0, 0), (1, 0)}


async def test_usage_counts_the_prompt_once_and_every_reply(serve: Serve) -> None:
    """Whole and streamed alike; in a stream all chunks but the last have the field as null."""
    body, n = ASKED, 2
    serve(*["Hello"] * (1 + n + n))
    alone = (await post(body)).json()["usage"]
    whole = (await post({**body, "n": n})).json()["usage"]
    assert whole == {
        "prompt_tokens": alone["prompt_tokens"],
        "completion_tokens": n * alone["completion_tokens"],
        "total_tokens": alone["prompt_tokens"] + n * alone["completion_tokens"],
    }
    usage = {"stream_options": {"include_usage": True}}
    *chunks, last = await events_of({**body, **usage, "n": n})
    assert (last["choices"], last["usage"]) == ([], whole)
    assert all(each["choices"] and each["usage"] is None for each in chunks)


# What goes wrong


async def test_the_first_error_ends_all_replies(serve: Serve) -> None:
    """The others are aborted; the caller reads the error, in a stream as the last event."""
    engine = serve(*[Hangs("Hello"), Fails(BROKE, "Hello")] * 2)
    status, error = await error_of({**ASKED, "n": 2})
    assert (status, error["message"]) == (500, "It broke.")
    assert (await engine.busy(), engine.aborted) == (0, 1)
    events = await events_of({**ASKED, "n": 2})
    assert events[-1] == BROKE.body()
    assert (await engine.busy(), engine.aborted) == (0, 2)


def replies_of(engine: ScriptedEngine, count: int) -> list[AsyncGenerator[Event, None]]:
    """So many replies by the model itself, none of which has begun."""
    turns = [chatml_model(engine).turn([USER], (), ToolChoice(), Sampling()) for _ in range(count)]
    return [turn.events() for turn in turns]


async def test_closing_closes_every_reply() -> None:
    """The one that waits, the one that could go on, and the one that is over."""
    engine = ScriptedEngine(Hangs(), "more" * 100, "")
    async with aclosing(side_by_side(replies_of(engine, 3))) as events:
        await anext(events)
        await engine.hanging.wait()
    assert (engine.aborted, await engine.busy()) == (2, 0)


async def test_a_reply_does_not_run_away_from_its_reader() -> None:
    """A client that reads slowly holds up the generation."""
    engine = ScriptedEngine("abcdefghij", piece_length=1)
    async with aclosing(side_by_side(replies_of(engine, 1))) as events:
        await anext(events)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(engine.said[0]) <= 3
