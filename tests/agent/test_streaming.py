"""A chat: what is told while an answer is written, and how each turn ends."""

import asyncio
import json
from contextlib import aclosing
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_server import (
    COMPLETION_TOKENS,
    PROMPT_TOKENS,
    ScriptedServer,
    Turn,
    breaks_off,
    calls,
    hangs,
    says,
    unreachable,
)

from function_calling.agent import Agent
from function_calling.chat_events import (
    ChatEvent,
    DoneEvent,
    ErrorEvent,
    TextEvent,
    ToolCallEvent,
    ToolResultEvent,
    read_event,
)
from function_calling.chat_stream import ChatStream, chat_events
from function_calling.conversation import Conversation
from function_calling.errors import ToolError
from function_calling.numerals import numbers
from function_calling.outcomes import ToolOutcome
from function_calling.rates import FixedRates
from function_calling.steering import Steering
from function_calling.telling import FROM_MEMORY, InParts
from function_calling.toolbox import FinalAnswer, Toolbox
from tools import CurrencyTools

QUERY = "42 USD in CAD?"
TO_CAD = ("convert", {"amount": 42, "to": "CAD"})
TO_EUR = ("convert", {"amount": 42, "to": "EUR"})
RATES = {"CAD": Decimal("3.14159"), "EUR": Decimal("0.92")}
TOLD_CAD, TOLD_EUR = "42 USD is 131.95 CAD.", "42 USD is 38.64 EUR."
WRONG = "It is 1319.5 CAD."


async def convert(amount: Decimal, to: str) -> dict[str, Any]:
    """Convert US dollars."""
    if to not in RATES:
        raise ToolError(f"{to} is no currency; wanted CAD or EUR.")
    converted = round(amount * RATES[to], 2)
    return {"converted": converted, "summary": f"{amount} USD is {converted} {to}."}


def decline() -> FinalAnswer:
    """Decline."""
    return FinalAnswer("I only convert money.")


def agent(server: ScriptedServer, **bounds: Any) -> Agent:
    """An agent whose model is `server`."""
    toolbox = Toolbox([convert, decline])
    return Agent(server.client(), "scripted", toolbox, "Convert money.", **bounds)


def user(text: str) -> dict[str, str]:
    """What a person says."""
    return {"role": "user", "content": text}


async def told(host: Agent, *messages: dict[str, Any]) -> list[ChatEvent]:
    """Every event of one turn."""
    return [event async for event in chat_events(host.chat(messages or [user(QUERY)]))]


async def chatted(*turns: Turn, **bounds: Any) -> list[ChatEvent]:
    """Every event where the model takes `turns`."""
    return await told(agent(ScriptedServer(*turns), **bounds))


def parts(events: list[ChatEvent]) -> list[str]:
    """The parts of the text."""
    return [event.text for event in events if isinstance(event, TextEvent)]


def text(events: list[ChatEvent]) -> str:
    """What the person reads."""
    return "".join(parts(events))


def done(events: list[ChatEvent]) -> DoneEvent:
    """The last event, which is the only one of its kind."""
    *before, last = events
    assert isinstance(last, DoneEvent)
    assert not any(isinstance(event, DoneEvent | ErrorEvent) for event in before)
    return last


def failed(events: list[ChatEvent]) -> ErrorEvent:
    """The last event, which is the only one of its kind."""
    *before, last = events
    assert isinstance(last, ErrorEvent)
    assert not any(isinstance(event, DoneEvent | ErrorEvent) for event in before)
    return last


async def test_a_conversion_is_told_step_by_step() -> None:
    """The call, its result, the text in parts, and what it cost."""
    call, result, *texts, last = await chatted(calls(TO_CAD), says("So you get 131.95 CAD."))
    assert call == ToolCallEvent(id="a0", name="convert", arguments=json.dumps(TO_CAD[1]))
    assert isinstance(result, ToolResultEvent)
    assert (result.id, result.name, result.ok, result.summary) == ("a0", "convert", True, TOLD_CAD)
    assert json.loads(result.content)["converted"] == 131.95
    assert parts(texts) == ["So you", " get", " 131.95 CAD."]
    assert isinstance(last, DoneEvent)
    assert (last.rounds, last.tool_calls, last.grounding) == (2, 1, "ok")
    assert last.usage.total_tokens == 2 * (PROMPT_TOKENS + COMPLETION_TOKENS)
    assert last.timings.first_text is not None
    assert 0 <= last.timings.first_text <= last.timings.total
    assert last.timings.model + last.timings.tools <= last.timings.total + 0.002


@pytest.mark.parametrize(
    "call",
    ['{"name": "convert", "arguments": {"amount": 42}}', '```json\n{ "name":', "<tool_call>"],
)
async def test_a_call_written_as_text_is_no_answer(call: str) -> None:
    """Not a word of it is shown, and the model is asked again."""
    events = await chatted(calls(TO_CAD), says(call), says(TOLD_CAD))
    assert text(events) == TOLD_CAD
    assert done(events).grounding == "asked-again"
    answer = await agent(ScriptedServer(calls(TO_CAD), says(call), says(TOLD_CAD))).answer(QUERY)
    assert answer.text == TOLD_CAD


async def test_an_answer_may_begin_with_code() -> None:
    """It is told when it is complete."""
    assert text(await chatted(calls(TO_CAD), says(f"`{TOLD_CAD}`"))) == f"`{TOLD_CAD}`"


async def test_a_sentence_is_told_before_the_next_is_written() -> None:
    """The model hangs behind it."""
    half = Turn(events=says("42 USD is 131.95 CAD. The rate").events[:4], hangs=True)
    turn = agent(ScriptedServer(calls(TO_CAD), half)).chat([user(QUERY)])
    async with aclosing(chat_events(turn)) as told:
        shown = await anext(event.text async for event in told if isinstance(event, TextEvent))
    assert shown.startswith(TOLD_CAD)


@pytest.mark.parametrize(
    "turns",
    [
        [calls(TO_CAD), says(f" \n{TOLD_CAD}\n\nThat was it. \n")],
        [calls(TO_CAD, TO_EUR), says("- 131.95 CAD\n- 38.64 EUR\n\n1. one\n2. two")],
        [calls(TO_CAD), says("42美元等于131.95加元。很好。")],
        [calls(TO_CAD), says(" ")],
        [calls(TO_CAD), calls(TO_EUR), says(f"{TOLD_CAD} {TOLD_EUR}")],
        [calls(("decline", {}))],
        [says("Which currency do you want?")],
        [calls(TO_CAD), breaks_off(), says(f"The answer: {TOLD_CAD}")],
        [calls(TO_CAD), says("42 USD is", "length"), says(TOLD_CAD)],
        [calls(TO_CAD), says("42 USD is 1319.50 CAD."), says(TOLD_CAD)],
        [calls(TO_CAD), says("The amount is 1319.5 CAD."), says("The amount is 131.95 CAD.")],
        [calls(("convert", {"amount": 42, "to": "XYZ"})), calls(TO_CAD, ids="b"), says(TOLD_CAD)],
        [calls(("convert", '{"amount": 42,')), says("I could not do that.")],
    ],
)
async def test_the_text_joined_is_what_exchange_answers(turns: list[Turn]) -> None:
    """The loop is one."""
    answer = await agent(ScriptedServer(*turns)).answer(QUERY)
    assert text(await chatted(*turns)) == answer.text


SENTENCES = [
    *("42 USD is 131.95 CAD. ", "That's 131.95! ", "等于131.95加元。", "Nice. "),
    *("1. first\n", "By ISO 4217: ", "- 131.95 CAD\n", "(42)\n\n", "So, e.g. 42. "),
    *("It is 1319.5 CAD. ", "131.95 million! ", "131,950 CAD.\n", "7 of 42. ", "131.95万。"),
]


@settings(max_examples=200)
@given(st.lists(st.sampled_from(SENTENCES), min_size=1), st.lists(st.integers(1, 9)))
def test_no_wrong_number_is_ever_told(sentences: list[str], cuts: list[int]) -> None:
    """However the stream is cut; and what is right is told up to the first wrong sentence."""
    written, summary = "".join(sentences), "42 USD is 131.95 CAD."
    talk = Conversation("", [user(QUERY)], Toolbox([]), 1)
    talk.outcomes.append(ToolOutcome('{"converted": 131.95}', True, summary=summary))
    telling = InParts(talk)
    telling.begin(aloud=True)
    shown, place = "", 0
    for size in [*cuts, len(written)]:
        shown += telling.hear(written[place : place + size])
        place += size
    known = frozenset({Decimal(42), Decimal("131.95"), Decimal(1), Decimal(4217)})
    assert all(number.within(known) for number in numbers(shown))
    assert written.startswith(shown)
    right = 0
    while right < len(sentences) and sentences[right] in SENTENCES[:4]:
        right += 1
    assert shown.startswith("".join(sentences[:right]).strip())


@pytest.mark.parametrize(
    ("first", "second", "shown", "grounding"),
    [
        # What was told has no number: another answer comes on a new line.
        ("The answer is 1319.5 CAD.", TOLD_CAD, f"The answer is…\n\n{TOLD_CAD}", "asked-again"),
        ("It is 1319.5 CAD.", "1319.5!", f"It is…\n\n{TOLD_CAD}", "fell-back"),
        # It has one: the same beginning is gone on with, another answer would tell it twice.
        (
            "You have 42 USD. It is 1319.5 CAD.",
            "You have 42 USD. It is 131.95 CAD.",
            "You have 42 USD. It is 131.95 CAD.",
            "asked-again",
        ),
        (
            "You have 42 USD. It is 1319.5 CAD.",
            "That makes 131.95 CAD.",
            f"You have 42 USD. It is…\n\n{TOLD_CAD}",
            "fell-back",
        ),
        (
            f"{TOLD_CAD} The rate is 3.2.",
            "It is 131.95 CAD.",
            f"{TOLD_CAD} The rate is…",
            "fell-back",
        ),
        ("42 USD is 7 CAD.", "42 USD is 8 CAD.", TOLD_CAD, "fell-back"),
    ],
)
async def test_a_wrong_number_is_put_right_behind_what_was_told(
    first: str, second: str, shown: str, grounding: str
) -> None:
    """The model is asked again, and nothing is told twice."""
    server = ScriptedServer(calls(TO_CAD), says(first), says(second))
    events = await told(agent(server))
    assert text(events) == shown
    assert done(events).grounding == grounding
    asked = server.requests[-1]["messages"][-1]["content"]
    assert "which neither a tool result nor the question contains" in asked
    assert ("The user has read this much" in asked) == (shown != TOLD_CAD)


async def test_asked_again_the_model_may_call_what_it_left_out() -> None:
    """The one number it had was told; the other comes from a tool after all."""
    wrong, right = says(f"{TOLD_CAD} It is 39 EUR."), says(f"{TOLD_CAD} It is 38.64 EUR.")
    events = await chatted(calls(TO_CAD), wrong, calls(TO_EUR), right)
    assert text(events) == f"{TOLD_CAD} It is 38.64 EUR."


async def test_a_number_without_any_tool_ends_as_an_honest_refusal() -> None:
    """It is never told."""
    events = await chatted(says("It is 58 CAD."), says("It is 59 CAD."))
    assert text(events).startswith("It is…\n\nI can't answer that with the tools I have: convert")
    assert done(events).grounding == "fell-back"


async def test_what_the_model_leaves_out_is_told_by_the_tool() -> None:
    """Of several conversions, without asking again."""
    events = await chatted(calls(TO_CAD, TO_EUR), says(TOLD_CAD))
    assert text(events) == f"{TOLD_CAD} {TOLD_EUR}"
    assert (done(events).rounds, done(events).grounding) == (2, "fell-back")


async def test_an_answer_from_memory_is_sent_back_once() -> None:
    """A server need not hold the model to a call; nothing of the answer is told."""
    server = ScriptedServer(says("About a hundred."), calls(TO_CAD), says(TOLD_CAD))
    events = await told(agent(server, steering=Steering(first_choice="required")))
    assert text(events) == TOLD_CAD
    assert FROM_MEMORY in server.requests[1]["messages"][-1]["content"]
    insists = [says("About a hundred."), says("Around a hundred.")]
    assert (
        text(await chatted(*insists, steering=Steering(first_choice="required")))
        == "Around a hundred."
    )


async def test_words_before_a_call_are_told_apart_from_the_answer() -> None:
    """As any chat shows them."""
    before = calls(TO_CAD)
    chunk = {**before.events[0], "choices": says("Let me see.").events[0]["choices"]}
    events = await chatted(Turn(events=(chunk, *before.events)), says(TOLD_CAD))
    assert text(events) == f"Let me…\n\n{TOLD_CAD}"


async def test_a_tool_that_fails_is_an_event_and_no_end() -> None:
    """The model reads what would be right."""
    wrong = calls(("convert", {"amount": 42, "to": "XYZ"}))
    events = await chatted(wrong, calls(TO_CAD, ids="b"), says(TOLD_CAD))
    results = [event for event in events if isinstance(event, ToolResultEvent)]
    assert [result.ok for result in results] == [False, True]
    assert "XYZ is no currency" in results[0].content
    assert text(events) == TOLD_CAD


def bureau(*turns: Turn) -> tuple[ScriptedServer, Agent]:
    """An agent with the real conversions."""
    server = ScriptedServer(*turns)
    toolbox = Toolbox([CurrencyTools(FixedRates()).convert_currency])
    # The first look at a currency's names takes long on a busy machine.
    bounds = {"steering": Steering(first_choice="required"), "tool_timeout": 200}
    return server, Agent(server.client(), "scripted", toolbox, "Convert.", **bounds)


EARLIER = [user(QUERY), {"role": "assistant", "content": "42 USD is 131.95 CAD."}]


@pytest.mark.parametrize(
    ("asked", "arguments", "ok"),
    [
        ("and 50?", ("USD", "CAD", 50), True),
        ("and 50?", ("USD", "CAD", 42), False),
        ("and in euros?", ("USD", "EUR", 42), True),
        ("and in euros?", ("USD", "EUR", 50), False),
        ("What about 7 pounds?", ("GBP", "CAD", 7), True),
    ],
)
async def test_a_call_may_use_what_was_asked_before(
    asked: str, arguments: tuple[str, str, int], ok: bool
) -> None:
    """A question takes what it leaves out from those before it, and nothing else."""
    source, target, amount = arguments
    wanted = {"from_currency": source, "to_currency": target, "amount": amount}
    server, host = bureau(calls(("convert_currency", wanted)), *[says("")] * 3)
    result = (await told(host, *EARLIER, user(asked)))[1]
    assert isinstance(result, ToolResultEvent)
    assert result.ok is ok, result.content
    assert server.requests[0]["messages"][1:] == [*EARLIER, user(asked)]


async def test_an_earlier_result_is_no_ground_for_a_new_one() -> None:
    """But without a call it may be repeated."""
    wanted = {"from_currency": "USD", "to_currency": "CAD", "amount": 50}
    old = says("50 USD is 131.95 CAD.")
    _, host = bureau(calls(("convert_currency", wanted)), old, old)
    events = await told(host, *EARLIER, user("and 50?"))
    assert "131.95" not in text(events)
    assert "157.08" in text(events)
    again = agent(ScriptedServer(says("It was 131.95 CAD.")))
    assert text(await told(again, *EARLIER, user("What was it?"))) == "It was 131.95 CAD."


async def test_a_system_message_stands_behind_our_own() -> None:
    """One message, as many templates know no second."""
    server = ScriptedServer(says("Bonjour."))
    await told(agent(server), {"role": "system", "content": "Speak French."}, user("Hello"))
    system, last = server.requests[0]["messages"]
    assert system == {"role": "system", "content": "Convert money.\n\nSpeak French."}
    assert last == user("Hello")


@pytest.mark.slow
async def test_a_turn_over_its_time_limit_ends_with_an_honest_sentence() -> None:
    """Behind what was told; the model's stream is let go of."""
    server = ScriptedServer(calls(TO_CAD), hangs())
    events = await told(agent(server, query_timeout=2))
    assert text(events) == (
        f"The…\n\nI had to stop after 2 seconds, before I was done. Until then: {TOLD_CAD}"
    )
    assert done(events).grounding == "fell-back"
    assert server.closed == 1


async def test_every_event_comes_back_from_its_json() -> None:
    """Clients read them as the same values."""
    events = [*await chatted(calls(TO_CAD), says(TOLD_CAD)), *await chatted(*[unreachable()] * 2)]
    assert {type(event) for event in events} == {
        *(ToolCallEvent, ToolResultEvent, TextEvent, DoneEvent, ErrorEvent)
    }
    assert [read_event(event.model_dump_json()) for event in events] == events


@pytest.mark.parametrize("breaks", [False, True])
async def test_a_client_that_leaves_stops_the_model(breaks: bool) -> None:
    """In mid-stream, in both ways in which servers tell."""
    server, sent, gone = ScriptedServer(hangs()), [], asyncio.Event()

    async def receive() -> Any:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if breaks and len(sent) == 1:
            raise OSError("The client has gone.")
        sent.append(message)

    version = {"version": "3.0", "spec_version": "2.4" if breaks else "2.3"}
    stream = ChatStream(agent(server).chat([user(QUERY)]))
    response = asyncio.create_task(stream({"type": "http", "asgi": version}, receive, send))
    if not breaks:
        await server.hanging.wait()
        gone.set()
    async with asyncio.timeout(60):
        await response
    assert server.closed == 1
    assert b"done" not in b"".join(message.get("body", b"") for message in sent)
