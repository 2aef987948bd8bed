"""What `docs/function-calling.md` promises of every format, by its numbers, and what it does not.

The engine is scripted: where it `Fills`, it obeys the constraint that it was given, and where it
says a text, it says what a model might.
"""

import json
import logging
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from scripted_engine import Fills, ScriptedEngine, chatml_model, first_calls, llama31_model
from v1_client import Serve, error_of, events_of, post, serving

from function_calling.engines.grammar import grammar
from function_calling.formats import FORMATS
from function_calling.model.words import Piece, Sampling
from openai_endpoints import openai_api_app

serve = pytest.fixture(serving)
each_format = pytest.mark.parametrize("form", FORMATS)
USER = {"role": "user", "content": "How is the weather in Oslo?"}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Oslo"]}},
    "required": ["city"],
}
NAMES = ("weather", "news")
TOOLS = [{"type": "function", "function": {"name": each, "parameters": SCHEMA}} for each in NAMES]
NEWS = {"type": "function", "function": {"name": "news"}}
FORCED = {"tools": TOOLS, "tool_choice": "required"}
OSLO, ROME = '{"city": "Oslo"}', '{"city": "Rome"}'
TEAM = {
    "type": "object",
    "properties": {"goals": {"type": "integer", "minimum": 3}},
    "required": ["goals"],
}
TEAM_FORMAT = {"type": "json_schema", "json_schema": {"name": "team", "schema": TEAM}}


async def choice_of(form: str, **options: Any) -> dict[str, Any]:
    """The one choice of a whole reply in this format."""
    response = await post({"messages": [USER], "tool_format": form, **options})
    assert response.status_code == 200, response.text
    (choice,) = response.json()["choices"]
    return dict(choice)


def calls_of(choice: dict[str, Any]) -> list[tuple[str, str]]:
    """The names and arguments of its calls, which have an id each."""
    calls = choice["message"].get("tool_calls", [])
    assert len({call["id"] for call in calls}) == len(calls)
    assert all(call["type"] == "function" for call in calls)
    return [(call["function"]["name"], call["function"]["arguments"]) for call in calls]


async def streamed_choices(form: str, **options: Any) -> list[dict[str, Any]]:
    """The one choice of each chunk of a streamed reply in this format."""
    events = await events_of({"messages": [USER], "tool_format": form, **options})
    return [dict(event["choices"][0]) for event in events]


def streamed_calls(choices: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The names and joined arguments of the calls in a stream, which opens one after the other."""
    joined: dict[int, list[str]] = {}
    for part in [it for each in choices for it in each["delta"].get("tool_calls", [])]:
        opens = part["index"] == len(joined)
        assert opens == ("id" in part) == ("name" in part["function"])
        assert opens or part["index"] == len(joined) - 1
        call = joined.setdefault(part["index"], [part["function"].get("name", ""), ""])
        call[1] += part["function"]["arguments"]
    return [(name, arguments) for name, arguments in joined.values()]


def written(form: str, *calls: tuple[str, str]) -> str:
    """Calls as a model of this family writes them."""
    return FORMATS[form].calls(calls)


# Which calls are made


def allowed(mode: str) -> dict[str, Any]:
    """A choice of one tool, allowed twice."""
    tools = {"mode": mode, "tools": [NEWS, NEWS]}
    return {"tool_choice": {"type": "allowed_tools", "allowed_tools": tools}}


BOUND: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"tool_choice": "required"}, NAMES),
    ({"tool_choice": "required", "parallel_tool_calls": False}, NAMES),
    ({"tool_choice": NEWS}, ("news",)),
    (allowed("required"), ("news",)),
]
"""G3, G6, G4 and G5: what a model is asked for that must call, and what it may call."""
FREE: list[tuple[dict[str, Any], str]] = [
    ({}, "weather"),
    ({"parallel_tool_calls": False}, "weather"),
    (allowed("auto"), "news"),
]
"""G1, G6 and G5: what a model is asked for that calls by itself, and what it calls."""


@each_format
async def test_a_call_that_is_forced_is_made_at_once(serve: Serve, form: str) -> None:
    """Once, with nothing before it or behind it; G15: the reason is `tool_calls`."""
    for asked, names in BOUND:
        engine = serve(Fills())
        choice = await choice_of(form, tools=TOOLS, **asked)
        assert calls_of(choice) == [(names[0], OSLO)]
        assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", None)
        assert engine.prompts[0].endswith(FORMATS[form].call_head(names))
        assert len(first_calls(engine.samplings[0])) == len(names)
        assert '"name": "weather"' in engine.prompts[0]
        assert len(engine.prompts) == 1


@each_format
async def test_a_call_that_the_model_begins_is_finished_under_the_schema(
    serve: Serve, form: str
) -> None:
    """What it wrote against the schema is not used; the text before the call is content (R1)."""
    for asked, name in FREE:
        engine = serve("Let me see.\n" + written(form, (name, ROME)), Fills())
        choice = await choice_of(form, tools=TOOLS, **asked)
        assert calls_of(choice) == [(name, OSLO)]
        assert choice["message"]["content"] == "Let me see."
        assert choice["finish_reason"] == "tool_calls"
        assert len(engine.prompts) == 2


@each_format
async def test_a_tool_that_is_not_offered_is_not_called(serve: Serve, form: str) -> None:
    """R3: what names it is content; behind a tag without a name an offered one is written (N2)."""
    text = written(form, ("unknown", OSLO))
    serve(text, Fills())
    choice = await choice_of(form, tools=TOOLS)
    if calls_of(choice):
        assert text.startswith(("<tool_call>", "[TOOL_CALLS]"))
        assert calls_of(choice) == [("weather", OSLO)]
    else:
        assert choice["message"]["content"].strip() == text.strip()
        assert choice["finish_reason"] == "stop"


@each_format
async def test_with_none_a_call_is_content(serve: Serve, form: str) -> None:
    """G2: not made, and not lost."""
    text = "It reads " + written(form, ("weather", OSLO))
    serve(text)
    choice = await choice_of(form, tools=TOOLS, tool_choice="none")
    assert (choice["message"]["content"], choice["finish_reason"]) == (text, "stop")
    assert "tool_calls" not in choice["message"]


async def test_the_sampling_holds_for_calls_too(serve: Serve) -> None:
    """G20: seed, temperature, `top_p` and biases, in text and in the call behind it."""
    engine = serve("So.\n<tool_call>", Fills())
    options = {"seed": 7, "temperature": 0.3, "top_p": 0.9, "logit_bias": {"5": 1}}
    assert calls_of(await choice_of("hermes", tools=TOOLS, **options))
    used = [(each.seed, each.temperature, each.top_p, each.logit_bias) for each in engine.samplings]
    assert used == [(7, 0.3, 0.9, ((5, 1.0),))] * 2


@each_format
async def test_names_of_letters_and_digits_are_spelled_in_every_format(
    serve: Serve, form: str
) -> None:
    """Of tools and of arguments, in any script; a tool may also have none."""
    names = ("city", "home_city-2", "größe", "城市")
    schema = {"properties": {name: {"const": 7} for name in names}, "required": names}
    tools = [{"type": "function", "function": {"name": it, "parameters": schema}} for it in names]
    serve(Fills(*names, "news"))
    calls = calls_of(await choice_of(form, tools=[*tools, NEWS], tool_choice="required"))
    told = [(name, json.loads(arguments)) for name, arguments in calls]
    assert told == [*((name, dict.fromkeys(names, 7)) for name in names), ("news", {})]


# How a reply ends


@each_format
async def test_a_call_that_is_cut_is_not_told(serve: Serve, form: str) -> None:
    """G13: a client would run half of it; of a name that is cut a stream tells nothing either."""
    serve(Fills(), Fills())
    choice = await choice_of(form, **FORCED, max_tokens=1)
    assert "tool_calls" not in choice["message"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("", "length")
    assert streamed_calls(await streamed_choices(form, **FORCED, max_tokens=1)) == []


@each_format
async def test_calls_before_the_one_that_is_cut_are_told(serve: Serve, form: str) -> None:
    """They are whole; a stream has the arguments so far, too, and the reason."""
    engine = serve(Fills("weather", "news"))
    await choice_of(form, **FORCED)
    tokens = engine.said[0].rindex("Oslo") // 3 + 1
    serve(*[Fills("weather", "news")] * 2)
    choice = await choice_of(form, **FORCED, max_tokens=tokens)
    assert calls_of(choice) == [("weather", OSLO)]
    *streamed, last = await streamed_choices(form, **FORCED, max_tokens=tokens)
    whole, (name, half) = streamed_calls(streamed)
    assert (whole, name) == (("weather", OSLO), "news")
    assert OSLO.startswith(half)
    assert half.startswith('{"city')
    assert last["delta"] == {}
    assert choice["finish_reason"] == last["finish_reason"] == "length"


@each_format
async def test_stop_strings_do_not_cut_a_call(serve: Serve, form: str) -> None:
    """G14: whatever of it they stand in."""
    serve(Fills())
    choice = await choice_of(form, **FORCED, stop=["Oslo", "city", "e", "}"])
    assert calls_of(choice) == [("weather", OSLO)]


async def test_a_stop_string_may_end_text_before_a_call_is_sure(serve: Serve) -> None:
    """N3: until the name is told, bare JSON is text like any other."""
    serve(written("llama3", ("weather", OSLO)))
    choice = await choice_of("llama3", tools=TOOLS, stop=['"name"'])
    assert (choice["message"]["content"], choice["finish_reason"]) == ("{", "stop")
    assert calls_of(choice) == []


@each_format
async def test_a_streams_calls_are_those_of_the_whole_reply(serve: Serve, form: str) -> None:
    """G7, G16: several calls, joined by their index, behind the same text."""
    turns = "Let me see.\n" + written(form, ("weather", ROME)), Fills("weather", "news")
    serve(*turns)
    choice = await choice_of(form, tools=TOOLS)
    assert len(calls_of(choice)) == 2
    serve(*turns)
    streamed = await streamed_choices(form, tools=TOOLS)
    content = "".join(each["delta"].get("content") or "" for each in streamed)
    assert content == choice["message"]["content"] == "Let me see."
    assert streamed_calls(streamed) == calls_of(choice)
    assert streamed[-1]["finish_reason"] == choice["finish_reason"] == "tool_calls"


@each_format
async def test_a_stream_ends_with_the_error_where_the_engine_leaves_its_grammar(
    serve: Serve, form: str
) -> None:
    """G23, G25: behind what had left of the call; the rest is not waited for."""
    engine = serve(FORMATS[form].arguments.write(OSLO).removesuffix("}") + " and so on" * 99)
    *told, last = await events_of(
        {"messages": [USER], "tool_format": form, "tools": TOOLS, "tool_choice": NEWS}
    )
    ((name, half),) = streamed_calls([event["choices"][0] for event in told])
    assert (name, half.startswith('{"city')) == ("news", True)
    assert "broke the constraint" in last["error"]["message"]
    assert engine.aborted == 1


@pytest.mark.parametrize("form", [*FORMATS, None])
async def test_any_history_is_told_in_every_format(serve: Serve, form: str | None) -> None:
    """G22: calls whose arguments are no JSON or very deep, results without ids.

    A model wrote them, and clients send them again with every request; Llama's own template too.
    """
    deep = ('{"a": ' * depth + "1" + "}" * depth for depth in (300, 3_000))
    arguments = [OSLO, "{", "[1]", "null", "", '{"a": NaN}', *deep]
    calls = [{"function": {"name": "weather", "arguments": each}} for each in arguments]
    results = [{"role": "tool", "content": f"result {each}"} for each in range(len(calls))]
    engine = serve("Cold.", make=chatml_model if form else llama31_model)
    history = [USER, {"role": "assistant", "content": None, "tool_calls": calls}, *results]
    response = await post({"messages": history, "tool_format": form, "tools": TOOLS})
    assert response.status_code == 200, response.text
    places = [engine.prompts[0].index(each["content"]) for each in results]
    assert places == sorted(places)


@each_format
async def test_a_result_is_told_as_that_of_its_call(serve: Serve, form: str) -> None:
    """G22: in whichever order the results come."""
    calls = [
        {"id": id, "function": {"name": "weather", "arguments": arguments}}
        for id, arguments in (("a", OSLO), ("b", ROME))
    ]
    called = {"role": "assistant", "tool_calls": calls}
    cold, warm = ({"role": "tool", "tool_call_id": id, "content": id * 9} for id in "ab")
    engine = serve("ok", "ok", "ok")
    for history in ([cold, warm, USER], [warm, cold, USER], [warm, USER, cold]):
        await choice_of(form, tools=TOOLS, messages=[USER, called, *history])
    assert len(set(engine.prompts)) == 1


# What content is


@each_format
async def test_content_beside_tools_obeys_its_schema(serve: Serve, form: str) -> None:
    """G10: with `none` there is nothing else that it could be."""
    for tool_choice in ("auto", "none"):
        engine = serve(Fills())
        options = {"tools": TOOLS, "tool_choice": tool_choice, "response_format": TEAM_FORMAT}
        choice = await choice_of(form, **options)
        assert json.loads(choice["message"]["content"]) == {"goals": 3}
        assert choice["finish_reason"] == "stop"
        alone = tool_choice == "none" and FORMATS[form].answer_tool is None
        assert (len(engine.samplings[0].constraint) == 1) == alone


@each_format
async def test_a_call_may_stand_in_place_of_such_content(serve: Serve, form: str) -> None:
    """G10: it is finished under its tool's schema, as it is beside free text."""
    serve(written(form, ("weather", ROME)), Fills())
    choice = await choice_of(form, tools=TOOLS, response_format=TEAM_FORMAT)
    assert calls_of(choice) == [("weather", OSLO)]
    assert choice["message"]["content"] is None


async def test_json_that_names_an_offered_tool_is_a_call(serve: Serve) -> None:
    """N2: also where it was meant as content; without tools it is content."""
    text = '{"name": "weather", "arguments": {"city": "Rome"}}'
    json_object = {"type": "json_object"}
    serve(text, Fills())
    choice = await choice_of("hermes", tools=TOOLS, response_format=json_object)
    assert calls_of(choice) == [("weather", OSLO)]
    serve(text)
    choice = await choice_of("hermes", response_format=json_object)
    assert choice["message"]["content"] == text


@pytest.mark.parametrize(
    ("options", "content", "reason"),
    [({"max_tokens": 2}, '{"goal', "length"), ({"stop": ":"}, '{"goals"', "stop")],
    ids=["tokens", "stop"],
)
async def test_json_content_that_is_cut_is_no_json(
    serve: Serve, options: dict[str, Any], content: str, reason: str
) -> None:
    """N4: tokens run out, or a stop string stands in it: what there is so far is content."""
    serve(Fills())
    choice = await choice_of("hermes", response_format=TEAM_FORMAT, **options)
    assert (choice["message"]["content"], choice["finish_reason"]) == (content, reason)


async def test_the_model_is_not_told_of_the_schema_of_its_content(serve: Serve) -> None:
    """N5: what is wanted stands in the messages."""
    engine = serve("Hello", Fills())
    await choice_of("hermes")
    await choice_of("hermes", response_format=TEAM_FORMAT)
    assert engine.prompts[0] == engine.prompts[1]


async def test_a_template_without_marks_of_reasoning_has_it_in_content(serve: Serve) -> None:
    """N8: nothing says that its model thinks."""
    serve("<think>Cold?</think>Cold.")
    message = (await choice_of("hermes"))["message"]
    assert message["content"] == "<think>Cold?</think>Cold."
    assert message.keys() == {"role", "content", "refusal"}


# What can't be enforced


async def test_what_content_is_not_held_to_is_told(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """G12: the operator reads it, and the client."""
    schema = {"type": "object", "properties": {"a": {"type": "string", "not": {"const": "b"}}}}
    told = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    serve(Fills())
    with caplog.at_level(logging.WARNING):
        response = await post({"messages": [USER], "response_format": told})
    assert response.status_code == 200
    assert caplog.messages == ["response_format: not enforced: a: not"]
    assert response.headers["x-unenforced-keywords"] == "response_format: a: not"


async def test_a_name_ends_no_line_of_the_log(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """Names are the client's, and may hold anything; a tool's own some of it."""
    schema = {"type": "object", "properties": {"a\r\nERROR\0\u2028\x1b[0m": {"not": {}}}}
    tool = {"name": "f\x85ERROR\u2028größe", "parameters": schema}
    serve("Hello")
    with caplog.at_level(logging.WARNING):
        await choice_of("hermes", tools=[tool])
    name = r"a\r\nERROR\u0000\u2028\u001b[0m"
    assert caplog.messages == [rf"Tool f\u0085ERROR\u2028größe: not enforced: {name}: not"]


class Compiling(ScriptedEngine):
    """A scripted engine that compiles its constraints, as every engine does."""

    async def generate(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """Play the next turn, if its constraint compiles."""
        if sampling.constraint:
            grammar(sampling.constraint)
        async for piece in super().generate(prompt, sampling):
            yield piece


NO_NUMBER = {"type": "integer", "minimum": 3, "maximum": 2}
BROKEN = {"type": "object", "properties": {"a": NO_NUMBER}, "required": ["a"]}


def compiling(serve: Serve, *turns: Any) -> dict[str, Any]:
    """A model that compiles, and a body that offers it a tool of a schema that doesn't."""
    serve()
    openai_api_app.state.chat_model = chatml_model(Compiling(*turns))
    tool = {"type": "function", "function": {"name": "f", "parameters": BROKEN}}
    return {"messages": [USER], "tools": [TOOLS[0], tool]}


async def test_a_schema_that_does_not_compile_is_refused_where_it_is_needed(serve: Serve) -> None:
    """Before a forced call, or when the model begins one; text needs none of it."""
    response = await post(compiling(serve, "Hello"))
    assert response.json()["choices"][0]["message"]["content"] == "Hello"
    told = {"type": "json_schema", "json_schema": {"name": "x", "schema": BROKEN}}
    begins, tool = "So. <tool_call>", ("Tool f", "tools[1].function.parameters")
    for options, turns, (thing, param) in (
        ({"tool_choice": "required"}, [], tool),
        ({}, [begins], tool),
        ({"response_format": told}, [], ("response_format", "response_format")),
    ):
        status, error = await error_of({**compiling(serve, *turns), **options})
        assert (status, error["code"]) == (400, "invalid_function_parameters")
        assert error["param"] == param
        assert error["message"].startswith(f"{thing}: The JSON Schema can't be enforced: ")
    first, *_, last = await events_of(compiling(serve, begins))
    assert first["choices"][0]["delta"]["role"] == "assistant"
    assert last["error"]["code"] == error["code"]


async def test_a_name_that_comes_again_is_told_once(serve: Serve) -> None:
    """A grammar can't forbid a name that no schema declares; the first value holds."""
    written = '{"a": 1e2, "b": {"c": 1, "\\u0063": [2]}, "a": {"a": 3}, "d": 3.50, "b": "}"}'
    serve(written + "}\n</tool_call>", written + "}\n</tool_call>")
    tool = {"name": "f", "parameters": {"additionalProperties": {}}}
    options = {"tools": [tool], "tool_choice": "required", "parallel_tool_calls": False}
    once = '{"a": 1e2, "b": {"c": 1}, "d": 3.50}'
    assert calls_of(await choice_of("hermes", **options)) == [("f", once)]
    assert streamed_calls(await streamed_choices("hermes", **options)) == [("f", once)]


@each_format
async def test_open_parameters_are_refused_where_they_cannot_be_spelled(
    serve: Serve, form: str
) -> None:
    """Tags and keywords need names that are known before."""
    schema = {"type": "object", "additionalProperties": {"type": "null"}, "minProperties": 1}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    body = {"messages": [USER], "tools": [tool], "tool_choice": "required", "tool_format": form}
    serve(Fills())
    response = await post(body)
    refused = form in {"pythonic", "qwen3coder", "chatglm3"}
    assert response.status_code == (400 if refused else 200)
    if refused:
        error = response.json()["error"]
        assert error["code"] == "invalid_function_parameters"
        assert (error["param"], error["message"][:7]) == ("tools[0].function.parameters", "Tool f:")
