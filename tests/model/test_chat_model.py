"""A reply is text and calls in turn, and a call is whole, offered and valid, or not there."""

import json
import logging
from collections.abc import Callable
from contextlib import aclosing

import pytest
from scripted_engine import (
    Fails,
    Fills,
    Hangs,
    ScriptedEngine,
    chatml_model,
    first_calls,
    llama31_model,
)

from function_calling.errors import EngineError
from function_calling.formats import FORMATS
from function_calling.model.chat_model import ChatModel
from function_calling.model.turn import MOST_CALLS
from function_calling.model.words import (
    Event,
    Finished,
    JsonSlot,
    Repeat,
    Sampling,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
    Usage,
)

CONVERT = Tool(
    "convert",
    "Convert money.",
    {
        "type": "object",
        "properties": {"amount": {"type": "integer", "minimum": 1}, "to": {"enum": ["CAD"]}},
        "required": ["amount", "to"],
    },
)
TODAY = Tool("today", "The date.", {"type": "object", "properties": {}})
TOOLS = (CONVERT, TODAY)
NAMES = ("convert", "today")
USER = [{"role": "user", "content": "42 USD?"}]
CALL_CONVERT = ("convert", {"amount": 1, "to": "CAD"})
CALL_TODAY = ("today", {})

NONE = ToolChoice()
AUTO = ToolChoice("auto", NAMES)
REQUIRED = ToolChoice("required", NAMES)
NAMED = ToolChoice("required", ("today",), parallel=False)
Make = Callable[[ScriptedEngine], ChatModel]
BOTH_MODELS = pytest.mark.parametrize("make", [chatml_model, llama31_model])


async def events_of(
    model: ChatModel, choice: ToolChoice, sampling: Sampling | None = None
) -> list[Event]:
    """All events of one reply."""
    reply = model.reply(USER, TOOLS, choice, sampling or Sampling())
    return [event async for event in reply]


def text_of(events: list[Event]) -> str:
    """The content."""
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def calls_of(events: list[Event]) -> list[tuple[str, object]]:
    """The calls, as names and arguments."""
    return [(e.name, json.loads(e.arguments)) for e in events if isinstance(e, ToolCall)]


def end_of(events: list[Event]) -> Finished:
    """The end, which is the last event and the only one of its kind."""
    assert [isinstance(event, Finished) for event in events].index(True) == len(events) - 1
    end = events[-1]
    assert isinstance(end, Finished)
    return end


# Text alone


async def test_a_plain_reply_is_the_engines_text() -> None:
    """Every piece leaves as it comes."""
    engine = ScriptedEngine("It is 131.95 CAD.", piece_length=5)
    events = await events_of(chatml_model(engine), NONE)
    assert [event.text for event in events if isinstance(event, TextDelta)] == [
        "It is", " 131.", "95 CA", "D."
    ]  # fmt: skip
    assert end_of(events).reason == "stop"
    assert engine.aborted == 0


async def test_an_empty_reply_only_ends() -> None:
    """The model may say nothing."""
    events = await events_of(chatml_model(ScriptedEngine("")), AUTO)
    assert [type(event) for event in events] == [Finished]
    assert end_of(events).reason == "stop"


async def test_tokens_that_run_out_in_text_are_length() -> None:
    """What was written so far is content, held back or not."""
    engine = ScriptedEngine("Well <tool_call>")
    events = await events_of(chatml_model(engine), AUTO, Sampling(max_tokens=3))
    assert text_of(events) == "Well <too"
    assert end_of(events).reason == "length"
    assert end_of(events).usage.completion_tokens == 3


async def test_stop_strings_end_the_text() -> None:
    """They are the engine's to watch for."""
    engine = ScriptedEngine("One. Two. Three.")
    events = await events_of(chatml_model(engine), AUTO, Sampling(stop=(" Two", "x")))
    assert engine.samplings[0].stop == (" Two", "x")
    assert text_of(events) == "One."
    assert end_of(events).reason == "stop"


# Forced calls


async def test_the_constraint_is_the_tools_own_schema() -> None:
    """Bounded, and closed."""
    engine = ScriptedEngine(Fills())
    model = chatml_model(engine)
    await events_of(model, ToolChoice("required", ("convert",), parallel=False))
    assert engine.prompts[0].endswith('<tool_call>\n{"name": "convert", "arguments":')
    ((slot, close),) = first_calls(engine.samplings[0])
    assert slot == JsonSlot(model.constraint(CONVERT))
    assert close == "}\n</tool_call>"


async def test_auto_with_one_allowed_tool_calls_no_other() -> None:
    """JSON that names a tool which is not allowed is content."""
    text = '{"name": "convert", "arguments": {}}'
    events = await events_of(chatml_model(ScriptedEngine(text)), ToolChoice("auto", ("today",)))
    assert (text_of(events), calls_of(events)) == (text, [])


@BOTH_MODELS
@pytest.mark.parametrize("begun", ["", "today"], ids=["required", "auto"])
async def test_one_generation_writes_all_calls(make: Make, begun: str) -> None:
    """Also behind one that the model has begun: the others may be of any tool."""
    turns = [f'So. {{"name": "{begun}", "arguments":'] if begun else []
    engine = ScriptedEngine(*turns, Fills("today", "convert", "today"))
    events = await events_of(make(engine), AUTO if begun else REQUIRED)
    assert calls_of(events) == [CALL_TODAY, CALL_CONVERT, CALL_TODAY]
    assert end_of(events).reason == "tool_calls"
    assert len({event.id for event in events if isinstance(event, ToolCall)}) == 3
    assert len(engine.prompts) == len(turns) + 1


async def test_a_call_leaves_while_the_next_one_is_written() -> None:
    """Its client may begin to carry it out."""
    written = 'today", "arguments": {}}\n</tool_call>\n<tool_call>\n{"name": "con'
    reply = chatml_model(ScriptedEngine(Hangs(written))).reply(USER, TOOLS, REQUIRED, Sampling())
    async with aclosing(reply) as events:
        told = [await anext(events) for _ in range(3)]
    assert calls_of(told) == [CALL_TODAY]


@pytest.mark.parametrize("form", FORMATS)
async def test_a_long_argument_leaves_as_it_is_written(form: str) -> None:
    """Piece by piece, behind the opening of its call, and in the call when it is complete."""
    text = {"type": "string", "maxLength": 300}
    tool = Tool("note", "", {"type": "object", "properties": {"text": text}, "required": ["text"]})
    written = 'The "quick" brown fox:\t' * 13
    behind = FORMATS[form].calls([("note", json.dumps({"text": written}))])
    head = FORMATS[form].calls_open + FORMATS[form].call_head(("note",))
    engine = ScriptedEngine(behind.removeprefix(head), piece_length=5)
    choice = ToolChoice("required", ("note",))
    reply = chatml_model(engine).reply(USER, [tool], choice, Sampling(), tool_format=form)
    *deltas, call, _ = [event async for event in reply]
    assert isinstance(call, ToolCall)
    assert json.loads(call.arguments) == {"text": written}
    assert len(deltas) > 20
    assert deltas[0] == ToolCallDelta(call.id, "note", "")
    assert "".join(each.arguments for each in deltas if isinstance(each, ToolCallDelta)) == (
        call.arguments
    )


async def test_tokens_that_run_out_in_a_call_are_length_and_no_half_call() -> None:
    """A client could do nothing with the half; of a cut name nothing is told."""
    engine = ScriptedEngine(Fills())
    events = await events_of(chatml_model(engine), REQUIRED, Sampling(max_tokens=2))
    assert events == [Finished("length", Usage(len(engine.prompts[0].split()), 2))]


# Calls that the model begins


@pytest.mark.parametrize(
    ("make", "tag"), [(chatml_model, "<tool_call>"), (llama31_model, "<|python_tag|>")]
)
async def test_auto_has_the_tool_chosen_where_the_tag_names_none(make: Make, tag: str) -> None:
    """Behind a tag an unknown name can't be written: the choice is one of the alternatives."""
    engine = ScriptedEngine(f'{tag}{{"name": "unknown", "arguments": {{}}}}', Fills("convert"))
    events = await events_of(make(engine), AUTO)
    assert calls_of(events) == [CALL_CONVERT]
    assert "unknown" not in engine.prompts[1]
    assert len(first_calls(engine.samplings[1])) == 2


async def test_the_free_text_is_stopped_as_soon_as_a_call_is_sure() -> None:
    """Its tokens would be thrown away."""
    engine = ScriptedEngine("<tool_call>\n" + "x" * 1000, Fills())
    await events_of(chatml_model(engine), AUTO)
    assert engine.said[0] == "<tool_call>\n"
    assert engine.aborted == 1


async def test_text_before_a_call_is_content_and_stays_in_the_prompt() -> None:
    """Without the space that parts the two."""
    engine = ScriptedEngine('I look it up. \n\n{"name": "today", "arguments": ', Fills())
    events = await events_of(chatml_model(engine), AUTO)
    assert text_of(events) == "I look it up."
    assert engine.prompts[1] == (
        engine.prompts[0] + 'I look it up.\n<tool_call>\n{"name": "today", "arguments":'
    )
    assert calls_of(events) == [CALL_TODAY]


async def test_text_leaves_before_the_call_is_made() -> None:
    """A stream shows it while the arguments are being written."""
    engine = ScriptedEngine("I look it up. <tool_call>", Hangs())
    reply = chatml_model(engine).reply(USER, TOOLS, AUTO, Sampling())
    async with aclosing(reply) as events:
        text = ""
        while text != "I look it up.":
            event = await anext(events)
            assert isinstance(event, TextDelta)
            text += event.text
    assert len(engine.prompts) == 1


async def test_a_model_that_does_not_stop_calling_is_stopped() -> None:
    """The grammar has no room for another call, and the last is not waited for to end."""
    engine = ScriptedEngine(Fills(*["today"] * MOST_CALLS))
    events = await events_of(chatml_model(engine), REQUIRED)
    assert calls_of(events) == [CALL_TODAY] * MOST_CALLS
    assert end_of(events).reason == "tool_calls"
    (again,) = [each for each in engine.samplings[0].constraint[0] if isinstance(each, Repeat)]
    assert again.most == MOST_CALLS - 1


@pytest.mark.parametrize(("more", "reason"), [(2, "length"), (0, "tool_calls")])
async def test_tokens_that_run_out_between_calls_are_length(more: int, reason: str) -> None:
    """What was complete has left; where no other call had begun, nothing is missing."""
    first = len('today", "arguments":{}}\n</tool_call>')
    engine = ScriptedEngine(Fills("today", "convert"), piece_length=1)
    events = await events_of(chatml_model(engine), REQUIRED, Sampling(max_tokens=first + more))
    assert calls_of(events) == [CALL_TODAY]
    assert end_of(events).reason == reason


async def test_no_tokens_left_for_a_call_are_length() -> None:
    """The engine is not asked for none."""
    engine = ScriptedEngine("Well. <tool_call>", piece_length=17)
    events = await events_of(chatml_model(engine), AUTO, Sampling(max_tokens=1))
    assert text_of(events) == "Well."
    assert calls_of(events) == []
    assert end_of(events).reason == "length"
    assert len(engine.prompts) == 1


async def test_the_tokens_left_are_what_the_next_part_may_use() -> None:
    """max_tokens holds for the whole reply."""
    engine = ScriptedEngine("<tool_call>", Fills("today"), piece_length=4)
    events = await events_of(chatml_model(engine), AUTO, Sampling(max_tokens=40))
    spent = [-(len(text) // -4) for text in engine.said]
    assert [sampling.max_tokens for sampling in engine.samplings] == [40, 40 - spent[0]]
    assert end_of(events).usage.completion_tokens == sum(spent)


async def test_usage_counts_the_prompt_once_and_each_sampled_token_once() -> None:
    """However many generations a reply took."""
    engine = ScriptedEngine("Look: <tool_call>", Fills("today", "convert"))
    events = await events_of(chatml_model(engine), AUTO)
    assert len(calls_of(events)) == 2
    assert end_of(events).usage == Usage(
        prompt_tokens=len(engine.prompts[0].split()),
        completion_tokens=sum(-(len(text) // -3) for text in engine.said),
    )


# Results at hand

BEGUN = '<tool_call>\n{"name": "today"'
RESULT_AT_HAND = [
    *USER,
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "1", "function": {"name": "today", "arguments": "{ }"}}],
    },
    {"role": "tool", "tool_call_id": "1", "content": "Monday"},
]


@pytest.mark.parametrize(
    ("turns", "calls"),
    [((BEGUN, Fills("today")), [CALL_TODAY]), (("",), [])],
    ids=["again", "none"],
)
async def test_a_reply_to_a_result_is_told_as_the_model_wrote_it(
    turns: tuple[str | Fills, ...], calls: list[tuple[str, object]]
) -> None:
    """Also one that makes the same call, since a state may have changed, or that has no word."""
    engine = ScriptedEngine(*turns)
    reply = chatml_model(engine).reply(RESULT_AT_HAND, TOOLS, AUTO, Sampling())
    events = [event async for event in reply]
    assert (text_of(events), calls_of(events)) == ("", calls)
    assert len(engine.prompts) == len(turns)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("choice", [AUTO, NONE, NAMED], ids=lambda choice: choice.mode)
async def test_behind_results_a_format_may_ask_for_the_answer(
    form: str, choice: ToolChoice
) -> None:
    """Where the model may answer or call, and in a format whose models would call again."""
    engine = ScriptedEngine(Fills() if choice is NAMED else "Monday.")
    reply = chatml_model(engine).reply(RESULT_AT_HAND, TOOLS, choice, Sampling(), tool_format=form)
    assert [event async for event in reply]
    asked = "</tool_response>\nNow answer my question.<" in engine.prompts[0]
    assert asked == (form == "json_list" and choice is AUTO)


# What goes wrong


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        pytest.param(NAMED, "Sorry, I can't.", id="no JSON"),
        pytest.param(NAMED, " [1]}\n</tool_call>", id="no object"),
        pytest.param(REQUIRED, 'unknown", "arguments": {}}\n</tool_call>', id="unknown tool"),
        pytest.param(REQUIRED, "today", id="a name alone"),
        pytest.param(NAMED, "", id="nothing"),
    ],
)
async def test_an_engine_that_breaks_the_constraint_is_found_out(
    choice: ToolChoice, text: str
) -> None:
    """A client relies on every call's being whole and offered."""
    with pytest.raises(EngineError, match="broke the constraint on"):
        await events_of(chatml_model(ScriptedEngine(text)), choice)


async def test_what_left_before_the_constraint_was_broken_is_no_call() -> None:
    """The rest of the text is not waited for."""
    engine = ScriptedEngine(' {"amount": x,' + "1" * 1000)
    choice = ToolChoice("required", ("convert",))
    reply = chatml_model(engine).reply(USER, TOOLS, choice, Sampling())
    told = [await anext(reply) for _ in range(2)]
    assert [each.arguments for each in told if isinstance(each, ToolCallDelta)] == ["", "{"]
    with pytest.raises(EngineError, match="broke the constraint on"):
        await anext(reply)
    assert engine.aborted == 1


async def test_the_engines_error_passes() -> None:
    """Behind the text that came before it."""
    engine = ScriptedEngine(Fails(EngineError("It broke."), "Well"))
    reply = chatml_model(engine).reply(USER, TOOLS, AUTO, Sampling())
    assert [await anext(reply), await anext(reply)] == [TextDelta("Wel"), TextDelta("l")]
    with pytest.raises(EngineError, match="It broke"):
        await anext(reply)


@pytest.mark.parametrize("turns", [[Hangs("Well")], ["Well <tool_call>", Hangs(" {")]])
async def test_closing_a_reply_aborts_the_engine(turns: list[str | Hangs]) -> None:
    """Whoever goes away frees the slot, in text and in a call."""
    engine = ScriptedEngine(*turns)
    reply = chatml_model(engine).reply(USER, TOOLS, AUTO, Sampling())
    await anext(reply)
    await reply.aclose()
    assert engine.aborted == 1
    assert await engine.busy() == 0


async def test_what_a_schema_cannot_enforce_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The operator reads which tool and which keyword."""
    unit = {"type": "string", "not": {"const": ""}}
    tool = Tool("weather", "", {"properties": {"unit": unit}})
    with caplog.at_level(logging.WARNING):
        chatml_model(ScriptedEngine()).constraint(tool)
    assert caplog.messages == ["Tool weather: not enforced: unit: not"]


async def test_the_longest_string_follows_the_context() -> None:
    """A string must end before the tokens do."""
    model = chatml_model(ScriptedEngine())
    schema = model.constraint(Tool("f", "", {"properties": {"text": {"type": "string"}}}))
    assert schema["properties"]["text"]["maxLength"] == 200
