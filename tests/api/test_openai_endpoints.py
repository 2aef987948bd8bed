"""`/v1` is OpenAI's API to OpenAI's own client, whatever the client, the model or the line does."""

import asyncio
import json
import logging
from functools import partial
from typing import Any

import openai
import pytest
from scripted_engine import (
    CHATML,
    Fails,
    Fills,
    Hangs,
    ScriptedEngine,
    chatml_model,
    llama31_model,
    qwen3_model,
)
from v1_client import (
    CHAT,
    CONVERT,
    TODAY,
    USER,
    Serve,
    choice_of,
    chunk,
    client,
    error_of,
    events_of,
    http,
    is_refused,
    post,
    serving,
    without_head,
)

from function_calling.engines import LoadedModel
from function_calling.engines.quoting import parts
from function_calling.errors import EngineError, RequestError
from function_calling.model import chat_model
from function_calling.model.chat_model import CHARACTERS_OF_A_TOKEN, ChatModel
from function_calling.settings import Settings
from openai_endpoints import openai_api_app

serve = pytest.fixture(serving)
TOOLS = [CONVERT, TODAY]
NAMED = {"type": "function", "function": {"name": "convert"}}
ASKED = {"messages": [USER]}
PROMPT = {"prompt": "Once upon a time"}
FOREVER = "Money " * 200
BROKE = EngineError("It broke.")


# Whole replies


async def test_a_reply_in_words_is_a_chat_completion(serve: Serve) -> None:
    """It has what OpenAI always sends and nothing unset, whichever model was asked for."""
    serve("It is 131.95.")
    reply = (await post({**ASKED, "model": "gpt-4o"})).json()
    assert reply.pop("id").startswith("chatcmpl-")
    assert reply.pop("created") > 1_700_000_000
    message = {"role": "assistant", "content": "It is 131.95.", "refusal": None}
    tokens = reply["usage"]["prompt_tokens"]
    assert reply == {
        "object": "chat.completion",
        "model": "scripted",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {
            "prompt_tokens": tokens, "completion_tokens": 5, "total_tokens": tokens + 5
        },
    }  # fmt: skip


# Streams


async def test_a_stream_of_words_has_openais_chunks(serve: Serve) -> None:
    """Role, text piece by piece, reason; unasked no usage, which some clients take for broken."""
    serve("Hello")
    assert without_head(await events_of(ASKED)) == [
        chunk({"role": "assistant", "content": "", "refusal": None}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk({}, "stop"),
    ]


async def test_a_stream_of_calls_has_openais_chunks(serve: Serve) -> None:
    """Role with the first call's id and name, its arguments as they come, then the next call."""
    serve(Fills("convert", "today"))
    events = await events_of({**ASKED, "tools": TOOLS, "tool_choice": "required"})
    deltas = [event["choices"][0]["delta"] for event in events]
    calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
    assert len({call.pop("id") for call in calls if "id" in call}) == 2
    opened = {"index": 0, "type": "function", "function": {"name": "convert", "arguments": ""}}
    assert deltas == [
        {"role": "assistant", "content": None, "refusal": None, "tool_calls": [opened]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '"amount": 42}'}}]},
        {"tool_calls": [{**opened, "index": 1, "function": {"name": "today", "arguments": ""}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        {},
    ]


@pytest.mark.parametrize(
    ("turns", "options"),
    [
        pytest.param(["Money " * 9], {}, id="words"),
        pytest.param([""], {}, id="nothing"),
        pytest.param(["Money " * 9], {"max_tokens": 7}, id="cut words"),
        pytest.param([Fills()], {"tools": TOOLS, "tool_choice": NAMED}, id="named call"),
        pytest.param(
            ['So: {"name": "today", "arguments": ', Fills("today", "convert")],
            {"tools": TOOLS},
            id="words and calls",
        ),
    ],
)
async def test_a_stream_joined_is_the_whole_reply(
    serve: Serve, turns: list[Any], options: dict[str, Any]
) -> None:
    """Told by OpenAI's own way of joining a stream (G16)."""
    serve(*turns, *turns)
    request = {"model": "any", "messages": [USER], **options}
    whole = await client().chat.completions.create(**request)
    usage = {"include_usage": True}
    async with client().chat.completions.stream(**request, stream_options=usage) as stream:
        try:
            joined = await stream.get_final_completion()
        except openai.LengthFinishReasonError as error:
            joined = error.completion
    assert comparable(whole) == comparable(joined)
    assert whole.choices[0].finish_reason == "length" or "max_tokens" not in options


def comparable(reply: Any) -> dict[str, Any]:
    """A reply without what is new in each, and without what the SDK adds when it joins."""
    (choice,) = reply.choices
    calls = choice.message.tool_calls or ()
    return {
        "content": choice.message.content or "",
        "calls": [(call.function.name, call.function.arguments) for call in calls],
        "reason": choice.finish_reason,
        "usage": reply.usage.model_dump(exclude_none=True),
        "model": reply.model,
    }


# Models


async def test_the_one_model_is_listed_and_retrieved(serve: Serve) -> None:
    """By the name that replies carry; of another the SDK raises its own error."""
    serve()
    listed = [model async for model in client().models.list()]
    assert [(model.id, model.object) for model in listed] == [("scripted", "model")]
    assert await client().models.retrieve("scripted") == listed[0]
    assert listed[0].created > 1_700_000_000
    assert listed[0].model_dump()["max_model_len"] == 200
    with pytest.raises(openai.NotFoundError) as caught:
        await client().models.retrieve("owner/größe")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert "owner/größe" in caught.value.message


async def test_a_model_has_the_names_that_are_set(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replies have the first; a client may have any of them built in."""

    def make(engine: ScriptedEngine) -> ChatModel:
        loaded = LoadedModel("file", engine, CHATML, "", "", 200)
        monkeypatch.setattr(chat_model, "load_engine", lambda _: loaded)
        return chat_model.load_chat_model(Settings(model_name="gpt-4o , mine/tiny"))

    serve("Hello", make=make)
    assert [each.id async for each in client().models.list()] == ["gpt-4o", "mine/tiny"]
    assert (await client().models.retrieve("mine/tiny")).id == "mine/tiny"
    reply = await client().chat.completions.create(model="mine/tiny", messages=[USER])
    assert reply.model == "gpt-4o"
    with pytest.raises(openai.NotFoundError, match="'gpt-4o', 'mine/tiny' is served"):
        await client().models.retrieve("file")


# What is read leniently


async def prompt_of(serve: Serve, *messages: dict[str, Any], make: Any = chatml_model) -> str:
    """The prompt that these messages become."""
    engine = serve("ok", make=make)
    response = await post({"messages": messages})
    assert response.status_code == 200, response.text
    return engine.prompts[0].removesuffix("<|im_start|>assistant\n")


def stand_in_order(prompt: str, *texts: str) -> bool:
    """Whether all of them stand in the prompt, one behind the other."""
    places = [prompt.index(each) for each in texts]
    return places == sorted(places)


def calling(key: str, calls: Any, **fields: Any) -> dict[str, Any]:
    """An assistant's message with calls."""
    return {"role": "assistant", key: calls, **fields}


def returned(content: Any) -> dict[str, Any]:
    """A tool's result."""
    return {"role": "tool", "name": "f", "tool_call_id": "a", "content": content}


def function(name: str, arguments: Any = "{}") -> dict[str, Any]:
    """A function as a call names it."""
    return {"name": name, "arguments": arguments}


CALLED = 'assistant\n<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'
RESULT = "user\n<tool_response>\n3\n</tool_response>"


@pytest.mark.parametrize(
    ("message", "turn"),
    [
        ({"role": "developer", "content": "Be brief."}, "system\nBe brief."),
        ({"role": "user", "content": None}, "user\n"),
        ({"role": "user", "content": "half an emoji \ud83d"}, "user\nhalf an emoji \ufffd"),
        ({"role": "user", "content": [{"type": "text", "text": "a"}, "b"]}, "user\na\nb"),
        ({"role": "assistant", "refusal": "No."}, "assistant\nNo."),
        ({"role": "assistant", "content": [{"type": "refusal", "refusal": "No"}]}, "assistant\nNo"),
        ({"role": "user", "name": "Ada", "content": "Hi"}, "user\nAda: Hi"),
        ({"role": "assistant", "name": "Bo", "content": "Hi"}, "assistant\nHi"),
        ({"role": "function", "name": "convert", "content": "3"}, RESULT),
        (returned(None), RESULT.replace("3", "")),
        (returned(131.95), RESULT.replace("3", "131.95")),
        (returned([{"temp": 7}, {"type": "sunny"}]),
         RESULT.replace("3", '[{"temp": 7}, {"type": "sunny"}]')),
        (returned(["a", {"type": "text", "text": "b"}, {"type": "image_url"}]),
         RESULT.replace("3", "a\nb\n[Left out: image_url]")),
        (calling("tool_calls", [{"function": function("f", {"a": "é"})}]),
         CALLED.replace("{}", '{"a": "é"}')),
        (calling("function_call", function("f", r'{"\u003c": 1e400, "\/": 0.100000000000000001}')),
         CALLED.replace("{}", '{"<": 1e400, "/": 0.100000000000000001}')),
        (calling("tool_calls", [{"id": 7, "name": "f"}]), CALLED),
        (calling("tool_call", [json.dumps({"id": "a", "function": function("f")})]), CALLED),
    ],
    ids=str,
)  # fmt: skip
async def test_messages_with_one_sensible_reading_are_read(
    serve: Serve, message: dict[str, Any], turn: str
) -> None:
    """Histories come from many clients (G22); who speaks is told, but of the assistant (G29)."""
    assert await prompt_of(serve, message) == f"<|im_start|>{turn}<|im_end|>\n"


async def test_results_without_ids_answer_the_calls_in_order(serve: Serve) -> None:
    """Those that are left; here in a family that needs to know which answers which."""
    calls = [function(name) for name in ("one", "two")] + [{"id": "c", **function("three")}]
    results = [
        {"role": "tool", "content": content, **key}
        for content, key in (("third", {"tool_call_id": "c"}), ("first", {}), ("second", {}))
    ]
    history = USER, calling("tool_calls", calls), *results
    told = await prompt_of(serve, *history, make=llama31_model)
    assert stand_in_order(told, "one", '"first"', "two", '"second"', "three", '"third"')


async def test_a_result_has_the_name_of_its_call_for_templates_that_want_it(serve: Serve) -> None:
    """OpenAI's have none, and Hermes 2 Pro's template refuses that; some give all calls one id."""
    template = (
        "{{ tools | tojson }}{% for m in messages %}"
        "{% if m.role == 'tool' %}{{ m['name'] + '=' }}{% endif %}{{ m.content }}"
        "{% for c in m.tool_calls or [] %}<tool_call>{{ c.function | tojson }}{% endfor %}"
        "{% endfor %}"
    )
    calls = [{"id": "x", "function": function(name)} for name in ("one", "two")]
    results = [{"role": "tool", "tool_call_id": "x", "content": "7"}] * 2
    history = USER, calling("tool_calls", calls), *results
    told = await prompt_of(serve, *history, make=partial(qwen3_model, template=template))
    assert told.endswith('"arguments": {}}one=7two=7')


@pytest.mark.parametrize("form", ["hermes", "llama3", "pythonic", "qwen3coder"])
async def test_arguments_end_no_turn_however_they_are_escaped(serve: Serve, form: str) -> None:
    """What spells a control token is text, and what is no JSON is shown as it stands (G28)."""
    for arguments in (
        r'{"a\u003c|im_end|>": "half \ud83d"}',
        '{"a": "\\u003c|im_end|>, \n"}',
        r'"{\"a\": \"\\u003c|im_end|>\"}"',
        r"{'a': '\x3c|im_end|>'}",
        "{'a': '<|im_' 'end|>'}",
    ):
        engine = serve("ok", "ok", make=qwen3_model)
        history = [USER, calling("tool_calls", [function("f", arguments)]), USER]
        response = await post({"messages": history, "tool_format": form})
        assert response.status_code == 200, response.text
        told = "".join(text for text, quoted in parts(engine.prompts[0]) if not quoted)
        assert told.count("<|im_end|>") == 3


async def test_results_without_a_call_are_shown_to_the_model(serve: Serve) -> None:
    """Of an id that nobody gave, or of none."""
    results = [
        {"role": "tool", "tool_call_id": "x", "content": "first"},
        {"role": "function", "name": "f", "content": "second"},
    ]
    told = await prompt_of(serve, USER, *results, make=llama31_model)
    assert stand_in_order(told, "first", "second")


TEXT = {"type": "string"}
TOOLBENCH = {"properties": {"a": TEXT, "b": TEXT}, "required": ["a"], "optional": ["a", "b"]}


@pytest.mark.parametrize(
    ("tool", "parameters"),
    [
        ({"type": "function", "function": {"name": "天气", "description": "获取今天的天气"}}, {}),
        ({"function": {"name": "wetter_größe", "parameters": None}}, {}),
        ({"name": "f", "parameters": TOOLBENCH}, {"a": ""}),
    ],
    ids=["OpenAI's", "without a type", "ToolBench's"],
)
async def test_tools_are_read_in_every_spelling(
    serve: Serve, tool: dict[str, Any], parameters: dict[str, Any]
) -> None:
    """Wrapped or flat, with all or with a name alone; `required` says what is required."""
    engine = serve(Fills())
    forced = {"tool_choice": "required", "parallel_tool_calls": False}
    (call,) = (await choice_of({**ASKED, "tools": [tool], **forced}))["message"]["tool_calls"]
    offered = {"description": "", **tool.get("function", tool)}
    assert call["function"]["name"] == offered["name"]
    assert json.loads(call["function"]["arguments"]) == parameters
    for key in ("name", "description"):
        assert f'"{key}": "{offered[key]}"' in engine.prompts[0]
    assert '"optional"' not in engine.prompts[0]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model": "x", "n": 1, "stream": None, "foo": None, "whole_tool_calls": False}, None),
        ({"logprobs": False, "top_logprobs": 0, "logit_bias": {}, "stream_options": None}, None),
        ({"modalities": ["text"], "reasoning_effort": "none", "audio": {"voice": "x"}}, "audio"),
        ({"functions": [], "function_call": "none"}, None),
        ({"functions": [], "tools": [TODAY], "tool_choice": "none"}, None),
        ({"tools": [], "tool_choice": "auto", "parallel_tool_calls": False}, None),
        ({"mirostat": 2, "user": "me", "store": True, "metadata": {}, "reasoning_effort": "low",
          "stream_options": {"include_usage": True, "include_obfuscation": True}},
         "mirostat, user, store, metadata, stream_options.include_obfuscation, reasoning_effort"),
        ({"messages": [{**USER, "role": "assistant", "name": "Bo"}]}, "messages.name"),
        ({"tools": [{**TODAY, "defer_loading": True}], "tool_choice": "none"},
         "tools.defer_loading"),
        ({"a\r\nX-Forged: größe, netto\x7f": 1},
         r"a\r\nX-Forged: gr\u00f6\u00dfe\u002c netto\u007f"),
        ({"x" * 5000: 1}, "x" * 3997 + "..."),
    ],
    ids=str,
)  # fmt: skip
async def test_what_a_reply_need_not_show_is_ignored_and_named(
    serve: Serve, options: dict[str, Any], told: str | None
) -> None:
    """Clients of other servers send many parameters; those that ask for nothing are no matter."""
    serve("ok", "ok")
    for stream in (False, True):
        response = await post({**ASKED, **options, "stream": stream})
        assert response.status_code == 200, response.text
        assert response.headers.get("x-ignored-parameters") == told


EACH = {
    **{"temperature": 2.0, "top_p": 0.1, "top_k": 40, "min_p": 0.05, "max_tokens": 5},
    **{"frequency_penalty": -2.0, "presence_penalty": 2.0, "repetition_penalty": 1.1},
}


UNSAID = {
    **{"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "max_tokens": None},
    **{"frequency_penalty": 0.0, "presence_penalty": 0.0, "repetition_penalty": 1.0},
    **{"seed": None, "stop": (), "logprobs": None, "logit_bias": (), "kept": False},
}


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({}, UNSAID),
        (EACH, EACH),
        ({"top_p": 0, "top_k": -1, "seed": -1}, {"top_p": 1e-6, "top_k": 0, "seed": -1}),
        ({"max_tokens": 5, "max_completion_tokens": 6}, {"max_tokens": 6}),
        ({"stop": "END", "logprobs": True}, {"stop": ("END",), "logprobs": 0}),
        ({"stop": ["a", "", "b"]}, {"stop": ("a", "b")}),
        ({"logprobs": True, "top_logprobs": 20}, {"logprobs": 20}),
        ({"logit_bias": {"5": -100, "7": 1.5}}, {"logit_bias": ((5, -100.0), (7, 1.5))}),
        ({"prompt_cache_retention": "24h"}, {"kept": True}),
    ],
    ids=str,
)
async def test_sampling_parameters_reach_the_engine(
    serve: Serve, options: dict[str, Any], fields: dict[str, Any]
) -> None:
    """With OpenAI's defaults where nothing is said (G20)."""
    engine = serve("ok")
    await post({**ASKED, **options})
    assert {name: getattr(engine.samplings[0], name) for name in fields} == fields


def allowed_tools(mode: Any, tools: Any) -> dict[str, Any]:
    """OpenAI's `allowed_tools`."""
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


# What can't be enforced


def with_keyword(name: str, keyword: str, **options: Any) -> dict[str, Any]:
    """A tool with a property of this name that holds what can't be enforced."""
    schema = {"type": "object", "properties": {name: {"type": "integer", keyword: {"const": 13}}}}
    return {"type": "function", "function": {"name": "f", "parameters": schema, **options}}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_header_names_what_can_not_be_enforced(serve: Serve, stream: bool) -> None:
    """A reply may then hold what the schema forbids, unless no tool may be called (G12)."""
    serve(*["Hello"] * 3)
    body = {**ASKED, "tools": [with_keyword("number", "not")], "stream": stream}
    assert (await post(body)).headers["x-unenforced-keywords"] == "f: number: not"
    for harmless in ({"tools": TOOLS}, {"tool_choice": "none"}):
        response = await post({**body, **harmless})
        assert "x-unenforced-keywords" not in response.headers


async def test_a_strict_tool_that_can_not_be_enforced_is_refused(serve: Serve) -> None:
    """`strict` asks for a promise (G11); what is no schema can't be enforced either."""
    serve()
    tools = [with_keyword("number", "not", strict=True)]
    place = "tools[0].function.parameters"
    await is_refused({**ASKED, "tools": tools}, place, "number: not")
    tools = offering(name="f", parameters={"properties": {"a": {"type": "float"}}})["tools"]
    told = "Tool f: The JSON Schema can't be enforced: they are no JSON Schema: a: type="
    await is_refused({**ASKED, "tools": tools}, place, told)


async def test_a_word_that_json_schema_does_not_know_breaks_no_promise(serve: Serve) -> None:
    """It is named, since its writer may mean something by it; some clients add their own."""
    serve("Hello")
    body = {**ASKED, "tools": [with_keyword("number", "min_items", strict=True)]}
    response = await post(body)
    assert response.status_code == 200
    assert response.headers["x-unenforced-keywords"] == "f: number: min_items"


# What is refused


def offering(**function: Any) -> dict[str, Any]:
    """The parameter that offers one function."""
    return {"tools": [{"type": "function", "function": function}]}


def saying(**message: Any) -> dict[str, Any]:
    """A history of one message."""
    return {"messages": [message]}


@pytest.mark.parametrize(
    ("body", "param", "told"),
    [
        (b"{", None, "The body is not JSON"),
        (b"\xff", None, "The body is not JSON"),
        (b"[" * 100_000, None, "The body is not JSON: recursion limit exceeded"),
        (rb'{"temperature": NaN, "stop": "\ud800"}', None, "The body is not JSON"),
        ([1], None, "The body is [1]; wanted a JSON object."),
        (b"{}", "messages", "messages is missing."),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_a_body_that_is_no_request_is_refused(
    serve: Serve, body: Any, param: str | None, told: str
) -> None:
    """A 400 that says what it is instead."""
    serve()
    await is_refused(body, param, told)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"messages": []}, "messages=[]: List should have at least 1 item"),
        ({"messages": [USER] * 4097}, "at most 4096 items after validation, not 4097"),
        ({"messages": ["Hi"]}, 'messages[0]="Hi": wanted an object.'),
        ({"top_logprobs": 2}, "top_logprobs=2: wanted logprobs=true with it"),
        ({"logit_bias": {str(2**31): 1}}, "less than 2147483648"),
        ({"logit_bias": dict.fromkeys(range(301), 1)}, "at most 300 items"),
        ({"chat_template_kwargs": {"tools": [], "bos_token": ""}},
         "chat_template_kwargs holds tools, bos_token: wanted no variable that the server sets."),
        ({"tool_format": "smoke"}, 'tool_format="smoke": wanted one of'),
        ({"stream_options": {"include_usage": 3}}, "stream_options=3: Input should be a valid boo"),
        # Tools
        ({"tools": [TODAY, "f"]}, 'tools[1]="f": wanted an object.'),
        ({"tools": [{"type": "custom", "function": {}}]}, "custom"),
        ({"tools": [{"function": 3}]}, 'tools[0]={"function": 3}: wanted'),
        ({"tools": [TODAY] * 2}, "tools[1]: 'today' is offered twice."),
        ({"tools": [TODAY] * 1025}, "tools holds 1025; wanted 1024 at most."),
        (offering(), "tools[0].function.name=null"),
        (offering(name='a"b'), "wanted a name without quotes and controls"),
        (offering(name="f", parameters={"type": "array"}), "wanted a JSON Schema of an object"),
        (offering(name="f", strict="yes"), 'tools[0].function.strict="yes"'),
        ({"tools": [{"name": 3}]}, "tools[0].name=3: wanted a name"),
        # tool_choice
        ({"tool_choice": "any"}, "tool_choice=\"any\": wanted 'none', 'auto'"),
        ({"tool_choice": "required", "tools": []}, '="required" needs tools.'),
        ({"tool_choice": {"type": "function", "function": "f"}}, "wanted"),
        ({"tool_choice": NAMED, "tools": [TODAY]}, "not among the tools: today"),
        ({"tool_choice": allowed_tools("none", [NAMED])}, "wanted"),
        ({"tool_choice": allowed_tools("auto", [])}, "wanted"),
        ({"tool_choice": allowed_tools("auto", [TODAY]), "tools": [CONVERT]}, 'names "today"'),
        # Messages
        ({"messages": [USER, {"role": "robot"}]}, 'messages[1].role="robot": wanted one of'),
        (saying(role="user", content=3), "messages[0].content=3"),
        (saying(role="user", content=[{"type": "image_url", "image_url": {}}]),
         "wanted text, or parts of type text"),
        ({"messages": [{**USER, "name": 7}]}, "messages[0].name=7: wanted text."),
        (saying(**calling("tool_calls", "f")), "wanted a list"),
        (saying(**calling("tool_calls", [function("f")] * 4096)),
         "messages hold 4097 messages and open calls; wanted 4096 at most."),
        (saying(**calling("tool_calls", ["f"])),
         'messages[0].tool_calls[0]="f": wanted a function with a name.'),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
async def test_a_wrong_request_is_refused_by_what_is_wrong(
    serve: Serve, wrong: dict[str, Any], told: str
) -> None:
    """A 400 that names the parameter, the first of these, its value and what was wanted (G23)."""
    serve()
    await is_refused({"messages": [USER], "tools": TOOLS, **wrong}, next(iter(wrong)), told)


async def test_a_value_out_of_its_range_is_refused(serve: Serve) -> None:
    """By its parameter and what may stand there."""
    serve()
    low = {"temperature": -1, "top_p": -0.1, "presence_penalty": -2.5, "repetition_penalty": 0}
    high = {"temperature": 2.1, "frequency_penalty": 2.5, "top_k": 2**31, "min_p": 1.5, "n": 17}
    other = {"max_tokens": 0, "max_completion_tokens": 0, "seed": "x", "top_logprobs": 21}
    for name, value in [*low.items(), *high.items(), *other.items()]:
        told = f"{name}={json.dumps(value)}: Input should"
        await is_refused({**ASKED, name: value}, name, told)


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        (CHAT, "modalities", ["text", "audio"]),
        (CHAT, "structured_outputs", {"regex": "yes|no"}),
        ("/completions", "echo", True),
        ("/completions", "guided_choice", ["yes", "no"]),
    ],
)
async def test_a_parameter_that_is_not_supported_is_refused_by_name(
    serve: Serve, path: str, name: str, value: Any
) -> None:
    """A client that sends it counts on it."""
    serve()
    status, error = await error_of({**ASKED, **PROMPT, name: value}, path)
    assert (status, error["param"], error["code"]) == (400, name, "unsupported_parameter")
    assert error["message"] == f"{name}={json.dumps(value)}: this parameter is not supported."


async def test_a_prompt_that_can_not_fit_is_refused_before_it_waits(serve: Serve) -> None:
    """By its characters, whatever its tokens are; the scripted context holds 200."""
    engine = serve("ok")
    long = {"role": "user", "content": " " * (200 * CHARACTERS_OF_A_TOKEN + 1)}
    status, error = await error_of({"messages": [long]})
    assert (status, error["param"]) == (400, "messages")
    assert error["code"] == "context_length_exceeded"
    assert engine.prompts == []


async def test_what_is_too_long_is_named_as_its_api_names_it(serve: Serve) -> None:
    """Engines know of a prompt alone, and chat templates of messages."""
    bodies = {CHAT: ("messages", ASKED), "/completions": ("prompt", PROMPT)}
    for path, (param, body) in {**bodies, "/responses": ("input", {"input": "Hi"})}.items():
        serve(Fails(RequestError("Too long.", param="messages")))
        await is_refused(body, param, "Too long.", path)


async def test_a_wrong_address_is_an_error_in_openais_shape(serve: Serve) -> None:
    """It names what was asked for."""
    serve()
    for method, path, status in (("POST", "/tokenize", 404), ("GET", CHAT, 405)):
        async with http() as plain:
            response = await plain.request(method, path)
        assert response.status_code == status
        assert response.json()["error"]["message"].startswith(f"{method} {path}: ")


# What goes wrong in the server

both_apis = pytest.mark.parametrize(
    ("path", "body"), [(CHAT, ASKED), ("/completions", PROMPT)], ids=["chat", "text"]
)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "error",
    [
        RequestError("Too long.", param="messages", code="context_length_exceeded"),
        EngineError("Busy.", code="engine_overloaded", status=503, retry_after=5),
    ],
    ids=str,
)
async def test_an_engine_that_refuses_is_an_error_with_its_status(
    serve: Serve, stream: bool, error: Any
) -> None:
    """Before the first event a stream is no stream yet; a header says when to come again."""
    serve(Fails(error))
    response = await post({**ASKED, "stream": stream})
    assert (response.status_code, response.json()) == (error.status, error.body())
    assert response.headers.get("retry-after") == ("5" if error.retry_after else None)


@both_apis
async def test_an_engine_that_fails_in_mid_stream_ends_it_with_the_error(
    serve: Serve, path: str, body: dict[str, Any]
) -> None:
    """An event behind all that it had said, then [DONE]."""
    serve(Fails(BROKE, "Hello"))
    *told, last = await events_of(body, path)
    assert last == BROKE.body()
    choices = [event["choices"][0] for event in told]
    texts = [choice.get("text") or choice["delta"]["content"] for choice in choices]
    assert "".join(texts) == "Hello"


@pytest.mark.parametrize(("stream", "text"), [(False, ""), (True, ""), (True, "Hello")])
async def test_what_was_not_foreseen_tells_the_log_and_not_the_caller(
    serve: Serve, caplog: pytest.LogCaptureFixture, stream: bool, text: str
) -> None:
    """A 500, or an event in the stream, in OpenAI's shape and without a traceback."""
    serve(Fails(ZeroDivisionError("secret"), text))
    response = await post({**ASKED, "stream": stream})
    assert response.status_code == (200 if stream and text else 500)
    assert "The server failed; its log says why." in response.text
    assert "secret" not in response.text
    assert "Traceback" not in response.text
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.exc_info[0] for record in logged if record.exc_info] == [ZeroDivisionError]


# Clients that go away


async def abandoned(
    body: dict[str, Any],
    gone: asyncio.Event,
    sent: list[Any],
    *,
    breaks_after: int | None = None,
    stuck_after: int | None = None,
) -> None:
    """One request as a server hands it to the app, whose client leaves when `gone` is set.

    `breaks_after` so many messages sending raises an OSError, the newer way to tell; `stuck_after`
    so many sending takes until it leaves.
    """
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3" if breaks_after is None else "2.4"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": CHAT,
        "query_string": b"",
        "headers": [],
        "state": {},
    }
    content = json.dumps({**ASKED, **body}).encode()
    requests = [{"type": "http.request", "body": content}]

    async def receive() -> Any:
        if requests:
            return requests.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if len(sent) == breaks_after:
            raise OSError("The client has gone.")
        if len(sent) == stuck_after:
            gone.set()
            await asyncio.Event().wait()
        sent.append(message)

    async with asyncio.timeout(10):
        await openai_api_app(scope, receive, send)


async def left(engine: ScriptedEngine, body: dict[str, Any], running: int = 1) -> list[Any]:
    """What is sent to a client that leaves once the engine hangs, and stops it."""
    gone, sent = asyncio.Event(), []
    request = asyncio.create_task(abandoned(body, gone, sent))
    await engine.hanging.wait()
    assert await engine.busy() == running
    gone.set()
    await request
    assert await engine.busy() == 0
    return sent


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_while_it_waits_stops_the_engine(
    serve: Serve, stream: bool
) -> None:
    """Before anything was sent."""
    engine = serve(Hangs())
    sent = await left(engine, {"tools": TOOLS, "stream": stream})
    assert engine.aborted == 1
    assert [message["status"] for message in sent if "status" in message] == [499]


async def test_a_client_that_leaves_in_mid_stream_stops_the_engine(serve: Serve) -> None:
    """What was sent was sent: the text, also where a call has begun behind it."""
    engine = serve("Hello <tool_call>", Hangs('today", '))
    sent = await left(engine, {"tools": TOOLS, "stream": True})
    assert engine.aborted == 2
    *told, rest = b"".join(message.get("body", b"") for message in sent).split(b"\n\n")
    chunks = [json.loads(each.removeprefix(b"data: ")) for each in told]
    assert "".join(each["choices"][0]["delta"].get("content") or "" for each in chunks) == "Hello"
    assert rest == b""


async def test_a_client_that_leaves_stops_every_reply(serve: Serve) -> None:
    """Of the several that it asked for."""
    engine = serve(*[Hangs("Hello")] * 3)
    await left(engine, {"n": 3, "stream": True}, running=3)
    assert engine.aborted == 3


@pytest.mark.parametrize(
    "ends",
    [{"breaks_after": 4}, {"stuck_after": 0}, {"stuck_after": 1}, {"stuck_after": 4}],
    ids=str,
)
async def test_a_client_that_leaves_while_it_is_being_sent_to_stops_the_engine(
    serve: Serve, ends: dict[str, int]
) -> None:
    """A line breaks, or a slow client holds up the head or a chunk, and then goes away."""
    engine, sent = serve(FOREVER), []
    await abandoned({"stream": True}, asyncio.Event(), sent, **ends)
    assert [len(sent)] == list(ends.values())
    assert await engine.busy() == 0
    assert engine.aborted == 1
