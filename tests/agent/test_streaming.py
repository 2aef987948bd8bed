"""A chat: what is told while an answer is written, and how each turn ends."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from bureau import (
    QUERY,
    TO_CAD,
    TO_EUR,
    TO_XYZ,
    TOLD_CAD,
    TOLD_EUR,
    agent,
    answered,
    done,
    text,
    told,
    user,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_server import (
    COMPLETION_TOKENS,
    PROMPT_TOKENS,
    ScriptedServer,
    Turn,
    breaks_off,
    calls,
    says,
)

from function_calling.agent.events import (
    ChatEvent,
    DoneEvent,
    TextEvent,
    ToolCallEvent,
    ToolResultEvent,
)
from function_calling.agent.grounding import Ground
from function_calling.agent.numbers import numbers
from function_calling.agent.sse import EventStream
from function_calling.agent.streaming import Streaming
from function_calling.toolbox.toolbox import ToolResult


async def chatted(*turns: Turn, **bounds: Any) -> list[ChatEvent]:
    """Every event where the model takes `turns`."""
    return await told(agent(ScriptedServer(*turns), **bounds))


async def test_a_conversion_is_told_step_by_step() -> None:
    """The call, its result, the text in parts, and what it cost."""
    answer = says("So you get 131.95 CAD. That is all.")
    call, result, *texts, last = await chatted(calls(TO_CAD), answer)
    assert isinstance(call, ToolCallEvent)
    assert (call.name, call.arguments) == ("convert", json.dumps(TO_CAD[1]))
    assert isinstance(result, ToolResultEvent)
    assert (result.id, result.name, result.ok) == (call.id, "convert", True)
    assert result.summary == TOLD_CAD
    assert json.loads(result.content)["converted"] == 131.95
    assert [each.text for each in texts if isinstance(each, TextEvent)] == [
        *("So you get 131.95 CAD.", " That is all.")
    ]
    assert isinstance(last, DoneEvent)
    assert (last.rounds, last.tool_calls, last.grounding) == (2, 1, "ok")
    assert last.usage.total_tokens == 2 * (PROMPT_TOKENS + COMPLETION_TOKENS)
    assert last.timings.first_text is not None
    assert 0 <= last.timings.first_text <= last.timings.total


@pytest.mark.parametrize(
    "turns",
    [
        [calls(TO_CAD), says(f" \n{TOLD_CAD}\n\nThat was it. \n")],
        [calls(TO_CAD, TO_EUR), says("- 131.95 CAD\n- 38.64 EUR\n\n1. one\n2. two")],
        [calls(TO_CAD), says('```json\n{ "name":'), says(TOLD_CAD)],
        [calls(TO_CAD), breaks_off(), says(f"The answer: {TOLD_CAD}")],
    ],
)
async def test_the_parts_joined_are_the_whole_answer(turns: list[Turn]) -> None:
    """The loop is one."""
    whole, _ = await answered(*turns)
    assert text(await chatted(*turns)) == whole


SENTENCES = [
    *("42 USD is 131.95 CAD. ", "That's 131.95! ", "等于131.95加元。", "Nice. "),
    *("1. first\n", "In short: ", "- 131.95 CAD\n", "(42)\n\n", "So, e.g. 42. "),
    *("It is 1319.5 CAD. ", "131.95 million! ", "131,950 CAD.\n", "7 of 42. ", "131.95万。"),
    *("So you keep ½ of it. ", "⅔! "),
]


@settings(max_examples=100)
@given(st.lists(st.sampled_from(SENTENCES), min_size=1), st.lists(st.integers(1, 9)))
def test_no_wrong_number_is_ever_told(sentences: list[str], cuts: list[int]) -> None:
    """However the stream is cut; and what is right is told up to the first wrong sentence."""
    written = "".join(sentences)
    ground = Ground([user(QUERY)])
    ground.add(ToolResult('{"converted": 131.95}', True, summary=TOLD_CAD), "{}")
    streaming = Streaming(ground, whole=False)
    streaming.begin(aloud=True)
    shown, place = "", 0
    for size in [*cuts, len(written)]:
        shown += streaming.hear(written[place : place + size])
        place += size
    known = frozenset({Decimal(42), Decimal("131.95"), Decimal(1)})
    assert all(number.within(known) for number in numbers(shown))
    assert written.startswith(shown)
    right = 0
    while right < len(sentences) and sentences[right] in SENTENCES[:4]:
        right += 1
    assert shown.startswith("".join(sentences[:right]).strip())


@pytest.mark.parametrize(
    "thought", ["<think>131 or 133?</think>", "[THINK]133.[/THINK]\n", "◁think▷133. ◁/think▷"]
)
async def test_thoughts_that_a_server_leaves_in_a_reply_are_not_told(thought: str) -> None:
    """Nor are their numbers checked: the answer behind them is told as it is."""
    turns = calls(TO_CAD), says(f"{thought}{TOLD_CAD} Well.")
    events = await chatted(*turns)
    assert (text(events), done(events).grounding) == (f"{TOLD_CAD} Well.", "ok")
    assert (await answered(*turns))[0] == f"{TOLD_CAD} Well."


HALF = "You have 42 USD."
BEHIND: dict[str, tuple[list[Turn], str, str]] = {
    "nothing was told, so the model may answer again": (
        [calls(TO_CAD), says("1319.5 CAD it is."), says(TOLD_CAD)],
        *(TOLD_CAD, "asked-again"),
    ),
    "nor is its second answer": (
        [calls(TO_CAD), says("It is 7 CAD."), says("It is 8 CAD.")],
        *(TOLD_CAD, "fell-back"),
    ),
    "what was told can't be taken back": (
        [calls(TO_CAD), says(f"{HALF} It is 7 CAD."), says(f"{HALF} {TOLD_CAD}")],
        *(f"{HALF} {TOLD_CAD}", "fell-back"),
    ),
    "what was found was told": (
        [calls(TO_CAD), says(f"{TOLD_CAD} The rate is 3.2."), says("Well.")],
        *(TOLD_CAD, "fell-back"),
    ),
    "only the model may read the rest": (
        [calls(TO_CAD), calls(TO_XYZ), says(f"{TOLD_CAD} Give CAD or EUR.")],
        *(f"{TOLD_CAD} XYZ is no currency.", "fell-back"),
    ),
    "one of two conversions was told": (
        [calls(TO_CAD, TO_EUR), says(f"{TOLD_CAD} Is that all?")],
        *(f"{TOLD_CAD} {TOLD_EUR}", "fell-back"),
    ),
}


@pytest.mark.parametrize(("turns", "shown", "grounding"), BEHIND.values(), ids=BEHIND)
async def test_what_is_wrong_or_missing_is_put_right_behind_what_was_told(
    turns: list[Turn], shown: str, grounding: str
) -> None:
    """By the model where nothing was told, else in the tool's sentence; never twice."""
    events = await chatted(*turns)
    assert (text(events), done(events).grounding) == (shown, grounding)


@pytest.mark.parametrize("breaks", [False, True])
async def test_a_client_that_leaves_stops_the_model(breaks: bool) -> None:
    """In mid-stream, in both ways in which servers tell."""
    half = Turn(events=says(f"{TOLD_CAD} The rate").events[:4], hangs=True)
    server, sent, gone = ScriptedServer(calls(TO_CAD), half), [], asyncio.Event()

    async def receive() -> Any:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if breaks and b'"text"' in message.get("body", b""):
            raise OSError("The client has gone.")
        sent.append(message)

    version = {"version": "3.0", "spec_version": "2.4" if breaks else "2.3"}
    stream = EventStream(agent(server).run([user(QUERY)]))
    response = asyncio.create_task(stream({"type": "http", "asgi": version}, receive, send))
    if not breaks:
        await server.hanging.wait()
        gone.set()
    async with asyncio.timeout(60):
        await response
    assert server.closed == 1
    assert b"done" not in b"".join(message.get("body", b"") for message in sent)
