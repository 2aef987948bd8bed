"""`/v1` is OpenAI's API to OpenAI's own client, whatever the client, the model or the line does."""

import asyncio
import json
import logging
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
    first_calls,
    llama31_model,
)
from v1_client import Serve, chunk, client, error_of, events_of, http, post, serving, without_head

from function_calling.api.stream import MOST_BYTES
from function_calling.engines import LoadedModel
from function_calling.errors import EngineError, RequestError
from function_calling.model import chat_model
from function_calling.model.chat_model import CHARACTERS_OF_A_TOKEN, ChatModel
from function_calling.settings import Settings
from openai_endpoints import openai_api_app

serve = pytest.fixture(serving)
USER = {"role": "user", "content": "42 USD?"}
SCHEMA = {
    "type": "object",
    "properties": {"amount": {"type": "integer", "minimum": 42}},
    "required": ["amount"],
}
CONVERT = {"type": "function", "function": {"name": "convert", "parameters": SCHEMA}}
TODAY = {"type": "function", "function": {"name": "today"}}
TOOLS = [CONVERT, TODAY]
NAMED = {"type": "function", "function": {"name": "convert"}}
FOREVER = "Money " * 200
DEEP = '{"a":' * 5_000 + "1" + "}" * 5_000


# Whole replies


async def test_a_reply_in_words_is_a_chat_completion(serve: Serve) -> None:
    """All fields that OpenAI always sends are there."""
    serve("It is 131.95 CAD.")
    reply = await client().chat.completions.create(model="any", messages=[USER])
    assert reply.object == "chat.completion"
    assert reply.id.startswith("chatcmpl-")
    assert reply.created > 1_700_000_000
    assert reply.model == "scripted"
    choice = reply.choices[0]
    assert (choice.index, choice.finish_reason, choice.logprobs) == (0, "stop", None)
    assert choice.message.role == "assistant"
    assert choice.message.content == "It is 131.95 CAD."
    assert choice.message.tool_calls is None
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 6
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + 6


async def test_a_reply_of_calls_has_no_content(serve: Serve) -> None:
    """`content` is null, and each call has an id of its own."""
    serve(Fills("convert", "today"))
    reply = await client().chat.completions.create(
        model="any", messages=[USER], tools=TOOLS, tool_choice="required"
    )
    message = reply.choices[0].message
    assert message.content is None
    assert reply.choices[0].finish_reason == "tool_calls"
    assert [(c.type, c.function.name, c.function.arguments) for c in message.tool_calls] == [
        ("function", "convert", '{"amount": 42}'),
        ("function", "today", "{}"),
    ]
    assert len({call.id for call in message.tool_calls}) == 2


async def test_the_raw_reply_has_what_sdks_read_and_nothing_unset(serve: Serve) -> None:
    """`refusal` and `logprobs` are null; a reply without calls has no `tool_calls`."""
    serve("")
    choice = (await post({"messages": [USER]})).json()["choices"][0]
    assert choice == {
        "index": 0,
        "message": {"role": "assistant", "content": "", "refusal": None},
        "finish_reason": "stop",
        "logprobs": None,
    }


async def test_text_and_calls_may_stand_in_one_reply(serve: Serve) -> None:
    """The text is what came before the call."""
    serve("One moment. <tool_call>", Fills("today"))
    reply = await client().chat.completions.create(model="any", messages=[USER], tools=TOOLS)
    assert reply.choices[0].message.content == "One moment."
    assert [call.function.name for call in reply.choices[0].message.tool_calls] == ["today"]


async def test_too_few_tokens_are_length(serve: Serve) -> None:
    """In text and in a call."""
    serve("It is 131.95 CAD.", Fills("convert"))
    text = await client().chat.completions.create(model="x", messages=[USER], max_tokens=2)
    assert (text.choices[0].message.content, text.choices[0].finish_reason) == ("It is ", "length")
    call = await client().chat.completions.create(
        model="x", messages=[USER], tools=TOOLS, tool_choice=NAMED, max_completion_tokens=2
    )
    assert (call.choices[0].message.tool_calls, call.choices[0].finish_reason) == (None, "length")


# Streams


async def test_a_stream_of_words_has_openais_chunks(serve: Serve) -> None:
    """Role, text piece by piece, reason."""
    serve("Hello")
    assert without_head(await events_of({"messages": [USER]})) == [
        chunk({"role": "assistant", "content": "", "refusal": None}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk({}, "stop"),
    ]


async def test_a_stream_of_calls_has_openais_chunks(serve: Serve) -> None:
    """Role with the first call's id and name, its arguments as they come, then the next call."""
    serve(Fills("convert", "today"))
    body = {"messages": [USER], "tools": TOOLS, "tool_choice": "required"}
    events = without_head(await events_of(body))
    ids = [
        call.pop("id")
        for event in events
        for call in event["choices"][0]["delta"].get("tool_calls", [])
        if "id" in call
    ]
    assert len(set(ids)) == 2
    opening, *rest = call_chunks(0, "convert", "{", '"amount": 42}')
    opening["choices"][0]["delta"] |= {"role": "assistant", "content": None, "refusal": None}
    assert events == [opening, *rest, *call_chunks(1, "today", "{}"), chunk({}, "tool_calls")]


async def test_a_call_behind_text_opens_in_a_chunk_of_its_own(serve: Serve) -> None:
    """The role was told with the text."""
    serve("So. <tool_call>", Fills("today"))
    events = without_head(await events_of({"messages": [USER], "tools": TOOLS}))
    for event in events:
        for call in event["choices"][0]["delta"].get("tool_calls", []):
            call.pop("id", None)
    assert events == [
        chunk({"role": "assistant", "content": "", "refusal": None}),
        chunk({"content": "So."}),
        *call_chunks(0, "today", "{", "}"),
        chunk({}, "tool_calls"),
    ]


def call_chunks(index: int, name: str, *arguments: str) -> list[dict[str, Any]]:
    """The chunks of one call, but for its id."""
    opening = {"index": index, "type": "function", "function": {"name": name, "arguments": ""}}
    rest = [{"index": index, "function": {"arguments": each}} for each in arguments]
    return [chunk({"tool_calls": [each]}) for each in (opening, *rest)]


async def whole_calls_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The choices of a stream whose deltas all have text, and calls whole in the last."""
    choices = [event["choices"][0] for event in await events_of(body)]
    for choice in choices:
        assert isinstance(choice["delta"]["content"], str)
        assert isinstance(choice["delta"]["tool_calls"], list)
    assert not any(choice["delta"]["tool_calls"] for choice in choices[:-1])
    return choices


async def test_calls_leave_a_stream_whole_where_a_client_wants_it(serve: Serve) -> None:
    """All of them in the last delta, for clients that can't put pieces together."""
    serve("So. <tool_call>", Fills("convert", "today"))
    body = {"messages": [USER], "tools": TOOLS, "whole_tool_calls": True}
    choices = await whole_calls_of(body)
    assert "".join(choice["delta"]["content"] for choice in choices) == "So."
    assert choices[0]["delta"]["role"] == "assistant"
    assert choices[-1]["finish_reason"] == "tool_calls"
    calls = choices[-1]["delta"]["tool_calls"]
    assert [(each["index"], each["type"], each["function"]) for each in calls] == [
        (0, "function", {"name": "convert", "arguments": '{"amount": 42}'}),
        (1, "function", {"name": "today", "arguments": "{}"}),
    ]
    assert len({each["id"] for each in calls}) == 2


async def test_a_reply_in_words_has_an_empty_list_of_calls_there(serve: Serve) -> None:
    """In every delta, also in the last."""
    serve("Hello")
    choices = await whole_calls_of({"messages": [USER], "whole_tool_calls": True})
    assert choices[-1]["delta"] == {"content": "", "tool_calls": []}
    assert choices[-1]["finish_reason"] == "stop"


@pytest.mark.parametrize(("said", "whole"), [(None, True), (False, False)])
async def test_who_spells_tools_as_toolbench_gets_calls_whole(
    serve: Serve, said: bool | None, whole: bool
) -> None:
    """Its clients look for them in the last delta; the field has the last word."""
    serve(Fills())
    body = {"messages": [USER], "tools": [TODAY["function"]], "tool_choice": "required"}
    events = await events_of({**body, "whole_tool_calls": said})
    deltas = [event["choices"][0]["delta"] for event in events]
    assert bool(deltas[-1].get("tool_calls")) == whole


async def test_a_function_call_may_leave_whole_too(serve: Serve) -> None:
    """Name and arguments in the last delta."""
    serve(Fills())
    body = {"messages": [USER], "functions": [CONVERT["function"]], "whole_tool_calls": True}
    choices = await whole_calls_of({**body, "function_call": {"name": "convert"}})
    call = {"name": "convert", "arguments": '{"amount": 42}'}
    assert choices[-1]["delta"]["function_call"] == call
    assert choices[-1]["finish_reason"] == "function_call"


async def test_usage_is_streamed_when_asked_for(serve: Serve) -> None:
    """A last chunk without choices; all others have the field as null."""
    serve("Hello")
    body = {"messages": [USER], "stream_options": {"include_usage": True}}
    *chunks, last = await events_of(body)
    assert all(each["usage"] is None for each in chunks)
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 2
    assert last["usage"]["total_tokens"] == last["usage"]["prompt_tokens"] + 2


async def test_usage_is_not_streamed_unasked(serve: Serve) -> None:
    """Some clients take a chunk without choices for broken."""
    serve("Hello")
    events = await events_of({"messages": [USER], "stream_options": None})
    assert all(event["choices"] and "usage" not in event for event in events)


@pytest.mark.parametrize("make", [chatml_model, llama31_model])
@pytest.mark.parametrize(
    ("turns", "options"),
    [
        pytest.param([FOREVER], {}, id="words"),
        pytest.param([""], {}, id="nothing"),
        pytest.param([FOREVER], {"max_tokens": 7}, id="cut words"),
        pytest.param([Fills()], {"tools": TOOLS, "tool_choice": NAMED}, id="named call"),
        pytest.param(
            ['So: {"name": "today", "arguments": ', Fills("today", "convert")],
            {"tools": TOOLS},
            id="words and calls",
        ),
        pytest.param(['{"name": "x"} [{'], {"tools": TOOLS}, id="nearly a call"),
    ],
)
async def test_a_stream_joined_is_the_whole_reply(
    serve: Serve, make: Any, turns: list[Any], options: dict[str, Any]
) -> None:
    """Told by OpenAI's own way of joining a stream."""
    serve(*turns, *turns, make=make)
    request = {"model": "any", "messages": [USER], **options}
    whole = await client().chat.completions.create(**request)
    usage = {"include_usage": True}
    async with client().chat.completions.stream(**request, stream_options=usage) as stream:
        try:
            joined = await stream.get_final_completion()
        except openai.LengthFinishReasonError as error:
            joined = error.completion
    one, other = (_comparable(each) for each in (whole, joined))
    assert one == other


def _comparable(reply: Any) -> dict[str, Any]:
    """A reply without what is new in each, and without what the SDK adds when it joins."""
    choice = reply.choices[0]
    calls = [
        (call.function.name, call.function.arguments) for call in choice.message.tool_calls or ()
    ]
    return {
        "content": choice.message.content or "",
        "calls": calls,
        "reason": choice.finish_reason,
        "usage": reply.usage.model_dump(exclude_none=True),
        "model": reply.model,
    }


async def test_the_sdks_client_reads_a_stream_as_it_comes(serve: Serve) -> None:
    """`create(stream=True)`, the way most programs stream."""
    serve("Hello")
    stream = await client().chat.completions.create(model="x", messages=[USER], stream=True)
    deltas = [each.choices[0].delta async for each in stream]
    assert [delta.content for delta in deltas] == ["", "Hel", "lo", None]
    assert deltas[0].role == "assistant"


# Models


async def test_the_one_model_is_listed_and_retrieved(serve: Serve) -> None:
    """By the name that replies carry."""
    serve()
    listed = [model async for model in client().models.list()]
    assert [(model.id, model.object) for model in listed] == [("scripted", "model")]
    assert await client().models.retrieve("scripted") == listed[0]
    assert listed[0].created > 1_700_000_000
    assert listed[0].model_dump()["max_model_len"] == 200


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


@pytest.mark.parametrize("name", ["gpt-4", "owner/model", "größe"])
async def test_another_model_is_not_found(serve: Serve, name: str) -> None:
    """Names with slashes too."""
    serve()
    with pytest.raises(openai.NotFoundError) as caught:
        await client().models.retrieve(name)
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    assert name in caught.value.message


async def test_any_model_name_is_served_by_the_one_model(serve: Serve) -> None:
    """Clients have one built in; the reply says who answered."""
    serve("Hello")
    reply = await client().chat.completions.create(model="gpt-4o", messages=[USER])
    assert reply.model == "scripted"


# What is read leniently


async def prompt_of(serve: Serve, *messages: dict[str, Any], **options: Any) -> str:
    """The prompt that these messages become."""
    engine = serve("ok")
    response = await post({"messages": messages, **options})
    assert response.status_code == 200, response.text
    return engine.prompts[0].removesuffix("<|im_start|>assistant\n")


@pytest.mark.parametrize(
    ("message", "turn"),
    [
        ({"role": "developer", "content": "Be brief."}, "system\nBe brief."),
        ({"role": "user", "content": None}, "user\n"),
        ({"role": "assistant"}, "assistant\n"),
        (
            {"role": "user", "content": [{"type": "text", "text": t} for t in ("a", "b")]},
            "user\nab",
        ),
        ({"role": "user", "content": ["a", "b"]}, "user\nab"),
        ({"role": "user", "content": {"größe": 1}}, 'user\n{"größe": 1}'),
        ({"role": "user", "name": "tool_1", "content": "131.95"}, "user\n131.95"),
        ({"role": "assistant", "refusal": "No."}, "assistant\nNo."),
        (
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
            "assistant\nNo.",
        ),
        ({"role": "tool", "content": "3"}, "user\n<tool_response>\n3\n</tool_response>"),
        (
            {"role": "function", "name": "convert", "content": "3"},
            "user\n<tool_response>\n3\n</tool_response>",
        ),
        ({"role": "assistant", "content": "Yes", "tool_calls": []}, "assistant\nYes"),
        (
            {
                "role": "assistant",
                "tool_calls": [{"function": {"name": "f", "arguments": {"a": "é"}}}],
            },
            'assistant\n<tool_call>\n{"name": "f", "arguments": {"a": "é"}}\n</tool_call>',
        ),
        (
            {"role": "assistant", "tool_calls": [{"id": 7, "function": {"name": "f"}}]},
            'assistant\n<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>',
        ),
        (
            {"role": "assistant", "tool_calls": [{"name": "f", "arguments": "{}"}]},
            'assistant\n<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>',
        ),
        (
            {
                "role": "assistant",
                "content": "",
                "tool_call": ['{"id": "a", "function": {"name": "f", "arguments": "{}"}}'],
            },
            'assistant\n<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>',
        ),
        (
            {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
            'assistant\n<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>',
        ),
    ],
    ids=str,
)  # fmt: skip
async def test_messages_with_one_sensible_reading_are_read(
    serve: Serve, message: dict[str, Any], turn: str
) -> None:
    """Histories come from many clients."""
    assert await prompt_of(serve, message) == f"<|im_start|>{turn}<|im_end|>\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, ""),
        (131.95, "131.95"),
        (True, "true"),
        ({"größe": 1}, '{"größe": 1}'),
        ([{"temp": 7}, {"type": "sunny"}], '[{"temp": 7}, {"type": "sunny"}]'),
        ([{"text": 7}], '[{"text": 7}]'),
        ([1, None], "[1, null]"),
        ([], "[]"),
        (["a", "b"], "ab"),
        ([{"type": "text", "text": "7 C"}], "7 C"),
    ],
    ids=str,
)
async def test_whatever_a_tool_returned_is_told(serve: Serve, content: Any, told: str) -> None:
    """As JSON, if it is neither text nor parts of text."""
    turn = f"user\n<tool_response>\n{told}\n</tool_response>"
    message = {"role": "tool", "tool_call_id": "a", "content": content}
    assert await prompt_of(serve, message) == f"<|im_start|>{turn}<|im_end|>\n"


async def test_results_without_ids_answer_the_calls_in_order(serve: Serve) -> None:
    """As older clients send them; here in a family that needs to know which answers which."""
    engine = serve("ok", make=llama31_model)
    calls = [
        {"id": "a", "function": {"name": "convert", "arguments": "{}"}},
        {"function": {"name": "today", "arguments": "{}"}},
        {"id": "c", "function": {"name": "last", "arguments": "{}"}},
    ]
    results = [{"role": "tool", "tool_call_id": "c", "content": "third"}]
    results += [{"role": "tool", "content": content} for content in ("first", "second")]
    history = [USER, {"role": "assistant", "tool_calls": calls}, *results]
    assert (await post({"messages": history})).status_code == 200
    told = engine.prompts[0]
    order = ["convert", '"first"', "today", '"second"', "last", '"third"']
    places = [told.index(each) for each in order]
    assert places == sorted(places)


async def test_results_without_ids_find_the_call_of_their_name(serve: Serve) -> None:
    """In any order; one of another name answers the first call that is left."""
    engine = serve("ok", make=llama31_model)
    calls = [{"function": {"name": name, "arguments": "{}"}} for name in ("one", "two", "three")]
    results = [
        {"role": "tool", "name": name, "content": content}
        for name, content in (("two", "second"), ("four", "first"), ("three", "third"))
    ]
    history = [USER, {"role": "assistant", "tool_calls": calls}, *results]
    assert (await post({"messages": history})).status_code == 200
    told = engine.prompts[0]
    places = [told.index(each) for each in ('"first"', '"second"', '"third"')]
    assert places == sorted(places)


@pytest.mark.parametrize("make", [chatml_model, llama31_model])
@pytest.mark.parametrize(
    "arguments",
    ["{", "[1]", "null", "7", "", "}{", '{"a": NaN}', "größe", pytest.param(DEEP, id="deep")],
)
async def test_whatever_arguments_a_history_holds_they_are_shown_to_the_model(
    serve: Serve, make: Any, arguments: str
) -> None:
    """A model wrote them, and the client sends them again with every request."""
    engine = serve("ok", make=make)
    call = {"id": "a", "function": {"name": "f", "arguments": arguments}}
    result = {"role": "tool", "tool_call_id": "a", "content": "no such thing"}
    body = {"messages": [USER, {"role": "assistant", "tool_calls": [call]}, result]}
    response = await post(body)
    assert response.status_code == 200, response.text
    assert '"f"' in engine.prompts[0]
    assert "no such thing" in engine.prompts[0]


@pytest.mark.parametrize("make", [chatml_model, llama31_model])
async def test_results_without_a_call_are_shown_to_the_model(serve: Serve, make: Any) -> None:
    """Of an id that nobody gave, or of none."""
    engine = serve("ok", make=make)
    results = [
        {"role": "tool", "tool_call_id": "x", "content": "first"},
        {"role": "tool", "content": "second"},
        {"role": "function", "name": "f", "content": "third"},
    ]
    assert (await post({"messages": [USER, *results]})).status_code == 200
    places = [engine.prompts[0].index(each) for each in ("first", "second", "third")]
    assert places == sorted(places)


async def test_a_whole_conversation_with_tools_goes_back_and_forth(serve: Serve) -> None:
    """What a reply's message says can be sent back as it is."""
    engine = serve(Fills(), "It is 131.95.")
    first = await client().chat.completions.create(
        model="x", messages=[USER], tools=TOOLS, tool_choice=NAMED
    )
    message = first.choices[0].message
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "131.95"}
    second = await client().chat.completions.create(
        model="x", messages=[USER, message, result], tools=TOOLS
    )
    assert second.choices[0].message.content == "It is 131.95."
    assert '{"name": "convert", "arguments": {"amount": 42}}' in engine.prompts[1]


@pytest.mark.parametrize(
    ("tool", "parameters"),
    [
        ({"type": "function", "function": {"name": "wetter_größe"}}, {}),
        ({"type": "function", "function": {"name": "天气", "parameters": {}}}, {}),
        ({"function": {"name": "f", "parameters": None}}, {}),
        ({"type": "function", "name": "f", "parameters": {"properties": {}}}, {}),
        (
            {
                "name": "f",
                "parameters": {
                    "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                    "required": ["a"],
                    "optional": ["a", "b"],
                },
            },
            {"a": ""},
        ),
    ],
    ids=str,
)
async def test_tools_are_read_in_every_spelling(
    serve: Serve, tool: dict[str, Any], parameters: dict[str, Any]
) -> None:
    """Wrapped or flat, with parameters or without; what is required is said by `required`."""
    engine = serve(Fills())
    body = {"messages": [USER], "tools": [tool], "tool_choice": "required"}
    body["parallel_tool_calls"] = False
    response = await post(body)
    assert response.status_code == 200, response.text
    (call,) = response.json()["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == tool.get("function", tool)["name"]
    assert json.loads(call["function"]["arguments"]) == parameters
    assert f'"name": "{call["function"]["name"]}"' in engine.prompts[0]
    assert '"optional"' not in engine.prompts[0]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, None),
        ({"model": "x", "temperature": 0, "audio": None, "reasoning_effort": "none"}, None),
        ({"modalities": ["text"], "foo": None}, None),
        (
            {"mirostat": 2, "user": "me", "store": True, "metadata": {}},
            "mirostat, user, store, metadata",
        ),
        (
            {
                "verbosity": "low",
                "prediction": {},
                "service_tier": "flex",
                "web_search_options": {},
            },
            "verbosity, prediction, service_tier, web_search_options",
        ),
        ({"a\r\nX-Forged: größe": 1}, r"a\r\nX-Forged: gr\u00f6\u00dfe"),
    ],
    ids=str,
)
async def test_what_a_reply_need_not_show_is_ignored_and_named(
    serve: Serve, options: dict[str, Any], told: str | None
) -> None:
    """Clients of other servers send many parameters; those that ask for nothing are no matter."""
    serve("ok", "ok")
    for stream in (False, True):
        response = await post({"messages": [USER], "stream": stream, **options})
        assert response.status_code == 200
        assert response.headers.get("x-ignored-parameters") == told


@pytest.mark.parametrize(
    "harmless",
    [
        {"n": 1},
        {"logprobs": False},
        {"top_logprobs": 0},
        {"logit_bias": {}},
        {"response_format": {"type": "text"}},
        {"modalities": ["text"]},
        {"reasoning_effort": "none"},
        {"functions": [], "function_call": "none"},
        {"functions": [], "function_call": "auto"},
        {"functions": [], "tools": [TODAY], "tool_choice": "none"},
        {"audio": None, "n": None, "response_format": None},
        {"temperature": None, "stop": None, "tools": None, "tool_choice": None, "stream": None},
        {"tools": [], "tool_choice": "auto"},
        {"tools": [], "parallel_tool_calls": False, "response_format": {"type": "text"}},
        {"whole_tool_calls": False, "tool_format": None},
        {"tool_choice": "none"},
    ],
    ids=str,
)
async def test_parameters_that_ask_for_nothing_are_taken(
    serve: Serve, harmless: dict[str, Any]
) -> None:
    """Clients send defaults along."""
    serve("ok")
    assert (await post({"messages": [USER], **harmless})).status_code == 200


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        ({}, "temperature", 1.0),
        ({}, "top_p", 1.0),
        ({}, "max_tokens", None),
        ({}, "seed", None),
        ({}, "stop", ()),
        ({"temperature": 0}, "temperature", 0.0),
        ({"temperature": 2}, "temperature", 2.0),
        ({"top_p": 0.1}, "top_p", 0.1),
        ({}, "frequency_penalty", 0.0),
        ({"frequency_penalty": -2}, "frequency_penalty", -2.0),
        ({}, "presence_penalty", 0.0),
        ({"presence_penalty": 2}, "presence_penalty", 2.0),
        ({}, "repetition_penalty", 1.0),
        ({"repetition_penalty": 1.1}, "repetition_penalty", 1.1),
        ({}, "top_k", 0),
        ({"top_k": 40}, "top_k", 40),
        ({"top_k": -1}, "top_k", 0),
        ({}, "min_p", 0.0),
        ({"min_p": 0.05}, "min_p", 0.05),
        ({"max_tokens": 5}, "max_tokens", 5),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens", 6),
        ({"seed": 0}, "seed", 0),
        ({"seed": -1}, "seed", -1),
        ({"stop": "END"}, "stop", ("END",)),
        ({"stop": ["a", "", "b"]}, "stop", ("a", "b")),
        ({"stop": ""}, "stop", ()),
        ({}, "logprobs", None),
        ({"logprobs": True}, "logprobs", 0),
        ({"logprobs": True, "top_logprobs": 20}, "logprobs", 20),
        ({}, "logit_bias", ()),
        ({"logit_bias": {"5": -100, "7": 1.5}}, "logit_bias", ((5, -100.0), (7, 1.5))),
    ],
    ids=str,
)
async def test_sampling_parameters_reach_the_engine(
    serve: Serve, options: dict[str, Any], field: str, value: object
) -> None:
    """With OpenAI's defaults where nothing is said."""
    engine = serve("ok")
    await post({"messages": [USER], **options})
    assert getattr(engine.samplings[0], field) == value


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("required", ["convert", "today"]),
        (NAMED, ["convert"]),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED]}},
            ["convert"],
        ),
    ],
    ids=str,
)
async def test_a_forced_choice_constrains_the_engine(
    serve: Serve, choice: Any, names: list[str]
) -> None:
    """To the tools that may be called."""
    engine = serve(Fills())
    response = await post({"messages": [USER], "tools": TOOLS, "tool_choice": choice})
    assert response.json()["choices"][0]["finish_reason"] == "tool_calls"
    assert len(first_calls(engine.samplings[0])) == len(names)


async def test_allowed_tools_may_leave_the_model_free(serve: Serve) -> None:
    """Mode auto with some of the tools: a call of another is content."""
    text = '{"name": "today", "arguments": {}}'
    allowed = {"mode": "auto", "tools": [NAMED]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    serve(text)
    reply = await client().chat.completions.create(
        model="x", messages=[USER], tools=TOOLS, tool_choice=choice
    )
    assert reply.choices[0].message.content == text


async def test_a_tool_that_is_allowed_twice_is_allowed_once(serve: Serve) -> None:
    """The engine is given one alternative."""
    engine = serve(Fills())
    choice = allowed_tools("required", [NAMED, NAMED])
    body = {"messages": [USER], "tools": TOOLS, "tool_choice": choice}
    assert (await post(body)).status_code == 200
    assert len(first_calls(engine.samplings[0])) == 1


@pytest.mark.parametrize("choice", [NAMED, "required"], ids=["named", "required"])
async def test_a_forced_call_is_a_reason_of_its_own(serve: Serve, choice: Any) -> None:
    """Agents take "tool_calls" for the sign that there is something to call; a named one too."""
    serve(Fills("convert"))
    body = {"messages": [USER], "tools": TOOLS, "tool_choice": choice}
    assert (await post(body)).json()["choices"][0]["finish_reason"] == "tool_calls"
    serve(Fills("convert"))
    assert (await events_of(body))[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_a_request_may_name_the_format_of_its_calls(serve: Serve) -> None:
    """For this request alone; an unknown name is refused."""
    engine = serve(Fills(), Fills())
    body = {"messages": [USER], "tools": [TODAY], "tool_choice": "required"}
    for told in ({"tool_format": "react_en"}, {}):
        response = await post({**body, **told})
        assert response.json()["choices"][0]["finish_reason"] == "tool_calls"
    assert engine.prompts[0].endswith("Action: today\nAction Input:")
    assert "Action" not in engine.prompts[-1]
    status, error = await error_of({**body, "tool_format": "smoke"})
    assert (status, error["param"]) == (400, "tool_format")
    assert "tool_format='smoke': wanted one of" in error["message"]


# What can't be enforced


def with_keyword(name: str, keyword: str, **options: Any) -> dict[str, Any]:
    """A tool with a property of this name that holds what can't be enforced."""
    schema = {"type": "object", "properties": {name: {"type": "integer", keyword: {"const": 13}}}}
    return {"type": "function", "function": {"name": "f", "parameters": schema, **options}}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_header_names_what_can_not_be_enforced(serve: Serve, stream: bool) -> None:
    """A reply may then hold what the schema forbids, which is the caller's to check."""
    serve("Hello", "Hello")
    body = {"messages": [USER], "tools": [with_keyword("number", "not")], "stream": stream}
    assert (await post(body)).headers["x-unenforced-keywords"] == "f: number: not"
    response = await post({**body, "tools": TOOLS})
    assert "x-unenforced-keywords" not in response.headers


async def test_tools_that_may_not_be_called_are_no_matter(serve: Serve) -> None:
    """Nothing is enforced there, and nothing promised."""
    serve("Hello")
    tools = [with_keyword("number", "not")]
    response = await post({"messages": [USER], "tools": tools, "tool_choice": "none"})
    assert "x-unenforced-keywords" not in response.headers


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("größe, netto", r"gr\u00f6\u00dfe\u002c netto"),
        ("a\r\nSet-Cookie: x", r"a\r\nSet-Cookie: x"),
        ("\x7f", r"\u007f"),
        ("x" * 5000, "x" * (4000 - len("f: ") - len("...")) + "..."),
    ],
    ids=["unicode", "lines", "delete", "long"],
)
async def test_that_header_is_plain_text_whatever_a_name_holds(
    serve: Serve, name: str, told: str
) -> None:
    """Names come from outside, and a header's line ends with its line."""
    serve("Hello")
    response = await post({"messages": [USER], "tools": [with_keyword(name, "not")]})
    assert response.headers["x-unenforced-keywords"].removesuffix(": not") == f"f: {told}"


async def test_a_strict_tool_that_can_not_be_enforced_is_refused(serve: Serve) -> None:
    """`strict` asks for a promise."""
    serve()
    tools = [with_keyword("number", "not", strict=True)]
    status, error = await error_of({"messages": [USER], "tools": tools})
    assert (status, error["param"]) == (400, "tools")
    assert "number: not" in error["message"]


async def test_parallel_calls_can_be_switched_off(serve: Serve) -> None:
    """The reply ends with its first call."""
    engine = serve(Fills("today"))
    response = await post(
        {
            "messages": [USER],
            "tools": TOOLS,
            "tool_choice": "required",
            "parallel_tool_calls": False,
        }
    )
    assert len(response.json()["choices"][0]["message"]["tool_calls"]) == 1
    assert len(engine.prompts) == 1


# What is refused


def with_tool(**function: Any) -> dict[str, Any]:
    """A body that offers one function."""
    return {"messages": [USER], "tools": [{"type": "function", "function": function}]}


def with_choice(choice: Any, tools: Any = TOOLS) -> dict[str, Any]:
    """A body with a tool_choice."""
    return {"messages": [USER], "tools": tools, "tool_choice": choice}


def allowed_tools(mode: Any, tools: Any) -> dict[str, Any]:
    """OpenAI's `allowed_tools`."""
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


def with_call(call: Any) -> dict[str, Any]:
    """A body whose history has this call."""
    return {"messages": [USER, {"role": "assistant", "tool_calls": [call]}]}


@pytest.mark.parametrize(
    ("body", "param", "told"),
    [
        # The body
        (b"", None, "The body is not JSON"),
        (b"{", None, "The body is not JSON"),
        (b"\xff", None, "The body is not JSON"),
        (b"[" * 100_000, None, "The body is not JSON: recursion limit exceeded"),
        (rb'{"messages": [{"role": "user", "content": "\ud800"}]}', None, "hex escape"),
        ([1], None, "The body is [1]; wanted a JSON object."),
        ("x", None, 'The body is "x"; wanted a JSON object.'),
        # Parameters
        ({}, "messages", "messages is missing."),
        ({"messages": []}, "messages", "messages=[]: List should have at least 1 item"),
        ({"messages": [USER] * 4097}, "messages", "at most 4096 items after validation, not 4097"),
        ({"messages": "Hi"}, "messages", 'messages="Hi": Input should be a valid list'),
        ({"messages": ["Hi"]}, "messages", 'messages[0]="Hi": wanted an object.'),
        ({"messages": [USER], "temperature": 2.1}, "temperature", "less than or equal to 2"),
        ({"messages": [USER], "temperature": -1}, "temperature", "temperature=-1"),
        ({"messages": [USER], "temperature": "hot"}, "temperature", 'temperature="hot"'),
        ({"messages": [USER], "top_p": 0}, "top_p", "top_p=0: Input should be greater than 0"),
        ({"messages": [USER], "top_p": 1.1}, "top_p", "top_p=1.1"),
        *(
            ({"messages": [USER], name: value}, name, f"{name}={value}: Input should be {wanted}")
            for name, value, wanted in (
                ("frequency_penalty", 2.5, "less than or equal to 2"),
                ("presence_penalty", -2.5, "greater than or equal to -2"),
                ("repetition_penalty", 0, "greater than 0"),
                ("repetition_penalty", 2.1, "less than or equal to 2"),
                ("top_k", -2, "greater than or equal to -1"),
                ("top_k", 0.5, "a valid integer"),
                ("min_p", 1.5, "less than or equal to 1"),
            )
        ),
        ({"messages": [USER], "max_tokens": 0}, "max_tokens", "max_tokens=0"),
        ({"messages": [USER], "max_completion_tokens": -1}, "max_completion_tokens", "=-1"),
        ({"messages": [USER], "max_tokens": 1.5}, "max_tokens", "max_tokens=1.5"),
        ({"messages": [USER], "seed": "x"}, "seed", 'seed="x"'),
        ({"messages": [USER], "stop": list("abcde")}, "stop", "at most 4 items"),
        ({"messages": [USER], "stop": 3}, "stop", "stop=3"),
        ({"messages": [USER], "stream": "maybe"}, "stream", 'stream="maybe"'),
        ({"messages": [USER], "stream_options": 1}, "stream_options", "stream_options=1"),
        ({"messages": [USER], "parallel_tool_calls": "x"}, "parallel_tool_calls", '="x"'),
        ({"messages": [USER], "n": 0}, "n", "n=0: Input should be greater than or equal to 1"),
        ({"messages": [USER], "n": 17}, "n", "n=17: Input should be less than or equal to 16"),
        ({"messages": [USER], "logprobs": 3}, "logprobs", "logprobs=3"),
        ({"messages": [USER], "logprobs": True, "top_logprobs": 21}, "top_logprobs", "=21"),
        ({"messages": [USER], "top_logprobs": 2}, "top_logprobs", "wanted logprobs=true with it"),
        ({"messages": [USER], "logit_bias": {"x": 1}}, "logit_bias", 'logit_bias="x"'),
        ({"messages": [USER], "logit_bias": {"-1": 1}}, "logit_bias", "greater than or equal to 0"),
        ({"messages": [USER], "logit_bias": {str(2**31): 1}}, "logit_bias", "less than 2147483648"),
        ({"messages": [USER], "logit_bias": {"1": 101}}, "logit_bias", "logit_bias=101"),
        (
            {"messages": [USER], "logit_bias": {str(token): 1 for token in range(301)}},
            "logit_bias",
            "at most 300 items",
        ),
        ({"messages": [USER], "whole_tool_calls": "x"}, "whole_tool_calls", '="x"'),
        ({"messages": [USER], "tool_format": 1}, "tool_format", "tool_format=1"),
        # Tools
        ({"messages": [USER], "tools": {}}, "tools", "tools={}: Input should be a valid list"),
        ({"messages": [USER], "tools": [TODAY, "f"]}, "tools", 'tools[1]="f": wanted an object.'),
        ({"messages": [USER], "tools": [{}]}, "tools", "tools[0]: {}: wanted"),
        ({"messages": [USER], "tools": [{"type": "custom", "function": {}}]}, "tools", "custom"),
        ({"messages": [USER], "tools": [TODAY] * 2}, "tools", "[1]: 'today' is offered twice."),
        (with_tool(), "tools", "tools[0].function.name=null"),
        (with_tool(name=""), "tools", 'tools[0].function.name=""'),
        (with_tool(name='a"b'), "tools", "tools[0].function.name="),
        (with_tool(name="a\nb"), "tools", "wanted a name without quotes and controls"),
        (with_tool(name="f", parameters=[1]), "tools", "tools[0].function.parameters=[1]"),
        (with_tool(name="f", parameters={"type": "array"}), "tools", "Schema of an object."),
        (
            with_tool(name="f", parameters={"properties": {"a": {"type": "float"}}}),
            "tools",
            "Tool f: The JSON Schema can't be enforced: they are no JSON Schema: a: type=",
        ),
        (with_tool(name="f", parameters={"properties": 1}), "tools", "arguments: properties=1"),
        (with_tool(name="f", strict="yes"), "tools", 'tools[0].function.strict="yes"'),
        ({"messages": [USER], "tools": [{"name": 3}]}, "tools", "tools[0].name=3: wanted a name"),
        ({"messages": [USER], "tools": [{"type": "custom", "name": "f"}]}, "tools", "wanted"),
        (
            {"messages": [USER], "tools": [{"name": "f", "parameters": [1]}]},
            "tools",
            "tools[0].parameters=[1]: wanted a JSON Schema",
        ),
        # tool_choice
        (with_choice("any"), "tool_choice", "tool_choice=\"any\": wanted 'none', 'auto'"),
        (with_choice(3), "tool_choice", "tool_choice=3"),
        (with_choice("required", []), "tool_choice", "tool_choice='required' needs tools."),
        (with_choice({}), "tool_choice", "tool_choice={}: wanted"),
        (with_choice({"function": {"name": "convert"}}), "tool_choice", "wanted"),
        (with_choice({"type": "function", "function": "f"}), "tool_choice", "wanted"),
        (with_choice({"type": "function", "function": {}}), "tool_choice", "wanted"),
        (with_choice({"type": "function", "function": {"name": "x"}}), "tool_choice", 'names "x"'),
        (with_choice(NAMED, []), "tool_choice", "not among the tools: none are given"),
        (with_choice(NAMED, [TODAY]), "tool_choice", "not among the tools: today"),
        (with_choice({"type": "allowed_tools"}), "tool_choice", "wanted"),
        (with_choice(allowed_tools("none", [NAMED])), "tool_choice", "wanted"),
        (with_choice(allowed_tools([], [NAMED])), "tool_choice", "wanted"),
        (with_choice(allowed_tools("auto", [])), "tool_choice", "wanted"),
        (with_choice(allowed_tools("auto", 1)), "tool_choice", "wanted"),
        (with_choice(allowed_tools("auto", [TODAY]), [CONVERT]), "tool_choice", 'names "today"'),
        # Messages
        ({"messages": [{}]}, "messages", "messages[0].role=null: wanted one of system,"),
        ({"messages": [USER, {"role": "robot"}]}, "messages", 'messages[1].role="robot"'),
        ({"messages": [{"role": ["user"]}]}, "messages", 'messages[0].role=["user"]'),
        ({"messages": [{"role": "user", "content": 3}]}, "messages", "messages[0].content=3"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages",
            "wanted text, or parts of type text",
        ),
        (
            {"messages": [USER, {"role": "tool", "content": [{"type": "image_url"}]}]},
            "messages",
            'messages[1].content=[{"type": "image_url"}]: wanted text, or parts of type text.',
        ),
        ({"messages": [{"role": "assistant", "tool_calls": "f"}]}, "messages", "wanted a list"),
        (with_call("f"), "messages", 'messages[1].tool_calls[0]="f": wanted a function'),
        (with_call({"id": "a"}), "messages", "wanted a function with a name"),
        (with_call({"function": {"name": 3}}), "messages", "wanted a function with a name"),
        (with_call('{"function": '), "messages", "wanted a function with a name"),
        (
            {"messages": [{"role": "assistant", "tool_call": "f"}]},
            "messages",
            'messages[0].tool_call="f": wanted a list.',
        ),
        (
            {"messages": [{"role": "assistant", "function_call": "f"}]},
            "messages",
            'messages[0].function_call[0]="f": wanted a function with a name.',
        ),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
async def test_a_wrong_request_is_refused_by_what_is_wrong(
    serve: Serve, body: Any, param: str | None, told: str
) -> None:
    """A 400 in OpenAI's shape that names the parameter, its value and what was wanted."""
    serve()
    status, error = await error_of(body)
    assert status == 400
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert told in error["message"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("audio", {"voice": "x"}),
        ("modalities", ["audio"]),
        ("moderation", {"model": "x"}),
        ("reasoning_effort", "low"),
    ],
)
async def test_a_parameter_that_is_not_supported_is_refused_by_name(
    serve: Serve, name: str, value: Any
) -> None:
    """A client that sends it counts on it."""
    serve()
    status, error = await error_of({"messages": [USER], name: value})
    assert (status, error["param"], error["code"]) == (400, name, "unsupported_parameter")
    assert error["message"] == f"{name}={json.dumps(value)}: this parameter is not supported."


@pytest.mark.parametrize(
    ("path", "of"),
    [
        ("/chat/completions", lambda text: {"messages": [{"role": "user", "content": text}]}),
        ("/completions", lambda text: {"prompt": text}),
    ],
)
async def test_a_prompt_that_can_not_fit_is_refused_before_it_waits(
    serve: Serve, path: str, of: Any
) -> None:
    """By its characters, whatever its tokens are; the scripted context holds 200."""
    engine = serve("ok")
    status, error = await error_of(of(" " * (200 * CHARACTERS_OF_A_TOKEN + 1)), path)
    assert (status, error["code"]) == (400, "context_length_exceeded")
    assert error["param"] in of("")
    assert engine.prompts == []
    assert (await post(of(" " * 200 * (CHARACTERS_OF_A_TOKEN - 1)), path)).status_code == 200


async def test_the_sdk_raises_its_own_errors(serve: Serve) -> None:
    """A program catches what it would catch with OpenAI."""
    serve()
    with pytest.raises(openai.BadRequestError) as caught:
        await client().chat.completions.create(model="x", messages=[USER], reasoning_effort="low")
    assert (caught.value.param, caught.value.code) == ("reasoning_effort", "unsupported_parameter")


async def test_a_body_too_large_is_refused_while_it_comes(serve: Serve) -> None:
    """It is not even read to its end."""
    serve()
    status, error = await error_of(b" " * (MOST_BYTES + 1))
    assert (status, error["type"]) == (413, "invalid_request_error")
    assert str(MOST_BYTES) in error["message"]


async def test_a_body_as_large_as_may_be_is_read(serve: Serve) -> None:
    """The limit itself is good."""
    serve("ok")
    body = json.dumps({"messages": [USER]}).encode()
    assert (await post(body + b" " * (MOST_BYTES - len(body)))).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("GET", "/chat/completions", 405), ("POST", "/models", 405)],
)
async def test_a_wrong_address_is_an_error_in_openais_shape(
    serve: Serve, method: str, path: str, status: int
) -> None:
    """It names what was asked for."""
    serve()
    async with http() as plain:
        response = await plain.request(method, path)
    assert response.status_code == status
    assert response.json()["error"]["message"].startswith(f"{method} {path}: ")


# What goes wrong in the server


@pytest.mark.parametrize("stream", [False, True])
async def test_an_engine_that_refuses_is_an_error_with_its_status(
    serve: Serve, stream: bool
) -> None:
    """Before the first event a stream is no stream yet."""
    serve(Fails(RequestError("Too long.", param="messages", code="context_length_exceeded")))
    status, error = await error_of({"messages": [USER], "stream": stream})
    assert (status, error["code"]) == (400, "context_length_exceeded")
    serve(Fails(EngineError("It broke.")))
    status, error = await error_of({"messages": [USER], "stream": stream})
    assert (status, error["message"], error["type"]) == (500, "It broke.", "server_error")


@pytest.mark.parametrize("stream", [False, True])
async def test_who_is_turned_away_is_told_when_to_come_again(serve: Serve, stream: bool) -> None:
    """A header that clients wait by; others have none."""
    busy = EngineError("Busy.", code="engine_overloaded", status=503, retry_after=5)
    serve(Fails(busy))
    response = await post({"messages": [USER], "stream": stream})
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert response.json()["error"]["code"] == "engine_overloaded"
    serve(Fails(EngineError("It broke.")))
    assert "retry-after" not in (await post({"messages": [USER], "stream": stream})).headers


async def test_a_reply_that_has_begun_is_said_to_be_so(serve: Serve) -> None:
    """Its calls go on where others are turned away."""
    engine = serve("One moment. <tool_call>", Fills("today"))
    await client().chat.completions.create(model="any", messages=[USER], tools=TOOLS)
    assert [sampling.begun for sampling in engine.samplings] == [False, True]


async def test_an_engine_that_fails_in_mid_stream_ends_it_with_the_error(serve: Serve) -> None:
    """An event that OpenAI's client raises, then [DONE]."""
    serve(Fails(EngineError("It broke."), "Hello"))
    events = await events_of({"messages": [USER]})
    assert events[-1] == EngineError("It broke.").body()
    assert [event["choices"][0]["delta"].get("content") for event in events[:-1]] == [
        "",
        "Hel",
        "lo",
    ]
    serve(Fails(EngineError("It broke."), "Hello"))
    stream = await client().chat.completions.create(model="x", messages=[USER], stream=True)
    with pytest.raises(openai.APIError, match=r"It broke\."):
        [each async for each in stream]


@pytest.mark.parametrize("text", ["", "Hello"])
@pytest.mark.parametrize("stream", [False, True])
async def test_what_was_not_foreseen_tells_the_log_and_not_the_caller(
    serve: Serve, caplog: pytest.LogCaptureFixture, stream: bool, text: str
) -> None:
    """A 500, or an event in the stream, in OpenAI's shape and without a traceback."""
    serve(Fails(ZeroDivisionError("secret"), text))
    response = await post({"messages": [USER], "stream": stream})
    assert response.status_code == (200 if stream and text else 500)
    assert "The server failed; its log says why." in response.text
    assert "secret" not in response.text
    assert "Traceback" not in response.text
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.exc_info[0] for record in logged if record.exc_info] == [ZeroDivisionError]


@pytest.mark.parametrize("path", ["/models", "/models/x"])
async def test_without_a_model_the_models_are_not_there_yet(serve: Serve, path: str) -> None:
    """503 tells a client to come again."""
    openai_api_app.state.chat_model = None
    async with http() as plain:
        response = await plain.get(path)
    assert response.status_code == 503
    assert response.json()["error"]["message"] == "The model is not loaded yet."


async def test_without_a_model_there_is_no_reply_yet(serve: Serve) -> None:
    """Also when no model was ever set."""
    openai_api_app.state.chat_model = None
    del openai_api_app.state.chat_model
    status, error = await error_of({"messages": [USER]})
    assert (status, error["type"]) == (503, "server_error")


# Clients that go away


async def abandoned(
    body: dict[str, Any],
    gone: asyncio.Event,
    sent: list[Any],
    *,
    uploads: bool = True,
    breaks_after: int | None = None,
    stuck_after: int | None = None,
) -> None:
    """One request as a server hands it to the app, whose client leaves when `gone` is set.

    Without `uploads` it leaves before its body has come. `breaks_after` so many messages sending
    raises an OSError, the newer way to tell; `stuck_after` so many sending takes until it leaves.
    """
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3" if breaks_after is None else "2.4"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/chat/completions",
        "query_string": b"",
        "headers": [],
        "state": {},
    }
    content = json.dumps(body).encode()
    requests = [{"type": "http.request", "body": content, "more_body": not uploads}]

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


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("turns", [[Hangs()], ["<tool_call>", Hangs('today", ')]])
async def test_a_client_that_leaves_while_it_waits_stops_the_engine(
    serve: Serve, stream: bool, turns: list[Any]
) -> None:
    """In text and in a call, before anything was sent."""
    engine, gone, sent = serve(*turns), asyncio.Event(), []
    body = {"messages": [USER], "tools": TOOLS, "stream": stream}
    request = asyncio.create_task(abandoned(body, gone, sent))
    await engine.hanging.wait()
    assert await engine.busy() == 1
    gone.set()
    await request
    assert await engine.busy() == 0
    assert engine.aborted == len(turns)
    assert [message["status"] for message in sent if "status" in message] == [499]


@pytest.mark.parametrize("turns", [[Hangs("Hello")], ["Hello <tool_call>", Hangs('today", ')]])
async def test_a_client_that_leaves_in_mid_stream_stops_the_engine(
    serve: Serve, turns: list[Any]
) -> None:
    """What was sent was sent."""
    engine, gone, sent = serve(*turns), asyncio.Event(), []
    body = {"messages": [USER], "tools": TOOLS, "stream": True}
    request = asyncio.create_task(abandoned(body, gone, sent))
    await engine.hanging.wait()
    gone.set()
    await request
    assert await engine.busy() == 0
    assert engine.aborted == len(turns)
    assert b'"content":"Hel"' in b"".join(message.get("body", b"") for message in sent)
    assert b"[DONE]" not in b"".join(message.get("body", b"") for message in sent)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_stops_every_reply(serve: Serve, stream: bool) -> None:
    """Of the several that it asked for."""
    engine, gone = serve(*[Hangs("Hello")] * 3), asyncio.Event()
    body = {"messages": [USER], "n": 3, "stream": stream}
    request = asyncio.create_task(abandoned(body, gone, []))
    await engine.hanging.wait()
    assert await engine.busy() == 3
    gone.set()
    await request
    assert await engine.busy() == 0
    assert engine.aborted == 3


async def test_a_line_that_breaks_in_mid_stream_stops_the_engine(serve: Serve) -> None:
    """The other way in which servers tell that the client has gone."""
    engine, sent = serve(FOREVER), []
    body = {"messages": [USER], "stream": True}
    await abandoned(body, asyncio.Event(), sent, breaks_after=4)
    assert len(sent) == 4
    assert await engine.busy() == 0
    assert engine.aborted == 1


@pytest.mark.parametrize("messages", [0, 1, 4])
async def test_a_client_that_leaves_while_it_is_being_sent_to_stops_the_engine(
    serve: Serve, messages: int
) -> None:
    """A slow client holds up the sending, of the head or of a chunk, and then goes away."""
    engine, gone, sent = serve(FOREVER), asyncio.Event(), []
    body = {"messages": [USER], "stream": True}
    await abandoned(body, gone, sent, stuck_after=messages)
    assert len(sent) == messages
    assert await engine.busy() == 0
    assert engine.aborted == 1


async def test_a_client_that_leaves_while_it_sends_is_no_failure_of_ours(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is generated, and nothing is logged as an error."""
    engine, gone, sent = serve(), asyncio.Event(), []
    gone.set()
    await abandoned({}, gone, sent, uploads=False)
    assert engine.prompts == []
    assert sent[0]["status"] == 499
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_requests_run_side_by_side(serve: Serve) -> None:
    """A reply that hangs holds up no other."""
    engine, gone = serve(Hangs(), "Hello"), asyncio.Event()
    waiting = asyncio.create_task(abandoned({"messages": [USER]}, gone, []))
    await engine.hanging.wait()
    reply = await client().chat.completions.create(model="x", messages=[USER])
    assert reply.choices[0].message.content == "Hello"
    gone.set()
    await waiting
