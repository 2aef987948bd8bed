"""`/v1/messages` is Anthropic's API to Anthropic's own client."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import Message
from generations import smollm2
from jsonschema import Draft202012Validator
from scripted_engine import OPENING, Fails, Fills, qwen3_model
from starlette.applications import Starlette
from starlette.routing import Mount
from v1_client import AMOUNT, Serve, serving
from walking_engine import walking_model

from benchmarks.forced_requests import Request, requests
from function_calling.api.anthropic_request import MOST_STOPS, CountRequest, MessagesRequest
from function_calling.api.request import MOST_MESSAGES, ApiRequest
from function_calling.engines import LoadedModel
from function_calling.engines.llamacpp import LlamaCpp
from function_calling.errors import EngineError
from function_calling.formats import HERMES
from function_calling.model.chat_model import CHARACTERS_OF_A_TOKEN, ChatModel
from openai_endpoints import openai_api_app

serve = pytest.fixture(serving)
MESSAGES, COUNT = "/v1/messages", "/v1/messages/count_tokens"
USER = {"role": "user", "content": "42 USD?"}
CONVERT = {"name": "convert", "description": "Converts.", "input_schema": AMOUNT}
TODAY = {"name": "today", "input_schema": {"type": "object"}}
TOOLS = [CONVERT, TODAY]
TIME = {
    "text": {"type": "string", "maxLength": 30},
    "hour": {"type": "integer", "minimum": 0, "maximum": 23},
    "days": {"type": "array", "items": {"enum": ["Monday", "Sunday"]}, "maxItems": 2},
}
REMIND = {
    "name": "remind",
    "description": "Set a reminder.",
    "input_schema": {"type": "object", "properties": TIME, "required": list(TIME)},
}
ASKED = {"model": "claude-opus-5-5", "max_tokens": 100, "messages": [USER]}
CALL = '<tool_call>\n{"name": "convert", "arguments":'
CALLED = {"type": "tool_use", "name": "convert", "input": {"amount": 42}}
SAID = {"type": "text", "text": "Hello there"}
THINKING = {"type": "thinking", "thinking": "Hm.", "signature": ""}
BROKE = EngineError("It broke.")


def http() -> httpx2.AsyncClient:
    """A plain client of `/v1` in this process."""
    app = Starlette(routes=[Mount("/v1", openai_api_app)])
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://llama")


def client() -> AsyncAnthropic:
    """Anthropic's client of the same."""
    return AsyncAnthropic(
        base_url="http://llama", api_key="none", max_retries=0, http_client=http()
    )


async def post(body: Any, path: str = MESSAGES) -> httpx2.Response:
    """The response to a body, JSON or not."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with http() as plain:
        return await plain.post(path, content=content)


async def events_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a stream, each with its name."""
    response = await post({**body, "stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    *events, rest = response.text.split("\n\n")
    assert rest == ""
    told = []
    for event in events:
        name, data = event.split("\n")
        told.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {told[-1]['type']}"
    return told


async def error_of(body: Any, path: str = MESSAGES) -> tuple[int, str, str]:
    """Status, type and message of a refusal."""
    response = await post(body, path)
    error = response.json()
    assert set(error) == {"type", "error", "request_id"}
    assert error["type"] == "error"
    assert error["request_id"] == response.headers["request-id"]
    return response.status_code, error["error"]["type"], error["error"]["message"]


def without_ids(message: Message) -> dict[str, Any]:
    """A message but for what is new each time."""
    told = message.model_dump(exclude_none=True)
    assert str(told.pop("id")).startswith("msg_")
    for block in message.content:
        assert block.type != "tool_use" or block.id.startswith("toolu_")
    blocks = [{k: v for k, v in each.items() if k != "id"} for each in told["content"]]
    return {**told, "content": blocks}


# Replies


@pytest.mark.parametrize(
    ("turns", "options", "content", "reason"),
    [
        (["Hello there"], {}, [SAID], "end_turn"),
        ([""], {}, [], "end_turn"),
        ([Fills("convert")], {"tool_choice": {"type": "any"}}, [CALLED], "tool_use"),
        (
            [Fills("convert", "today")],
            {"tool_choice": {"type": "any"}},
            [CALLED, {"type": "tool_use", "name": "today", "input": {}}],
            "tool_use",
        ),
        (["Hello there" + CALL, Fills("convert")], {}, [SAID, CALLED], "tool_use"),
        (["Hello there, you"], {"max_tokens": 4}, [{**SAID, "text": "Hello there,"}], "max_tokens"),
        (
            ["Hello there, you"],
            {"stop_sequences": ["you", ", "]},
            [SAID],
            "stop_sequence",
        ),
        (["<think>\nHm.</think>", "Hello there"], {}, [THINKING, SAID], "end_turn"),
        (
            ["<think>\nHm.</think>", CALL, Fills("convert")],
            {},
            [THINKING, CALLED],
            "tool_use",
        ),
        (["<think>\nHm. Hm."], {"max_tokens": 4}, [THINKING], "max_tokens"),
    ],
    ids=[
        *("text", "silence", "call", "calls", "text and call", "cut", "stopped"),
        *("thought", "thought and call", "cut thought"),
    ],
)
async def test_a_stream_joins_to_the_whole_message(
    serve: Serve, turns: list[Any], options: dict[str, Any], content: list[Any], reason: str
) -> None:
    """By the SDK, which also checks the types."""
    thinks = str(turns[0]).startswith("<think>")
    engine = serve(*turns, *turns, **({"make": qwen3_model} if thinks else {}))
    body: Any = {**ASKED, "tools": TOOLS, **options}
    async with client() as sdk:
        whole = await sdk.messages.create(**body)
        async with sdk.messages.stream(**body) as stream:
            streamed = await stream.get_final_message()
    Message.model_validate(whole.to_dict())
    told = without_ids(whole)
    assert without_ids(streamed) == told
    assert (told["type"], told["role"], told["model"]) == ("message", "assistant", "scripted")
    assert (told["content"], told["stop_reason"]) == (content, reason)
    assert told.get("stop_sequence") == (", " if reason == "stop_sequence" else None)
    usage = told["usage"]
    assert usage["output_tokens"] > 0 or not content
    assert ("output_tokens_details" in usage) == thinks
    assert usage["input_tokens"] == len(engine.prompts[0].split())


async def test_a_stream_opens_fills_and_closes_each_block(serve: Serve) -> None:
    """Before the first the prompt's tokens are told, behind the last why the message is over."""
    turns = ["<think>\nHm.", "Hello" + CALL, Fills("convert")]
    serve(*turns, make=qwen3_model)
    events = await events_of({**ASKED, "tools": TOOLS})
    shown = [
        (event["type"], event.get("index"), event.get("delta", {}).get("type")) for event in events
    ]
    start, delta, stop = (f"content_block_{each}" for each in ("start", "delta", "stop"))
    assert list(dict.fromkeys(shown)) == [
        ("message_start", None, None),
        (start, 0, None),
        (delta, 0, "thinking_delta"),
        (delta, 0, "signature_delta"),
        (stop, 0, None),
        (start, 1, None),
        (delta, 1, "text_delta"),
        (stop, 1, None),
        (start, 2, None),
        (delta, 2, "input_json_delta"),
        (stop, 2, None),
        ("message_delta", None, None),
        ("message_stop", None, None),
    ]
    first, last = events[0]["message"], events[-2]
    assert (first["content"], first["stop_reason"], first["usage"]["output_tokens"]) == (
        [],
        None,
        0,
    )
    assert first["usage"]["input_tokens"] == last["usage"]["input_tokens"]
    assert last["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}


async def test_half_a_call_is_in_no_whole_message(serve: Serve) -> None:
    """A stream has told what was written of it."""
    named = {"type": "tool", "name": "convert"}
    body = {**ASKED, "tools": TOOLS, "tool_choice": named, "max_tokens": 2}
    serve(*[Fills("convert")] * 2)
    whole = (await post(body)).json()
    assert (whole["content"], whole["stop_reason"]) == ([], "max_tokens")
    events = await events_of(body)
    assert [event["type"] for event in events[-3:]] == [
        *("content_block_stop", "message_delta", "message_stop")
    ]
    assert events[-2]["delta"]["stop_reason"] == "max_tokens"
    assert events[1]["content_block"]["name"] == "convert"


async def test_a_context_that_is_full_is_not_called_max_tokens(serve: Serve) -> None:
    """The protocol has a word of its own for it."""
    serve("Hello", make=lambda engine: FullContext(engine))
    whole = (await post(ASKED)).json()
    assert whole["stop_reason"] == "model_context_window_exceeded"


class FullContext(ChatModel):
    """A model whose engine has room for three tokens."""

    def __init__(self, engine: Any) -> None:
        super().__init__(LoadedModel("full", engine, "{{ messages }}", "", "", 200), HERMES)

    def turn(self, *asked: Any, sampling: Any, **more: Any) -> Any:
        """The reply with no more tokens than those."""
        return super().turn(*asked, sampling=sampling.but(max_tokens=1), **more)


# Requests


def result(content: Any, **more: Any) -> dict[str, Any]:
    """A block with a tool's result."""
    return {"type": "tool_result", "tool_use_id": "a", "content": content, **more}


def use(identity: str = "a", name: str = "convert", **given: Any) -> dict[str, Any]:
    """A block with a call."""
    return {"type": "tool_use", "id": identity, "name": name, "input": given}


def text(told: str) -> dict[str, Any]:
    """A block with a text, and where the prompt may be cached."""
    return {"type": "text", "text": told, "cache_control": {"type": "ephemeral"}}


def turn(role: str, *lines: str) -> str:
    """A turn of the prompt."""
    return f"<|im_start|>{role}\n" + "\n".join(lines) + "<|im_end|>\n"


def returned(*lines: str) -> str:
    """The turn of a result."""
    return turn("user", "<tool_response>", *lines, "</tool_response>")


ANSWER = '<tool_call>\n{"name": "convert", "arguments": {"amount": 42}}\n</tool_call>'


@pytest.mark.parametrize(
    ("history", "prompt"),
    [
        (["One", "Two"], [turn("user", "One"), turn("assistant", "Two")]),
        ([[text("One"), text("Two")]], [turn("user", "One", "Two")]),
        (
            ["Q", [text("Hm"), use(amount=42)], [result("1 EUR")]],
            [turn("assistant", "Hm", ANSWER), returned("1 EUR")],
        ),
        (
            ["Q", [use(amount=42)], [text("So?"), result([text("1"), text("EUR")])]],
            [turn("assistant", ANSWER), returned("1", "EUR"), turn("user", "So?")],
        ),
        (
            ["Q", [use(amount=42)], [result("No rate", is_error=True)]],
            [returned("Error: No rate")],
        ),
        (
            ["Q", [use(amount=42)], [{"type": "tool_result", "tool_use_id": "a"}]],
            [returned("")],
        ),
        (
            [
                *("Q", [use("a", amount=42), use("b", "today")]),
                [{**result("second"), "tool_use_id": "b"}, result("first")],
            ],
            ["first", "second"],
        ),
        (
            [
                "Q",
                [
                    {"type": "thinking", "thinking": "Secret", "signature": "x"},
                    {"type": "redacted_thinking", "data": "x"},
                    text("Two"),
                ],
            ],
            [turn("user", "Q"), turn("assistant", "Two")],
        ),
    ],
    ids=[
        *("texts", "text blocks", "call and result", "result and text", "error", "empty result"),
        *("parallel results", "thoughts"),
    ],
)
async def test_the_model_reads_each_form_of_a_message(
    serve: Serve, history: list[Any], prompt: list[str]
) -> None:
    """Results stand behind their calls, and the user's text behind the results."""
    engine = serve("Hello")
    told = [
        {"role": ("user", "assistant")[index % 2], "content": content}
        for index, content in enumerate(history)
    ]
    if told[-1]["role"] == "assistant":
        told.append(USER)
    response = await post({**ASKED, "messages": told})
    assert response.status_code == 200, response.text
    places = [engine.prompts[0].find(each) for each in prompt]
    assert -1 not in places, engine.prompts[0]
    assert places == sorted(places)
    assert "Secret" not in engine.prompts[0]


@pytest.mark.parametrize("system", ["Be brief.", [text("Be"), text("brief.")]])
async def test_the_system_prompt_stands_first(serve: Serve, system: Any) -> None:
    """As a text or as blocks; one among the messages stands where it is."""
    engine = serve("Hello")
    within = {"role": "system", "content": "It is late."}
    await post({**ASKED, "system": system, "messages": [USER, within]})
    said = "\n".join(each["text"] for each in system) if isinstance(system, list) else system
    expected = turn("system", said) + turn("user", USER["content"]) + turn("system", "It is late.")
    assert engine.prompts[0].startswith(expected)


async def test_thoughts_of_a_turn_with_calls_are_handed_to_the_template(serve: Serve) -> None:
    """Which shows them until the next question."""
    engine = serve("Hello", "Hello", make=qwen3_model)
    thought = {"type": "thinking", "thinking": "Secret", "signature": ""}
    told = [{"role": "assistant", "content": [thought, use(amount=42)]}]
    await post({**ASKED, "messages": [USER, *told, {"role": "user", "content": [result("1")]}]})
    assert "<think>\nSecret\n</think>" in engine.prompts[0]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens=0: "),
        ({"messages": []}, "messages=[]"),
        ({"messages": ["Hi"]}, 'messages[0]="Hi": wanted an object'),
        (
            {"messages": [{"role": "tool", "content": "x"}]},
            'messages[0].role="tool": wanted one of',
        ),
        ({"messages": [{"role": [], "content": "x"}]}, "messages[0].role=[]: wanted one of"),
        (
            {"messages": [{"role": "user", "content": [result("x")] * (MOST_MESSAGES + 1)}]},
            f"messages hold {MOST_MESSAGES + 1} messages and results; wanted {MOST_MESSAGES}",
        ),
        ({"messages": [{"role": "user"}]}, "messages[0].content=null: wanted text or a list"),
        (
            {"messages": [{"role": "user", "content": [text("x"), {"type": "image"}]}]},
            'messages[0].content[1]={"type": "image"}: wanted a block of type text or tool_result',
        ),
        (
            {"messages": [{"role": "user", "content": [result([{"type": "document"}])]}]},
            "messages[0].content[0].content[0]=",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]},
            "messages[0].content[0].tool_use_id=null: wanted text",
        ),
        (
            {
                "messages": [
                    USER,
                    {"role": "assistant", "content": [{**use(), "input": "{}"}]},
                    USER,
                ]
            },
            'messages[1].content[0].input="{}": wanted an object',
        ),
        (
            {"messages": [USER, {"role": "assistant", "content": "The answer is"}]},
            'messages[1].role="assistant": wanted the user\'s message last',
        ),
        ({"system": [{"type": "image"}]}, "system[0]="),
        ({"tools": [{"name": "a"}]}, "tools[0].input_schema=null: wanted an object"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name=null: "),
        ({"tools": [{"type": "function", "function": {}}]}, 'tools[0].type="function": '),
        (
            {
                "tools": [
                    {"type": "bash_20250124"},
                    {"name": "a", "input_schema": {"type": "array"}},
                ]
            },
            "tools[1].input_schema=",
        ),
        ({"tools": [TODAY, TODAY]}, "tools[1]: 'today' is offered twice"),
        ({"tools": TOOLS, "tool_choice": {"type": "required"}}, "tool_choice="),
        ({"tool_choice": {"type": "any"}}, 'tool_choice={"type": "any"}: wanted'),
        (
            {"tools": TOOLS, "tool_choice": {"type": "tool", "name": "x"}},
            'tool_choice names "x", which is not among the tools: convert, today',
        ),
        ({"thinking": {"budget_tokens": 1}}, 'thinking={"budget_tokens": 1}: wanted'),
        ({"output_config": {"format": {"type": "json_object"}}}, "output_config.format="),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "float"}}}},
            "output_config.format: ",
        ),
        ({"stop_sequences": "x"}, 'stop_sequences="x": '),
        ({"temperature": -1}, "temperature=-1: "),
        ({"mcp_servers": [{"url": "x"}]}, "mcp_servers=[{"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_cannot_be_served_is_named(
    serve: Serve, changes: dict[str, Any], told: str
) -> None:
    """By its place, its value and what was wanted."""
    serve()
    status, kind, message = await error_of({**ASKED, **changes})
    assert (status, kind) == (400, "invalid_request_error")
    assert told in message


async def test_parameters_reach_the_engine(serve: Serve) -> None:
    """Anthropic's, and those of chat that have no other name there."""
    engine = serve("Hello", "Hello")
    more = {"temperature": 0.5, "top_p": 0.9, "top_k": 5, "stop_sequences": ["a", ""], "seed": 3}
    await post({**ASKED, **more})
    await post(ASKED)
    first, second = engine.samplings
    assert (first.temperature, first.top_p, first.top_k) == (0.5, 0.9, 5)
    assert (first.max_tokens, first.stop, first.seed) == (100, ("a",), 3)
    assert (second.temperature, second.top_p, second.top_k) == (1, 1, 0)


@pytest.mark.parametrize("path", [MESSAGES, COUNT])
async def test_what_has_no_effect_is_told_in_headers(serve: Serve, path: str) -> None:
    """Parameters by their places, tools of Anthropic's servers by their types."""
    serve("Hello")
    response = await post(
        {
            **ASKED,
            "cache_control": {"type": "ephemeral"},
            "metadata": {"user_id": "me"},
            "thinking": {"type": "enabled", "budget_tokens": 2000},
            "output_config": {"effort": "low"},
            "tools": [{"type": "web_search_20250305", "name": "web_search"}, TODAY],
        },
        path,
    )
    assert response.status_code == 200, response.text
    ignored = response.headers["X-Ignored-Parameters"].split(", ")
    assert ignored == ["metadata", "thinking.budget_tokens", "output_config.effort"]
    assert response.headers["X-Ignored-Tools"] == "web_search_20250305"


@pytest.mark.parametrize(
    ("choice", "calls"),
    [
        ({"type": "tool", "name": "today"}, ["today"]),
        ({"type": "any", "disable_parallel_tool_use": True}, ["convert"]),
        ({"type": "any"}, ["convert", "today"]),
    ],
    ids=str,
)
async def test_a_choice_of_tools_is_held(
    serve: Serve, choice: dict[str, Any], calls: list[str]
) -> None:
    """Named, one at most, or several."""
    serve(Fills(*calls))
    message = (await post({**ASKED, "tools": TOOLS, "tool_choice": choice})).json()
    assert [block["name"] for block in message["content"]] == calls


async def test_no_tool_is_called_where_none_may_be(serve: Serve) -> None:
    """What looks like a call is text."""
    serve(CALL)
    message = (await post({**ASKED, "tools": TOOLS, "tool_choice": {"type": "none"}})).json()
    assert message["content"] == [{"type": "text", "text": CALL}]


async def test_thinking_can_be_turned_off(serve: Serve) -> None:
    """Where the template knows how to."""
    engine = serve("Hello", "Hello", make=qwen3_model)
    await post({**ASKED, "thinking": {"type": "disabled"}})
    assert engine.prompts[0].endswith("<think>\n\n</think>\n\n")
    serve("Hm.</think>", "Hello", make=lambda engine: qwen3_model(engine, OPENING))
    message = (await post({**ASKED, "thinking": {"type": "adaptive"}})).json()
    assert message["content"][0]["thinking"] == "Hm."


async def test_the_text_has_the_format_that_is_asked_for(serve: Serve) -> None:
    """Keywords that can't be enforced are told."""
    serve(Fills())
    schema = {**AMOUNT, "not": {}}
    wanted = {"format": {"type": "json_schema", "schema": schema}}
    response = await post({**ASKED, "output_config": wanted})
    (block,) = response.json()["content"]
    assert json.loads(block["text"]) == {"amount": 42}
    assert response.headers["X-Unenforced-Keywords"] == "output_config.format: content: not"


# Tokens


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"system": "Be brief."},
        {"tools": TOOLS},
        {"tools": TOOLS, "tool_choice": {"type": "any"}},
        {"tools": TOOLS, "tool_choice": {"type": "tool", "name": "today"}},
    ],
    ids=str,
)
async def test_the_counted_tokens_are_those_of_the_message(
    serve: Serve, more: dict[str, Any]
) -> None:
    """A prompt is counted as the engine reads it, the head of a forced call with it."""
    serve(Fills("today") if "tool_choice" in more else "Hello")
    body = {**ASKED, **more}
    async with client() as sdk:
        counted = await sdk.messages.count_tokens(
            **{key: value for key, value in body.items() if key != "max_tokens"}
        )
        message = await sdk.messages.create(**body)
    assert counted.input_tokens == message.usage.input_tokens > 0
    assert str(counted._request_id).startswith("req_")


async def test_a_prompt_that_cannot_fit_is_not_counted(serve: Serve) -> None:
    """As it isn't read for a message."""
    serve()
    long = {"role": "user", "content": "x" * 200 * CHARACTERS_OF_A_TOKEN}
    for path in (MESSAGES, COUNT):
        status, kind, message = await error_of({**ASKED, "messages": [long]}, path)
        assert (status, kind) == (400, "invalid_request_error")
        assert "characters; this model's context holds at most" in message


# What goes wrong


@pytest.mark.parametrize(
    ("turns", "raised", "kind"),
    [
        ([Fails(BROKE)], anthropic.InternalServerError, "api_error"),
        ([Fails(ZeroDivisionError())], anthropic.InternalServerError, "api_error"),
        (
            [Fails(EngineError("Full.", status=503, retry_after=3))],
            anthropic.ServiceUnavailableError,
            "overloaded_error",
        ),
    ],
)
async def test_the_sdk_raises_the_error_of_its_class(
    serve: Serve, turns: list[Any], raised: type[anthropic.APIStatusError], kind: str
) -> None:
    """Whole, and before a stream has begun; what wasn't foreseen has no details."""
    serve(*turns, *turns)
    for stream in (False, True):
        async with client() as sdk:
            with pytest.raises(raised) as told:
                await sdk.messages.create(**ASKED, stream=stream)
        assert told.value.type == kind
        assert str(told.value.request_id).startswith("req_")
        assert "division" not in told.value.message


@pytest.mark.parametrize("error", [BROKE, ZeroDivisionError("secret")])
async def test_an_error_in_mid_stream_is_an_event(serve: Serve, error: Exception) -> None:
    """The last one, which the SDK raises."""
    serve(*[Fails(error, "Hello")] * 2)
    events = await events_of(ASKED)
    assert events[-1]["type"] == "error"
    assert events[-1]["error"]["type"] == "api_error"
    assert "secret" not in str(events)
    async with client() as sdk:
        with pytest.raises(anthropic.APIStatusError) as told:
            async for _ in await sdk.messages.create(**ASKED, stream=True):
                pass
    assert told.value.type == "api_error"


@pytest.mark.parametrize(
    ("path", "body", "status", "kind"),
    [
        (MESSAGES, b"{", 400, "invalid_request_error"),
        (MESSAGES, b"[]", 400, "invalid_request_error"),
        (COUNT, b"{}", 400, "invalid_request_error"),
        (f"{MESSAGES}/batches", b"{}", 404, "not_found_error"),
    ],
    ids=["no JSON", "no object", "no messages", "not there"],
)
async def test_every_error_has_anthropics_shape(
    serve: Serve, path: str, body: bytes, status: int, kind: str
) -> None:
    """Also before a request is read."""
    serve()
    assert (await error_of(body, path))[:2] == (status, kind)


async def test_a_wrong_method_has_the_same_shape() -> None:
    """And a model that isn't loaded yet."""
    async with http() as plain:
        response = await plain.get(MESSAGES)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert (await error_of(ASKED))[:2] == (503, "overloaded_error")


# Models


async def test_both_sdks_read_the_models(serve: Serve) -> None:
    """One JSON serves both; errors have the shape of the caller's API."""
    serve()
    async with client() as sdk:
        listed = [model async for model in sdk.models.list()]
        (model,) = listed
        assert model.to_dict() == (await sdk.models.retrieve("scripted")).to_dict()
        with pytest.raises(anthropic.NotFoundError) as told:
            await sdk.models.retrieve("other")
    assert (model.id, model.type, model.display_name) == ("scripted", "model", "scripted")
    assert (model.lifecycle, model.max_input_tokens) == ("active", 200)
    assert model.created_at.tzinfo is not None
    assert told.value.type == "not_found_error"


# The documentation


def test_the_documentation_names_all_that_is_taken_and_refused() -> None:
    """And its limit is the code's."""
    told = (Path(__file__).parents[2] / "docs/messages.md").read_text(encoding="utf-8")
    own = MessagesRequest.model_fields.keys() - ApiRequest.model_fields.keys()
    refused = CountRequest.unsupported.keys() - ApiRequest.model_fields.keys()
    for name in {*own, *refused, "max_tokens"}:
        assert f"`{name}" in told, name
    assert f"Up to {MOST_STOPS};" in told


# Forced calls


def as_messages(request: Request) -> dict[str, Any]:
    """A benchmark's forced call, asked for by this API."""
    chosen = request.body["tool_choice"]
    choice = {"type": "any"}
    if chosen != "required":
        choice = {"type": "tool", "name": chosen["function"]["name"]}
    functions = [tool["function"] for tool in request.body["tools"]]
    return {
        **{key: request.body[key] for key in ("messages", "max_tokens", "temperature", "seed")},
        "tool_choice": {**choice, "disable_parallel_tool_use": True},
        "tools": [{"name": each["name"], "input_schema": each["parameters"]} for each in functions],
    }


async def forced_calls_are_valid(calls: int) -> None:
    """Make so many, and hold each against its tool's schema."""
    for request in requests(["hermes"], calls, seed=5):
        response = await post(as_messages(request))
        message = response.json()
        assert response.status_code == 200, message
        (block,) = message["content"]
        assert (block["type"], message["stop_reason"]) == ("tool_use", "tool_use")
        Draft202012Validator(request.schemas[block["name"]]).validate(block["input"])


async def test_forced_calls_are_valid(serve: Serve) -> None:
    """Whatever an engine writes that the constraint allows."""
    serve(make=lambda _: walking_model())
    await forced_calls_are_valid(8)


@pytest.fixture
def served_smollm2(serve: Serve) -> Iterator[None]:
    """A model that chooses badly, behind `/v1`."""
    engine = LlamaCpp(smollm2(), context_length=4096, parallel_slots=4)
    told = [engine.properties[key] for key in ("chat_template", "bos_token", "eos_token")]
    serve(make=lambda _: ChatModel(LoadedModel("smollm2", engine, *told, 4096), HERMES))
    yield
    engine.close()


@pytest.mark.model
@pytest.mark.usefixtures("served_smollm2")
async def test_a_models_tokens_are_counted_and_its_forced_calls_valid() -> None:
    """With real weights, at a temperature of 1.5; in a stream the count stands first."""
    forced = {"tools": [REMIND, CONVERT], "tool_choice": {"type": "any"}, "temperature": 1.5}
    for more in ({"max_tokens": 5}, forced):
        counted = (await post({**ASKED, **more}, COUNT)).json()["input_tokens"]
        events = await events_of({**ASKED, **more})
        for usage in (events[0]["message"]["usage"], events[-2]["usage"]):
            assert usage["input_tokens"] == counted
    schemas = {tool["name"]: tool["input_schema"] for tool in (REMIND, CONVERT)}
    only = {**forced["tool_choice"], "disable_parallel_tool_use": True}
    for first in range(0, 100, 4):
        asked = [{**ASKED, **forced, "tool_choice": only, "seed": first + at} for at in range(4)]
        for told in await asyncio.gather(*map(post, asked)):
            message = told.json()
            (block,) = message["content"]
            assert (block["type"], message["stop_reason"]) == ("tool_use", "tool_use")
            Draft202012Validator(schemas[block["name"]]).validate(block["input"])
